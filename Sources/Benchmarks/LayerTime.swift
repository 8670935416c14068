import Adversarial
import Collectives
import Foundation
import Kernels
import Nets
import Recipes
import Support

/// One pass of one layer run alone on a shard's batch, and what it makes of a step.
public struct LayerTime: Encodable {
    public let network: String
    public let layer: String
    public let pass: String
    /// Median of one pass.
    public let seconds: Double
    public let secondsQuartiles: [Double]
    /// The arithmetic of the direct form per second, in 10⁹; 0 for layers without weights to multiply by.
    public let gflops: Double
    /// How often a step runs it, over all shards of a rank; nil for unrolled steps, which repeat passes as they need.
    public let runs: Int?
    /// `runs` times the median, of the median step. All shares together are near 1, not 1: within a step the caches
    /// hold other things, a layer may apply the activation after it, and both gradients are computed in one pass.
    public let share: Double?

    enum CodingKeys: String, CodingKey {
        case network, layer, pass, seconds, gflops, runs, share, secondsQuartiles = "seconds_quartiles"
    }

    /// The line of a table.
    var text: String {
        let name = "\(network) \(layer) \(pass)".padding(toLength: 52, withPad: " ", startingAt: 0)
        let time = String(
            format: "%8.2f ms  %8.2f –%8.2f", seconds * 1e3, secondsQuartiles[0] * 1e3, secondsQuartiles[1] * 1e3)
        let rate = gflops > 0 ? String(format: "%8.1f GFLOP/s", gflops) : String(repeating: " ", count: 16)
        guard let runs, let share else { return name + time + rate }
        return name + time + rate + String(format: "%4d × %5.1f %%", runs, 100 * share)
    }
}

/// How often a step runs each pass of a network's layers on one shard.
struct PassCounts: Equatable {
    var forward = 0
    var weightGradient = 0
    /// Of the layers above the first with parameters: it and those below need none for the parameters' sake.
    var inputGradient = 0
    /// Of the first layer with parameters and those below it.
    var firstInputGradient = 0

    /// Nil for unrolled steps.
    init?(_ role: Player.Role, in training: Configuration.Training) {
        guard training.unrollingSteps == 0 else { return nil }
        let together = training.update == .simultaneous, k = training.discriminatorSteps
        switch role {
        case .generator:
            self.init(forward: together ? 1 : k + 1, weightGradient: 1, inputGradient: 1, firstInputGradient: 0)
        case .discriminator:
            // Real and generated examples are judged apart; the generator's gradient goes through the whole of D.
            self.init(
                forward: together ? 2 : 2 * k + 1, weightGradient: 2 * k, inputGradient: 2 * k + 1,
                firstInputGradient: 1)
        }
    }

    private init(forward: Int, weightGradient: Int, inputGradient: Int, firstInputGradient: Int) {
        (self.forward, self.weightGradient) = (forward, weightGradient)
        (self.inputGradient, self.firstInputGradient) = (inputGradient, firstInputGradient)
    }
}

extension LayerTime {
    /// Forward, input gradient and weight gradient of every layer, each as a network of its own on random values.
    ///
    /// - Parameters:
    ///   - batch: examples of a shard.
    ///   - shards: shards that a rank computes in a step.
    ///   - step: seconds of a whole step.
    static func all(
        of player: Player, batch: Int, shards: Int, in training: Configuration.Training, step: Double
    ) throws -> [LayerTime] {
        let network = player.network
        let counts = PassCounts(player.role, in: training)
        let first = network.store.entries.first?.layer ?? network.layers.count
        var times: [LayerTime] = []
        var shape = network.inputShape
        for (number, layer) in network.layers.enumerated() {
            let alone = try LayerAlone(layer, input: shape, batch: batch, name: network.name)
            func add(_ pass: String, _ runs: Int?, _ body: () throws -> Void) rethrows {
                let spread = try Spread(
                    (0 ..< 5).map { _ in
                        let start = monotonicSeconds()
                        try body()
                        return monotonicSeconds() - start
                    })
                let all = runs.map { $0 * shards }
                times.append(
                    LayerTime(
                        network: network.name, layer: "\(number).\(layer.name)", pass: pass,
                        seconds: spread.median, secondsQuartiles: spread.quartiles,
                        gflops: Double(2 * alone.multiplications) / spread.median / 1e9,
                        runs: all, share: all.map { Double($0) * spread.median / step }))
            }
            try add("forward", counts?.forward, alone.forward)
            try add(
                "input gradient", number > first ? counts?.inputGradient : counts?.firstInputGradient,
                alone.inputGradient)
            if alone.multiplications > 0 { try add("weight gradient", counts?.weightGradient, alone.weightGradient) }
            shape = alone.outputShape
        }
        return times
    }
}

/// A layer as a network of its own, with random values to compute on.
private final class LayerAlone {
    /// Multiplications of the direct form for the whole batch; 0 for layers without weights to multiply by.
    let multiplications: Int
    var outputShape: Shape { network.outputShape }
    private let network: Network
    private let inputMemory: FloatBuffer
    private let gradientMemory: FloatBuffer
    private let target: FloatBuffer
    private let conditions: FloatBuffer
    private let draws = Draws(seed: 1, purpose: .sample, step: 0)
    private let batch: Int

    init(_ layer: any Layer, input: Shape, batch: Int, name: String) throws {
        self.batch = batch
        let communicator = SoloCommunicator()
        let table = try ShardTable(shards: 1, communicator: communicator)
        network = try Network([layer], input: input, capacity: batch, name: name) {
            LayerSums(count: $0, table: table, communicator)
        }
        network.store.initialise(seed: 1, role: 0)
        inputMemory = FloatBuffer(count: batch * input.count)
        gradientMemory = FloatBuffer(count: batch * network.outputShape.count)
        target = FloatBuffer(count: network.store.count)
        // Of zeros: the first class of all.
        conditions = FloatBuffer(count: batch * (network.condition?.width ?? 0))
        multiplications = batch * Self.multiplications(layer, input: input, output: network.outputShape)
        draws.fillNormal(inputMemory.values, samples: batch)
        draws.fillNormal(gradientMemory.values, samples: batch)
    }

    private var parameters: Floats { network.store.values.values }
    private var gradient: Batch { Batch(gradientMemory.values, count: batch, shape: network.outputShape) }

    func forward() throws {
        _ = try network.forward(
            Batch(inputMemory.values, count: batch, shape: network.inputShape), parameters: parameters,
            mode: .training(draws), conditions: conditions.values)
    }

    func inputGradient() throws {
        _ = try network.backward(from: gradient, parameters: parameters, into: nil, inputGradient: true)
    }
    func weightGradient() throws {
        _ = try network.backward(from: gradient, parameters: parameters, into: target.values, inputGradient: false)
    }

    private static func multiplications(_ layer: any Layer, input: Shape, output: Shape) -> Int {
        guard let weight = layer.parameters(for: input).first(where: { $0.name == "weight" }) else { return 0 }
        switch (input, output) {
        case (.vector, .vector): return weight.count
        case (.image(let height, let width, _), .image(let outputHeight, let outputWidth, _)):
            // A convolution multiplies by the whole kernel at every place of its smaller side.
            return weight.count * min(height * width, outputHeight * outputWidth)
        default: return 0
        }
    }
}
