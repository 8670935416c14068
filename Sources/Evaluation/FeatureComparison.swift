import Adversarial
import Collectives
import Kernels
import Nets
import Runs
import Storage
import Support

/// The measures of features that were computed elsewhere, by the names that `--metrics` takes.
public enum FeatureMetric: String, NamedMetric {
    case frechetDistance = "frechet-distance"
    case kernelDistance = "kernel-distance"
    case precisionRecall = "precision-recall"
    case densityCoverage = "density-coverage"
}

/// Two sets of features that another program has computed, such as Inception's of real and of generated images, [N, D]
/// and [M, D]: what `gan-dist evaluate --features` does.
///
/// With Inception's pool features the Fréchet distance is FID (Heusel et al. 2017) and the kernel distance KID
/// (Bińkowski et al. 2018), here over disjoint blocks of up to 1000 where the released code draws subsets.
public struct FeatureComparison: Sendable {
    /// The files of real and of generated examples.
    public let real, generated: String
    /// The path of the features in both; nil: `/features`, or the only matrix of floating-point numbers.
    public var dataset: String?
    /// Nil: all that so many examples allow.
    public var metrics: [FeatureMetric]?
    /// So many of each, drawn by ``seed``; nil: all.
    public var count: Int?
    public var seed: UInt64 = 1

    public init(real: String, generated: String) { (self.real, self.generated) = (real, generated) }

    /// The measures, the same on every rank. Throws 65 or 66 for files that are none of features or do not fit each
    /// other, 78 where a measure that was named does not fit. Collective.
    public func run(_ context: EvaluationContext) throws -> [MetricResult] {
        try context.communicator.inspect([(real, dataset), (generated, dataset)], options: .features)
        let (reference, samples) = try context.communicator.agreed { try (read(real, 1), read(generated, 2)) }
        guard reference.shape == samples.shape else {
            throw AgreedFailure(
                .badData(
                    "the features in \(generated) have \(samples.shape.count) values, those in \(real) "
                        + "\(reference.shape.count)",
                    remedy: "Compute both by the same network."))
        }
        let chosen = try fitting(min(reference.count, samples.count), context)
        let results = try chosen.flatMap { try measure($0, samples, reference, context) }
        if let wrong = results.first(where: { !$0.isFinite }) {
            throw AgreedFailure(
                .badData(
                    "the \(wrong.name) of \(generated) from \(real) is no number: some features are too large, or the "
                        + "files are of different networks",
                    remedy: "Look at the features' range."))
        }
        return results
    }

    /// The rows of a file in an order that the seed decides: blocks of neighbours shall not be of one class.
    private func read(_ path: String, _ number: Int) throws -> Examples {
        let stored = try Dataset(path, dataset: dataset, options: .features)
        guard stored.layout == .vector else {
            throw Failure.badData(
                "\(stored.name) in \(path) holds examples of \(stored.shape), not vectors of features",
                remedy: "Name features, [N, D], with --dataset PATH.")
        }
        guard stored.count > 1 else {
            throw Failure.badData("\(path) has the features of one example only", remedy: "Compute more.")
        }
        // Read once: a second copy in memory would serve nothing.
        let source = try SampleSource(stored, range: nil, memoryLimit: 0)
        let order = Draws(seed: seed, purpose: .evaluation, step: number).permutation(count: source.count)
        return try Examples(
            source, order.prefix(count ?? source.count).map(Int.init), shape: .vector(source.elements))
    }

    private func fitting(_ count: Int, _ context: EvaluationContext) throws -> [FeatureMetric] {
        try (metrics ?? FeatureMetric.allCases).filter { metric in
            let neighbours =
                switch metric {
                case .precisionRecall: Manifolds.neighboursOfPrecision
                case .densityCoverage: Manifolds.neighboursOfDensity
                case .frechetDistance, .kernelDistance: 1
                }
            guard neighbours >= count else { return true }
            let obstacle = Failure(
                .badConfiguration,
                "\(metric.rawValue) cannot be measured: \(count) examples have no \(neighbours) neighbours each",
                remedy: "Give the features of more examples, or leave it out.")
            if metrics != nil { throw AgreedFailure(obstacle) }
            context.console.say("left out: \(obstacle.message). \(obstacle.remedy)")
            return false
        }
    }

    private func measure(
        _ metric: FeatureMetric, _ samples: Examples, _ reference: Examples, _ context: EvaluationContext
    ) throws -> [MetricResult] {
        let settings: [MetricResult.Entry] = [("real", .text(real)), ("generated", .text(generated))]
        switch metric {
        case .frechetDistance:
            FrechetDistance.warn(samples.shape.count, of: min(samples.count, reference.count), context.console)
            return [FrechetDistance.measure(metric.rawValue, samples, reference, settings)]
        case .kernelDistance:
            return [try KernelDiscrepancy.measure(features: samples, reference, settings, context)]
        case .precisionRecall: return try Manifolds.precisionAndRecall(samples, reference, settings, context)
        case .densityCoverage: return try Manifolds.densityAndCoverage(samples, reference, settings, context)
        }
    }
}
