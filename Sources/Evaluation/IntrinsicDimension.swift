import Foundation
import Kernels
import Nets
import Storage

/// The dimension of what examples lie on, by maximum likelihood (Levina & Bickel 2004, "Maximum likelihood estimation
/// of intrinsic dimension", eq. 8). With T_j the distance from an example to its j-th nearest other one:
///
///     1 / m = mean over the examples of   1/(k − 1) Σ_{j < k} ln(T_k / T_j)
///
/// The mean is taken of 1/m, not of m: the correction of MacKay & Ghahramani 2005, by which it is the maximum of the
/// likelihood of all examples. k = 20. An example that has a copy has no such distance, and is left out: of a
/// generator with few different answers little is left, and `used` says how much.
///
/// The estimate is too small where there are fewer examples than a dimension of that size needs to be filled (their
/// §4): the data's, of as many examples, is what it is to be compared with.
public enum IntrinsicDimension {
    static let neighbours = 20

    struct Estimate {
        let dimension: Double
        let standardError: Double
        /// Examples that it is made of.
        let used: Int
    }

    /// Collective.
    static func measure(
        _ samples: Examples, _ reference: Examples, _ context: EvaluationContext,
        _ real: RealStatistics = RealStatistics()
    ) throws -> MetricResult {
        let mine = try estimate(samples, context)
        let kept = try real.numbers("intrinsic_dimension") {
            let found = try estimate(reference, context)
            return [found.dimension, found.standardError, Double(found.used)]
        }
        let theirs = Estimate(dimension: kept[0], standardError: kept[1], used: Int(kept[2]))
        return MetricResult(
            "intrinsic-dimension", mine.dimension, standardError: mine.standardError,
            more: [
                ("used", .count(mine.used)), ("data", .number(theirs.dimension)),
                ("data_standard_error", .number(theirs.standardError)), ("data_used", .count(theirs.used)),
            ],
            settings: [
                ("samples", .count(samples.count)), ("reference", .count(reference.count)), ("k", .count(neighbours)),
                ("distance", .text("Euclidean")),
            ])
    }

    /// Collective. The standard error is that of the mean of 1/m, carried over; neighbours share distances, so it is
    /// somewhat small.
    static func estimate(
        _ examples: Examples, neighbours k: Int = neighbours, _ context: EvaluationContext
    ) throws -> Estimate {
        let all = SampleSource(vectors: examples.buffer.array, dimension: examples.shape.count)
        let vectors = Examples(examples.buffer, shape: .vector(examples.shape.count))
        // The example itself is one of the nearest.
        let found = try NearestExamples.find(vectors, in: all, count: k + 1, context, "intrinsic dimension")
        let inverses = (0 ..< examples.count).compactMap { row in
            inverse(found[row * (k + 1) ..< (row + 1) * (k + 1)].filter { $0.index != row }.map(\.distance), k)
        }
        guard !inverses.isEmpty else { return Estimate(dimension: 0, standardError: 0, used: 0) }
        let mean = inverses.mean
        return Estimate(
            dimension: 1 / mean, standardError: inverses.standardError / (mean * mean), used: inverses.count)
    }

    /// 1/m of one example, whose others are at these distances; nil where one is a copy, or all are as far.
    private static func inverse(_ distances: [Double], _ k: Int) -> Double? {
        let nearest = distances.sorted().prefix(k)
        guard let least = nearest.first, let last = nearest.last, least > 0, last > least else { return nil }
        return nearest.dropLast().reduce(0) { $0 + log(last / $1) } / Double(k - 1)
    }
}
