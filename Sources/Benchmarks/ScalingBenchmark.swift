import Adversarial
import Collectives
import Foundation
import Kernels
import Nets
import Recipes
import Storage
import Support

/// Measures on the ranks at hand what a ``ScalingModel`` needs, and has it say what steps would take on 8 to 512:
/// what `gan-dist bench scaling` prints. The ranks are either all on one node, whose exchange is measured, or each on
/// a node of its own: then the network is.
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
        public let secondsPredictedOverlapped: Double
        /// predicted / measured − 1.
        public let error: Double

        init(of prediction: ScalingModel.Prediction, measured: Double) {
            secondsMeasured = measured
            secondsPredicted = prediction.secondsStep
            secondsPredictedOverlapped = prediction.secondsStepOverlapped
            error = prediction.secondsStep / measured - 1
        }

        enum CodingKeys: String, CodingKey {
            case secondsMeasured = "seconds_measured", secondsPredicted = "seconds_predicted"
            case secondsPredictedOverlapped = "seconds_predicted_overlapped", error
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
    /// Gbit/s with 50 µs. Every rank calls it.
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

        let whole = try StepTimes(configuration, steps: steps, communicator)
        let alone = try Self.sizes(configuration).map {
            try StepTimes(configuration.with(batch: $0), steps: steps, alone: communicator)
        }
        computePoints = alone.map { ComputePoint(samples: $0.batch, seconds: $0.compute) }
        let points = computePoints.map { (count: Double($0.samples), seconds: $0.seconds) }
        compute = .fit(points)
        computeWorstDeviation = compute.worstDeviation(points)
        optimizer = whole.optimiser
        bytesOfGradients = whole.gradients
        bytesOfStatistics = whole.statistics

        let exchange = communicator.size > 1 ? try Self.exchange(of: whole.gradients.max()! / 4, communicator) : nil
        memory = isOneNode ? exchange.map { Self.memory($0, ranks: communicator.size) } : nil
        let measured = isOneNode ? nil : exchange.map { Self.network($0, nodes: communicator.size) }
        networkIsMeasured = given == nil && measured != nil
        network = given ?? measured ?? ScalingModel.Link(latency: 50e-6, bytesPerSecond: 10e9 / 8)

        var model = ScalingModel(
            compute: compute, optimiser: optimizer, gradients: bytesOfGradients, statistics: bytesOfStatistics,
            ranksOfNode: isOneNode ? ranks : 1, memory: memory, network: measured ?? network)
        check = Check(of: model.strong(ranks: ranks, batch: batch)!, measured: whole.step)
        (model.ranksOfNode, model.network) = (ranksOfNode, network)
        strong = Self.predicted.prefix { $0 <= configuration.training.batch }.map {
            model.strong(ranks: $0, batch: configuration.training.batch)!
        }
        weak = Self.predicted.map { model.weak(ranks: $0, samples: configuration.training.batch) }
    }

    /// That what is asked for can be measured here.
    private static func check(
        _ configuration: Configuration, isOneNode: Bool, ranksOfNode: Int?, _ communicator: any Communicator
    ) throws(Failure) {
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

    /// Seconds of sums of some sizes up to `count` values, over the bytes of the vector.
    private static func exchange(of count: Int, _ communicator: any Communicator) throws -> ScalingModel.Line {
        let table = try ShardTable(shards: communicator.size, communicator: communicator)
        return .fit(
            try [count / 4096, count / 64, count / 8, count / 2, count].filter { $0 > 0 }.map { count in
                let sum = try GradientSum(count: count, table: table, communicator: communicator)
                let times = try (0 ..< 12).map { _ in
                    sum.beginShard()
                    sum.endShard()
                    try communicator.barrier()
                    let start = monotonicSeconds()
                    _ = try sum.finish()
                    return try communicator.gather(monotonicSeconds() - start).max()!
                }
                return (Double(4 * count), median(Array(times.dropFirst(2))))
            })
    }

    /// The model's figures of memory and network from what sums over `ranks` of one node, or over `nodes` of one
    /// rank, take.
    static func memory(_ exchange: ScalingModel.Line, ranks: Int) -> ScalingModel.Link {
        ScalingModel.Link(
            latency: exchange.fixed / log2(Double(ranks)), bytesPerSecond: (1 + 1 / Double(ranks)) / exchange.each)
    }

    static func network(_ exchange: ScalingModel.Line, nodes: Int) -> ScalingModel.Link {
        let p = Double(nodes)
        return ScalingModel.Link(
            latency: exchange.fixed / (2 * (p - 1)), bytesPerSecond: 2 * (p - 1) / p / exchange.each)
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

/// Medians of a few steps: over the ranks, the slowest's.
private struct StepTimes {
    let batch: Int
    let step: Double
    let optimiser: Double
    /// All but the optimiser.
    let compute: Double
    let gradients: [Int]
    let statistics: Int

    /// Of steps that all ranks make together.
    init(_ configuration: Configuration, steps: Int, _ communicator: any Communicator) throws {
        try self.init(configuration, steps: steps, communicator, all: communicator)
    }

    /// Of steps that every rank makes for itself, all at once.
    init(_ configuration: Configuration, steps: Int, alone communicator: any Communicator) throws {
        try self.init(configuration, steps: steps, SoloCommunicator(), all: communicator)
    }

    private init(
        _ configuration: Configuration, steps: Int, _ communicator: any Communicator, all: any Communicator
    ) throws {
        batch = configuration.training.batch
        let trainer = try Trainer.onRandomData(configuration, shards: communicator.size, communicator: communicator)
        var times: [Double] = [], computing: [Double] = [], optimising: [Double] = []
        for number in 0 ..< steps + 2 {
            try all.barrier()
            let start = monotonicSeconds()
            _ = try trainer.step()
            let seconds = monotonicSeconds() - start
            if number < 2 { continue }
            times.append(seconds)
            optimising.append(trainer.clock[.optimiser])
            computing.append(seconds - trainer.clock[.optimiser])
        }
        step = try all.gather(median(times)).max()!
        optimiser = try all.gather(median(optimising)).max()!
        compute = try all.gather(median(computing)).max()!
        gradients = trainer.bytesOfGradients
        statistics = trainer.bytesOfStatistics
    }
}
