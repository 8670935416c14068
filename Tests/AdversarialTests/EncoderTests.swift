import AllocationCount
import Collectives
import Kernels
import Nets
import Testing
@testable import Adversarial

/// Games with a third player, the encoder. Their numbers are compared with PyTorch's by Tests/commands/test_encoder.py.
@Suite struct EncoderTests {
    enum Kind: CaseIterable { case adversarialAutoencoder, bidirectional, bidirectionalAtOnce }

    /// Networks of the plane, with what depends on shards and draws in all of them.
    private static func game(_ kind: Kind, discriminatorSteps k: Int = 1, synchronised: Bool? = nil) -> Game {
        let descent = OptimiserSettings(.descent, rate: .constant(0.05))
        let normalisation: [any Layer] =
            switch synchronised {
            case nil: []
            case true: [Synchronised(BatchNormalisation()), Dropout(keepProbability: 0.8)]
            case false: [BatchNormalisation(), Dropout(keepProbability: 0.8)]
            }
        var game = smallGame()
        game.generator = [Dense(units: 7)] + normalisation + [Tanh(), Dense(units: 2)]
        game.discriminator = [Dense(units: 6)] + normalisation + [Tanh(), Dense(units: 1)]
        let layers: [any Layer] = [Dense(units: 8)] + normalisation + [Tanh(), Dense(units: 3)]
        switch kind {
        case .adversarialAutoencoder:
            game.encoder = Encoder(layers, .adversarialAutoencoder(.gaussian(deviation: 0.5)), optimiser: descent)
            game.updates = Update.adversarialAutoencoder(discriminatorSteps: k)
        case .bidirectional, .bidirectionalAtOnce:
            game.encoder = Encoder(layers, .bidirectional, optimiser: descent)
            game.updates =
                kind == .bidirectional ? Update.bidirectional(discriminatorSteps: k) : Update.bidirectionalAtOnce
        }
        (game.generatorOptimiser, game.discriminatorOptimiser) = (descent, descent)
        return game
    }

    @Test(arguments: Kind.allCases, [false, true]) func sameBitsOnAnyRanks(kind: Kind, synchronised: Bool) throws {
        func state(ranks: Int) throws -> [[UInt32]] {
            try ThreadCommunicator.run(size: ranks) { communicator in
                let k = kind == .bidirectionalAtOnce ? 1 : 2
                let game = Self.game(kind, discriminatorSteps: k, synchronised: synchronised)
                let trainer = try game.trainer(shards: 6, communicator)
                for _ in 0 ..< 5 { _ = try trainer.step() }
                try trainer.requireEqualReplicas()
                try trainer.requireEqualArithmetic()
                return trainer.state.flatMap { $0.values.array.map(\.bitPattern) }
            }
        }
        let alone = try state(ranks: 1)[0]
        #expect(alone.allSatisfy { Float(bitPattern: $0).isFinite })
        for ranks in [2, 3, 5] { #expect(try state(ranks: ranks).allSatisfy { $0 == alone }, "\(ranks) ranks") }
    }

    /// What each player descends is its own cost: a small step of all lowers, or by minimax raises, the costs that the
    /// report has, as the gradients' norms say.
    @Test func theReconstructionFallsAsItsGradientsSay() throws {
        let rate = 1e-4
        func costs(moving: Bool) throws -> (before: StepReport, after: Double) {
            var game = Self.game(.adversarialAutoencoder)
            let descent = OptimiserSettings(.descent, rate: .constant(moving ? rate : 0))
            game.generatorOptimiser = descent
            game.encoder!.optimiser = descent
            // Without an update of E against D, whose gradient the report would have.
            game.updates = [game.updates[0], game.updates[1]]
            let trainer = try game.trainer(shards: 3, SoloCommunicator())
            let report = try trainer.step()
            try trainer.resume(at: 0)
            return (report, try trainer.step().lossGenerator)
        }
        let (before, after) = try costs(moving: true), encoder = before.gradientNormEncoder!
        let squaredNorm = before.gradientNormGenerator * before.gradientNormGenerator + encoder * encoder
        let slope = (before.lossGenerator - after) / rate
        #expect(abs(slope - squaredNorm) < 0.01 * squaredNorm, "\(slope) and \(squaredNorm)")
        #expect(try costs(moving: false).after == before.lossGenerator)
    }

    /// All updates of a step but D's second and later ones are of one minibatch.
    @Test(arguments: Kind.allCases) func aStepTakesAMinibatchForEachUpdateOfTheDiscriminator(kind: Kind) throws {
        let k = kind == .bidirectionalAtOnce ? 1 : 3
        let game = Self.game(kind, discriminatorSteps: k)
        #expect(game.minibatchesOfStep == k)
        var taken = 0
        for update in game.updates where game.takesNewReals(update, after: taken) { taken += 1 }
        #expect(taken == k)
    }

    /// The costs of E are those of G with the sides exchanged: at logits mirrored about the middle they are equal.
    @Test func theEncodersCostIsTheGeneratorsMirrored() {
        let objectives: [(any LogitObjective, middle: Double)] = [
            (StandardObjective(), 0), (StandardObjective(generator: .minimax), 0), (LeastSquares(), 0.5),
            (Hinge(), 0), (Wasserstein(), 0),
        ]
        for (objective, middle) in objectives {
            for logit in [-2.5, -0.3, 0, 0.7, 4] {
                let ofEncoder = objective.ofEncoder(logit), ofGenerator = objective.ofGenerator(2 * middle - logit)
                #expect(abs(ofEncoder.value - ofGenerator.value) < 1e-12, "\(objective) at \(logit)")
                #expect(abs(ofEncoder.slope + ofGenerator.slope) < 1e-12, "\(objective) at \(logit)")
            }
        }
    }

    @Test func anAdversarialAutoencoderReconstructs() throws {
        let trainer = try Self.game(.adversarialAutoencoder).trainer(shards: 2, SoloCommunicator())
        let first = try trainer.step()
        var last = first
        for _ in 0 ..< 400 { last = try trainer.step() }
        #expect(last.lossGenerator < first.lossGenerator / 4, "\(first.lossGenerator), \(last.lossGenerator)")
        #expect(trainer.players.map(\.role) == [.generator, .discriminator, .encoder])
    }

    @Test(arguments: Kind.allCases) func aSteadyStepAllocatesNothing(kind: Kind) throws {
        var game = Self.game(kind)
        game.generator = [Dense(units: 256), LeakyReLU(slope: 0.2), Dense(units: 256)]
        game.discriminator = [
            Dense(units: 256), LeakyReLU(slope: 0.2), Dense(units: 256), LeakyReLU(slope: 0.2), Dense(units: 1),
        ]
        game.encoder!.layers = [Dense(units: 256), LeakyReLU(slope: 0.2), Dense(units: 256)]
        (game.latent, game.batch) = (Latent(size: 256), 64)
        let communicator = SoloCommunicator(), table = try ShardTable(shards: 2, communicator: communicator)
        let trainer = try Trainer(
            game, exampleShape: .vector(256), reals: Zeros(count: 64 * 256), shards: table, communicator: communicator)
        for _ in 0 ..< 4 { _ = try trainer.step() }
        let before = allocationsOfThisThread()
        for _ in 0 ..< 10 { _ = try trainer.step() }
        #expect(allocationsOfThisThread() == before, "10 steps made \(allocationsOfThisThread() - before) allocations")
    }

    private final class Zeros: MinibatchSource {
        private let values: FloatBuffer
        init(count: Int) { values = FloatBuffer(count: count) }
        func minibatch(_ number: Int) -> Floats { values.values }
        func indices(minibatch number: Int) -> [Int] { [] }
        func epoch(minibatch number: Int) -> Int { 0 }
    }

    @Test(arguments: Kind.allCases) func aCodeThatTheGeneratorDoesNotTakeIsRefused(kind: Kind) throws {
        var game = Self.game(kind)
        game.encoder!.layers.append(Dense(units: 4))
        do {
            _ = try game.trainer(shards: 2, SoloCommunicator())
            Issue.record("not refused")
        } catch {
            #expect("\(error)".contains("encoder: its last layer makes [4] where it has to make a code"))
        }
    }
}
