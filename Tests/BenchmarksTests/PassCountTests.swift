import Adversarial
import Collectives
import Kernels
import Nets
import Synchronization
import Testing
@testable import Benchmarks

@Suite struct PassCountTests {
    private static let penalties: [[Penalty]] = [
        [], [Penalty(.r1, weight: 1.0)], [Penalty(.r1, weight: 1.0), Penalty(.r2, weight: 1.0)],
        [Penalty(.gradientPenalty(target: 1), weight: 1.0)],
        [
            Penalty(.r2, weight: 1.0), Penalty(.gradientPenalty(target: 1), weight: 1.0),
            Penalty(.dragan(target: 1, deviation: 1), weight: 1.0),
        ],
    ]
    /// Piecewise linear; with curvature; with a layer before the first that has parameters.
    private static let discriminators: [[any TangentLayer]] = [
        [Dense(units: 5), LeakyReLU(slope: 0.2), Dense(units: 1)],
        [Dense(units: 5), Tanh(), LayerNormalisation(epsilon: 1e-5), Dense(units: 3), ReLU(), Dense(units: 1)],
        [Dropout(keepProbability: 0.5), Dense(units: 3), Dense(units: 1), Sigmoid()],
    ]
    private static let games: [(any Objective, [Update])] = [
        (StandardObjective(), Update.alternating(discriminatorSteps: 3)),
        (Relativistic(), Update.alternating(discriminatorSteps: 1)), (Relativistic(), Update.simultaneous()),
    ]

    /// A step calls each layer as often as the table says.
    @Test(arguments: penalties.indices, discriminators.indices)
    func stepsRunWhatIsCounted(penalties: Int, discriminator: Int) throws {
        for (objective, updates) in Self.games {
            let calls = Self.discriminators[discriminator].map(CountedLayer.init)
            let generator = [CountedLayer(Dense(units: 4)), CountedLayer(ReLU()), CountedLayer(Dense(units: 2))]
            var game = Game(generator: generator, discriminator: calls, latent: Latent(size: 3))
            (game.objective, game.updates, game.penalties) = (objective, updates, Self.penalties[penalties])
            game.batch = 6
            let communicator = SoloCommunicator(), table = try ShardTable(shards: 1, communicator: communicator)
            let trainer = try Trainer(
                game, exampleShape: .vector(2), reals: Ones(count: 12), shards: table, communicator: communicator)
            _ = try trainer.step()
            for (player, layers) in [(trainer.generator, generator), (trainer.discriminator, calls)] {
                for (number, layer) in layers.enumerated() {
                    let counts = try #require(PassCounts(number, of: player.network, player.role, in: game))
                    layer.calls.check(
                        counts, hasParameters: player.network.store.entries.contains { $0.layer == number },
                        "\(updates.count) updates, penalties \(penalties), \(player.role) \(number) \(layer.name)")
                }
            }
        }
    }

    /// What is not the same at every step has no count.
    @Test func someStepsCannotBeCounted() throws {
        var game = Game(generator: [Dense(units: 2)], discriminator: [Dense(units: 1)])
        let network = try Network(game.discriminator, input: .vector(2), capacity: 2, name: "discriminator")
        game.penalties = [Penalty(.r1, weight: 1.0, every: 4)]
        #expect(PassCounts(0, of: network, .discriminator, in: game) == nil)
        #expect(PassCounts(0, of: network, .generator, in: game) != nil)
        (game.penalties, game.updates) = ([], Update.simultaneous(unrollingSteps: 2))
        #expect(PassCounts(0, of: network, .generator, in: game) == nil)
    }
}

@Suite struct MemoryTrafficTests {
    /// Six examples of a small game, counted by hand.
    @Test func bytesAreThoseOfTheFormulas() throws {
        let game = Game(
            generator: [Dense(units: 4), Dense(units: 2)],
            discriminator: [Dense(units: 5), ReLU(), Dense(units: 1)], latent: Latent(size: 3), batch: 6)
        let communicator = SoloCommunicator(), table = try ShardTable(shards: 1, communicator: communicator)
        let trainer = try Trainer(
            game, exampleShape: .vector(2), reals: Ones(count: 12), shards: table, communicator: communicator)
        let bytes = try MemoryTraffic.count(trainer, rows: 6, ranks: 4, packing: 1)
        // G's layers: 3 passes over 18 and 24 values, 4 over 24 and 12. D's: 6 over 12 and 30, 6 over 30 and 30, 8 over
        // 30 and 6: forward of both halves and for G, back to the input from G and, above the first layer, from both.
        #expect(bytes.activations == 4 * (3 * 42 + 4 * 36 + 6 * 42 + 6 * 60 + 8 * 36))
        // D's weights are read once for both halves, and their gradient is written once.
        #expect(bytes.weights == 4 * (2 * 16 + 3 * 10 + 3 * 15 + 4 * 6))
        #expect(bytes.gradients == 4 * (16 + 10 + 15 + 6))
        let players = [trainer.generator, trainer.discriminator]
        let vectors = players.map { (3 + 2 * $0.optimiser.moments.count) * $0.network.store.count }
        #expect(bytes.optimizer == 4 * vectors.reduce(0, +))
        #expect(bytes.exchange == 4 * players.reduce(0) { $0 + 5 * $1.network.store.count })
    }
}

private final class Ones: MinibatchSource {
    private let values: FloatBuffer
    init(count: Int) { values = FloatBuffer(Array(repeating: 1, count: count)) }
    func minibatch(_ number: Int) -> Floats { values.values }
    func indices(minibatch number: Int) -> [Int] { Array(0 ..< values.count / 2) }
    func epoch(minibatch number: Int) -> Int { 0 }
}

/// Calls of a layer, as the network makes them.
private final class Calls: Sendable {
    struct Numbers {
        var forward = 0, toInput = 0, toParameters = 0, tangent = 0, curvature = 0, parameterGradients = 0
    }
    let numbers = Mutex(Numbers())

    func check(_ counts: PassCounts, hasParameters: Bool, _ what: String) {
        let made = numbers.withLock { $0 }
        #expect(made.forward == counts.calls(.forward), "forward: \(what)")
        #expect(
            made.toInput == counts.calls(.inputGradient) + counts.calls(.adjoint), "input gradient, adjoint: \(what)")
        if hasParameters { #expect(made.toParameters == counts.calls(.weightGradient), "weight gradient: \(what)") }
        #expect(made.tangent == counts.calls(.tangent), "tangent: \(what)")
        #expect(made.curvature == counts.calls(.curvature), "curvature: \(what)")
        #expect(made.parameterGradients == counts.calls(.parameterGradients), "parameter gradients: \(what)")
    }
}

/// A layer that counts what is asked of it.
private struct CountedLayer: TangentLayer {
    let layer: any TangentLayer
    let calls = Calls()

    init(_ layer: any TangentLayer) { self.layer = layer }

    var name: String { layer.name }
    var outputMemory: OutputMemory { layer.outputMemory }
    var backwardReadsOutput: Bool { layer.backwardReadsOutput }
    var hasCurvature: Bool { layer.hasCurvature }
    var joinsParts: Bool { layer.joinsParts }
    func outputShape(for input: Shape) throws(ShapeError) -> Shape { try layer.outputShape(for: input) }
    func parameters(for input: Shape) -> [ParameterSpec] { layer.parameters(for: input) }
    func savedCount(for input: Shape, batch: Int) -> Int { layer.savedCount(for: input, batch: batch) }
    func scratchCount(for input: Shape, batch: Int) -> Int { layer.scratchCount(for: input, batch: batch) }

    func forward(_ input: Batch, into output: Batch, _ memory: LayerMemory, mode: Mode) {
        calls.numbers.withLock { $0.forward += 1 }
        layer.forward(input, into: output, memory, mode: mode)
    }

    func backward(
        _ outputGradient: Batch, input: Batch, output: Batch, into inputGradient: Batch?, _ memory: LayerMemory,
        parameterGradients: Bool
    ) {
        calls.numbers.withLock {
            $0.toInput += inputGradient == nil ? 0 : 1
            $0.toParameters += parameterGradients ? 1 : 0
        }
        layer.backward(
            outputGradient, input: input, output: output, into: inputGradient, memory,
            parameterGradients: parameterGradients)
    }

    func tangent(
        _ inputTangent: Batch, input: Batch, output: Batch, into outputTangent: Batch, _ memory: LayerMemory
    ) {
        calls.numbers.withLock { $0.tangent += 1 }
        layer.tangent(inputTangent, input: input, output: output, into: outputTangent, memory)
    }

    func curvature(
        _ outputGradient: Batch, tangent: Batch, input: Batch, output: Batch, into inputGradient: Batch, adding: Bool,
        _ memory: LayerMemory
    ) {
        calls.numbers.withLock { $0.curvature += 1 }
        layer.curvature(
            outputGradient, tangent: tangent, input: input, output: output, into: inputGradient, adding: adding, memory)
    }

    func tangentGradients(
        _ outputGradient: Batch, tangent: Batch, input: Batch, output: Batch, _ memory: LayerMemory
    ) {
        calls.numbers.withLock { $0.parameterGradients += 1 }
        layer.tangentGradients(outputGradient, tangent: tangent, input: input, output: output, memory)
    }
}
