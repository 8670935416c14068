import Foundation
import Kernels
import Support

/// The squared maximum mean discrepancy of two sets by a kernel (Gretton et al. 2012, eq. 3, the unbiased estimate):
///
///     Σ_{i≠j} k(xᵢ, xⱼ) / m(m−1) + Σ_{i≠j} k(yᵢ, yⱼ) / m(m−1) − 2 Σ_{ij} k(xᵢ, yⱼ) / m²
///
/// Taken over disjoint blocks of m examples (Zaremba et al. 2013): the figure is the mean of the blocks' estimates,
/// its error their deviation / √blocks, since blocks are independent. 0 on average for equal distributions, so it may
/// be negative.
public enum KernelDiscrepancy {
    enum Kernel {
        /// exp(−|x − y|² / 2σ²).
        case gaussian(deviation: Double)
        /// (x·y / D + 1)³, as of Bińkowski et al. 2018 (KID).
        case cubic
    }

    static let largestBlock = 1000

    /// The blocks' estimates; `y` are the real ones. Collective.
    static func estimates(
        _ x: Examples, _ y: Examples, _ kernel: Kernel, block: Int = largestBlock, _ context: EvaluationContext,
        _ title: String, _ real: RealStatistics = RealStatistics()
    ) throws -> [Double] {
        let count = min(x.count, y.count), length = x.shape.count
        let size = min(block, max(count / 2, 2)), blocks = count / size
        let room = FloatBuffer(count: size * size)
        func rows(_ block: Range<Int>) -> Range<Int> { block.lowerBound * size ..< block.upperBound * size }
        func within(_ examples: Examples, _ block: Range<Int>) -> Double {
            let part = examples[rows(block)]
            return sum(kernel, part, part, length, leavingOutPairs: true, room.values)
        }
        let ofReal = try real.numbers("\(title)_within") {
            try context.map(blocks, block: 1, title) { [within(y, $0)] }
        }
        return try context.map(blocks, block: 1, title) { block in
            let within = within(x, block) + ofReal[block.lowerBound]
            let between = sum(kernel, x[rows(block)], y[rows(block)], length, leavingOutPairs: false, room.values)
            let m = Double(size)
            return [within / (m * (m - 1)) - 2 * between / (m * m)]
        }
    }

    /// Σ k(aᵢ, bⱼ), without i = j where a is b.
    private static func sum(
        _ kernel: Kernel, _ a: Floats, _ b: Floats, _ length: Int, leavingOutPairs: Bool, _ room: Floats
    ) -> Double {
        let count = a.count / length
        switch kernel {
        case .gaussian(let deviation):
            Distances.squared(a, b, length: length, into: room)
            let scale = 1 / (2 * deviation * deviation)
            return (0 ..< count).reduce(0.0) { sum, row in
                let all = Distances.sumOfExponentials(
                    of: room[row * count ..< (row + 1) * count], from: 0, scale: Float(scale))
                return sum + all - (leavingOutPairs ? exp(-Double(room[row * count + row]) * scale) : 0)
            }
        case .cubic:
            Matrix.multiply(a, by: b, secondTransposed: true, into: room, rows: count, columns: count, inner: length)
            var sum = 0.0
            for row in 0 ..< count {
                for column in 0 ..< count where !leavingOutPairs || column != row {
                    let base = Double(room[row * count + column]) / Double(length) + 1
                    sum += base * base * base
                }
            }
            return sum
        }
    }

    /// The median of the distances between the first examples of a set: the usual σ (Gretton et al. 2012, §8).
    static func medianDistance(_ examples: Examples) -> Double {
        let some = examples.first(largestBlock), count = some.count
        let distances = FloatBuffer(count: count * count)
        Distances.squared(some.values, some.values, length: some.shape.count, into: distances.values)
        let pairs = (0 ..< count).flatMap { row in (0 ..< row).map { Double(distances.values[row * count + $0]) } }
            .sorted()
        return pairs.quantile(0.5).squareRoot()
    }

    /// With a Gaussian kernel on the values themselves. Collective.
    static func measure(
        _ samples: Examples, _ reference: Examples, _ context: EvaluationContext,
        _ real: RealStatistics = RealStatistics()
    ) throws -> MetricResult {
        let deviation = real.numbers("median_distance") { [medianDistance(reference)] }[0]
        return result(
            "mmd", try estimates(samples, reference, .gaussian(deviation: deviation), context, "mmd", real), samples,
            reference,
            [("kernel", .text("Gaussian")), ("sigma", .number(deviation))])
    }

    /// With a cubic kernel on features. Collective.
    static func measure(
        features samples: Examples, _ reference: Examples, _ settings: [MetricResult.Entry],
        _ context: EvaluationContext, _ real: RealStatistics = RealStatistics()
    ) throws -> MetricResult {
        result(
            "kernel-distance", try estimates(samples, reference, .cubic, context, "kernel-distance", real), samples,
            reference,
            [("kernel", .text("(x·y/D + 1)^3"))] + settings)
    }

    private static func result(
        _ name: String, _ estimates: [Double], _ samples: Examples, _ reference: Examples,
        _ settings: [MetricResult.Entry]
    ) -> MetricResult {
        MetricResult(
            name, estimates.mean, standardError: estimates.standardError,
            settings: [
                ("samples", .count(samples.count)), ("reference", .count(reference.count)),
                ("blocks", .count(estimates.count)),
            ] + settings)
    }
}
