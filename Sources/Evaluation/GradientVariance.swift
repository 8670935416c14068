import Adversarial
import Foundation
import Kernels
import Nets

/// How much the gradient of G's cost differs from one example to the next, for each cost of Goodfellow et al. 2014 and
/// 2016 against the same D:
///
///     gᵢ = c′(sᵢ) ∂s(G(zᵢ))/∂θ,   variance = tr Cov(g) = (Σ ‖gᵢ‖² − n ‖ḡ‖²) / (n − 1),   noise scale = variance / ‖ḡ‖²
///
/// The gradient of a minibatch of B such examples has the variance over B; the noise scale (McCandlish et al. 2018,
/// arXiv:1812.06162, eq. 2.9) is the B at which noise and gradient are of one size.
enum GradientVariance {
    static let costs: [(name: String, loss: GeneratorLoss)] = [
        ("minimax", .minimax), ("non-saturating", .nonSaturating), ("maximum-likelihood", .maximumLikelihood),
        ("reverse-kl", .reverseKL),
    ]

    static func name(_ cost: String) -> String { "\(Metric.gradientVariance.rawValue)-\(cost)" }

    private static let block = 256

    /// Of the examples that `gan-dist sample` makes with this seed. Collective.
    static func measure(
        _ gradient: LogitGradient, count: Int, seed: UInt64, _ context: EvaluationContext
    ) throws -> [MetricResult] {
        let width = costs.count * (gradient.count + 1), ranks = context.communicator.size
        let blocks = (count + block - 1) / block
        var sums = [Double](repeating: 0, count: width)
        // A block a rank at a time, added in the order of blocks: the same bits on any number of ranks.
        for first in stride(from: 0, to: blocks, by: ranks) {
            let round = min(ranks, blocks - first)
            let found = try context.map(round, block: 1, width: width, "gradients") { number in
                let start = (first + number.lowerBound) * block
                return try Self.sums(gradient, start ..< min(start + block, count), seed: seed)
            }
            for part in 0 ..< round {
                for index in 0 ..< width { sums[index] += found[part * width + index] }
            }
        }
        return costs.indices.map { result($0, sums, gradient.count, examples: Double(count)) }
    }

    /// Of each cost Σ ‖gᵢ‖², and then of each Σ gᵢ.
    private static func sums(_ gradient: LogitGradient, _ rows: Range<Int>, seed: UInt64) throws -> [Double] {
        let size = gradient.count, ofExample = FloatBuffer(count: size), values = ofExample.values
        var sums = [Double](repeating: 0, count: costs.count * (size + 1))
        for row in rows {
            let draws = Draws(seed: seed, purpose: .sample, step: 0, firstSample: row)
            let logit = try gradient.logit(draws, into: values)
            let squaredNorm = Reductions.squaredNorm(of: values)
            for (number, cost) in costs.enumerated() {
                let slope = cost.loss.slope(logit), first = costs.count + number * size
                sums[number] += slope * slope * squaredNorm
                for index in 0 ..< size { sums[first + index] += slope * Double(values[index]) }
            }
        }
        return sums
    }

    private static func result(_ cost: Int, _ sums: [Double], _ size: Int, examples: Double) -> MetricResult {
        let first = costs.count + cost * size
        let squaredNorm = sums[first ..< first + size].reduce(0) { $0 + $1 * $1 } / (examples * examples)
        let variance = max(0, sums[cost] - examples * squaredNorm) / (examples - 1)
        return MetricResult(
            name(costs[cost].name), variance,
            more: [
                ("norm", .number(squaredNorm.squareRoot())),
                ("noise_scale", .number(squaredNorm > 0 ? variance / squaredNorm : .infinity)),
            ], settings: [("examples", .count(Int(examples)))])
    }
}
