import Foundation
import Storage
import Support

/// Whether a generator copies its training data: distances of samples to their nearest training example against those
/// of held-out examples (Meehan, Chaudhuri & Dasgupta 2020, "A non-parametric test to detect data-copying", §3, with
/// one cell).
///
/// The figure is P(a sample is farther from the training data than a held-out example): ½ where both are alike, 0
/// where all samples are copies, above ½ where samples stay away from the training data (as blurred or wrong ones do
/// too). `p_value` is that of the one-sided test of Mann & Whitney 1947 that samples are nearer; small means copying.
public enum Memorisation {
    static let quantiles = [0.0, 0.05, 0.25, 0.5, 0.75, 0.95]

    static func measure(
        samples: Examples, heldOut: Examples, training: SampleSource, _ context: EvaluationContext,
        _ real: RealStatistics = RealStatistics()
    ) throws -> MetricResult {
        let ofSamples = try NearestExamples.find(samples, in: training, context, "memorisation: samples").map(
            \.distance
        ).sorted()
        let ofHeldOut = try real.numbers("held_out_distances") {
            try NearestExamples.find(heldOut, in: training, context, "memorisation: held-out").map(\.distance)
                .sorted()
        }
        let test = RankSumTest(ofSamples, ofHeldOut)
        return MetricResult(
            "memorisation", test.probability,
            more: [
                ("z", .number(test.z)), ("p_value", .number(test.pValueLess)),
                ("copies", .count(ofSamples.count { $0 == 0 })),
                ("quantiles", .numbers(quantiles)), ("distances_samples", .numbers(quantiles.map(ofSamples.quantile))),
                ("distances_held_out", .numbers(quantiles.map(ofHeldOut.quantile))),
            ],
            settings: [
                ("samples", .count(samples.count)), ("held_out", .count(heldOut.count)),
                ("training", .count(training.count)),
                ("distance", .text("Euclidean")), ("test", .text("Mann-Whitney, one-sided, normal approximation")),
            ])
    }
}

/// The test of Mann & Whitney 1947 of two samples, with the normal approximation, mid-ranks for ties and a continuity
/// correction.
struct RankSumTest {
    /// P(first > second) + ½ P(first = second), the U statistic over the number of pairs.
    let probability: Double
    /// (U − mean) / deviation where both are of one distribution: negative where the first values are the lesser ones.
    let z: Double
    /// P(U is so small or smaller) if both are of one distribution.
    let pValueLess: Double

    init(_ first: [Double], _ second: [Double]) {
        let (m, n) = (Double(first.count), Double(second.count))
        let all = (first.map { ($0, true) } + second.map { ($0, false) }).sorted { $0.0 < $1.0 }
        var rankSum = 0.0, ties = 0.0, start = 0
        while start < all.count {
            var end = start + 1
            while end < all.count, all[end].0 == all[start].0 { end += 1 }
            let size = Double(end - start)
            ties += size * size * size - size
            rankSum += Double(all[start ..< end].count { $0.1 }) * (Double(start + 1) + Double(end)) / 2
            start = end
        }
        let u = rankSum - m * (m + 1) / 2, total = m + n
        let deviation = (m * n / 12 * (total + 1 - ties / (total * (total - 1)))).squareRoot()
        probability = u / (m * n)
        z = deviation > 0 ? (u - m * n / 2) / deviation : 0
        pValueLess = deviation > 0 ? min(1, upperTail((m * n / 2 - u - 0.5) / deviation)) : 1
    }
}
