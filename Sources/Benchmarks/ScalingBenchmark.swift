import Adversarial
import Collectives
import Foundation
import Kernels
import Nets
import Recipes
import Support

/// Measures on the ranks at hand what a ``ScalingModel`` needs, has it say what they should take, beside what they do,
/// and what steps would take on 8 to 512: what `gan-dist bench scaling` prints. The ranks are either all on one node,
/// whose shared memory is measured, or each on a node of its own: then the network is.
public struct ScalingBenchmark: Encodable {
    /// One rank's computing in a step of so many samples, all ranks computing at once, each for itself.
    public struct ComputePoint: Encodable {
        public let samples: Int
        public let seconds: Double
    }

    /// The model's word on what could be measured here.
    public struct Check: Encodable {
        public let secondsMeasured: Double
        public let secondsPredicted: Double
        /// predicted / measured − 1.
        public let error: Double

        enum CodingKeys: String, CodingKey {
            case secondsMeasured = "seconds_measured", secondsPredicted = "seconds_predicted", error
        }
    }

    public let preset: String
    public let ranks: Int
    public let batch: Int
    public let ranksOfNode: Int
    public let computePoints: [ComputePoint]
    public let compute: ScalingModel.Line
    public let computeWorstDeviation: Double
    public let optimizer: Double
    public let memory: ScalingModel.Link?
    public let network: ScalingModel.Link
    public let networkIsMeasured: Bool
    public let bytesOfGradients: [Int]
    public let bytesOfStatistics: Int
    public let check: Check
    /// The global minibatch is the same; as many ranks as have samples.
    public let strong: [ScalingModel.Prediction]
    /// The minibatch is so many times larger as there are ranks.
    public let weak: [ScalingModel.Prediction]

    enum CodingKeys: String, CodingKey {
        case preset, ranks, batch, compute, optimizer, memory, network, check, strong, weak
        case ranksOfNode = "cores_per_node", computePoints = "compute_points", computeWorstDeviation =
            "compute_worst_deviation"
        case networkIsMeasured = "network_is_measured", bytesOfGradients = "bytes_of_gradients", bytesOfStatistics =
            "bytes_of_statistics"
    }

    private static let predicted = (3 ... 9).map { 1 << $0 }

    /// `steps` counted steps of each size. `network`: the one to predict for; nil: the one between the ranks, or 10
    /// Gbit/s with 50 µs. What a further message costs its sender is always that between the ranks at hand: on one node
    /// less than on a network. Every rank calls it.
    public init(
        _ configuration: Configuration, steps: Int, ranksOfNode wanted: Int?, network given: ScalingModel.Link?,
        communicator: any Communicator
    ) throws {
        let isOneNode = Set(communicator.nodes).count == 1
        try Self.check(configuration, isOneNode: isOneNode, ranksOfNode: wanted, communicator)
        batch = configuration.training.batch
        preset = configuration.name
        ranks = communicator.size
        ranksOfNode = wanted ?? (isOneNode ? communicator.size : 1)

        let whole = try StepTimes(configuration, steps: steps, communicator, all: communicator)
        computePoints = try Self.sizes(configuration).map { size in
            let alone = try StepTimes(
                configuration.with(batch: size), steps: steps, SoloCommunicator(), all: communicator)
            return ComputePoint(samples: size, seconds: alone.compute)
        }
        let points = computePoints.map { (count: Double($0.samples), seconds: $0.seconds) }
        compute = .fit(points)
        computeWorstDeviation = compute.worstDeviation(points)
        optimizer = whole.optimiser
        bytesOfGradients = whole.trainer.bytesOfGradients
        bytesOfStatistics = whole.trainer.bytesOfStatistics

        memory =
            isOneNode && communicator.size > 1
            ? try Self.memory(count: bytesOfGradients.max()! / 4, communicator) : nil
        let messages = communicator.size > 1 ? try MessageTimes(communicator) : nil
        let measured = isOneNode ? nil : messages?.link
        networkIsMeasured = given == nil && measured != nil
        var network = given ?? measured ?? ScalingModel.Link(latency: 50e-6, bytesPerSecond: 10e9 / 8)
        network.secondsOfMessage = messages?.link.secondsOfMessage
        self.network = network

        var model = ScalingModel(
            compute: compute, optimiser: optimizer * Double(isOneNode ? ranks : 1),
            updates: try whole.trainer.game.updates.map {
                try GradientTimes($0, of: whole.trainer, overlap: messages?.overlap ?? true, all: communicator)
                    .gradients
            },
            samplesMeasured: whole.trainer.shards.mostRowsOfAShard(batch: batch), statistics: bytesOfStatistics,
            bytesOfValue: configuration.exchange.precision == .bfloat16 ? 2 : 4, ranksOfNode: isOneNode ? ranks : 1,
            memory: memory, network: measured ?? network)
        let here = model.strong(ranks: ranks, batch: batch)!.secondsStep
        check = Check(secondsMeasured: whole.step, secondsPredicted: here, error: here / whole.step - 1)
        (model.ranksOfNode, model.network) = (ranksOfNode, network)
        strong = Self.predicted.compactMap { model.strong(ranks: $0, batch: configuration.training.batch) }
        weak = Self.predicted.map { model.weak(ranks: $0, samples: configuration.training.batch) }
    }

    /// That what is asked for can be measured here.
    private static func check(
        _ configuration: Configuration, isOneNode: Bool, ranksOfNode: Int?, _ communicator: any Communicator
    ) throws(Failure) {
        try configuration.requireTwoPlayers()
        guard isOneNode || Set(communicator.nodes).count == communicator.size else {
            throw Failure(
                .usage, "several nodes with several ranks each: their two exchanges cannot be told apart",
                remedy:
                    "Start one rank on each node to measure the network, "
                    + "or all ranks on one node to measure its memory."
            )
        }
        if let ranksOfNode, ranksOfNode > 1, communicator.size == 1 || !isOneNode {
            throw Failure(
                .usage,
                "--cores-per-node \(ranksOfNode): the exchange within a node needs two ranks of one to be measured",
                remedy: "Start with mpirun -n 2 or more on one node.")
        }
        guard !configuration.game.normalisesMinibatches, configuration.training.unrollingSteps == 0 else {
            throw .configuration(
                "batch_normalisation",
                "statistics of the whole minibatch, and unrolled steps, exchange more than the model knows",
                remedy: "Predict with statistics: shard and training.unrolling_steps: 0.")
        }
        guard configuration.exchange.kind == .ordered else {
            throw .configuration(
                "exchange.kind", "the model knows the ordered exchange, not \(configuration.exchange.kind.rawValue)",
                remedy: "Predict with exchange.kind: ordered.")
        }
        guard sizes(configuration).count > 1 else {
            throw .configuration(
                "training.batch",
                "\(configuration.training.batch) examples are too few to see how the time grows with them",
                remedy: "Use at least \(4 * configuration.training.packing).")
        }
    }

    /// Shard sizes to time: the batch and its halves, down to two packs, of which every layer can have a variance.
    private static func sizes(_ configuration: Configuration) -> [Int] {
        let packing = configuration.training.packing
        return sequence(first: configuration.training.batch) { $0 / 2 / packing * packing }.prefix { $0 >= 2 * packing }
            .prefix(6).map { $0 }
    }

    /// The model's figures of a node's memory, from sums of some sizes up to `count` values over its ranks.
    private static func memory(count: Int, _ communicator: any Communicator) throws -> ScalingModel.Link {
        let table = try ShardTable(shards: communicator.size, communicator: communicator)
        let sums = try [count / 4096, count / 64, count / 8, count / 2, count].filter { $0 > 0 }.map { count in
            let sum = try GradientSum(count: count, table: table, communicator: communicator)
            let seconds = try slowest(of: communicator) {
                sum.beginShard()
                sum.endShard()
            } timed: {
                _ = try sum.finish()
            }
            return (count: Double(4 * count), seconds: seconds)
        }
        return memory(sums, ranks: communicator.size)
    }

    /// The same from what sums of so many bytes take. Where noise hides that larger ones take longer (a gradient of a
    /// few KB), all of the time of the largest is its bytes': the memory is then at least as fast as said.
    static func memory(_ sums: [(count: Double, seconds: Double)], ranks: Int) -> ScalingModel.Link {
        let line = ScalingModel.Line.fit(sums), largest = sums.max { $0.count < $1.count }!
        let each = line.each > 0 ? line.each : largest.seconds / largest.count
        return ScalingModel.Link(
            latency: line.fixed / Double(ranks), bytesPerSecond: (1 + 1 / Double(ranks)) / each)
    }
}

extension Configuration {
    /// The same with another global minibatch.
    fileprivate func with(batch: Int) throws -> Configuration {
        var tree = try ConfigurationTree(yaml: yaml, source: source, .stored)
        try tree.set("training.batch", to: batch)
        // The configuration's own may be more than so few examples; ranks alone have one each.
        try tree.set("exchange.shards", to: 1)
        return try Configuration(tree: tree)
    }
}
