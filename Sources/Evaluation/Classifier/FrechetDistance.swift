import Foundation
import Kernels
import Support

/// The Fréchet distance of two sets of features, each taken for normal (Dowson & Landau 1982; on a network's features
/// Heusel et al. 2017):
///
///     d² = |μ₁ − μ₂|² + tr C₁ + tr C₂ − 2 tr (C₁^½ C₂ C₁^½)^½
///
/// The last trace is Σ √λ over the eigenvalues of that symmetric matrix, in double: no square root of an unsymmetric
/// one, whose rounding can be complex. Biased upwards, the more the fewer the samples (Bińkowski et al. 2018, §3):
/// compare equal numbers only.
public enum FrechetDistance {
    /// Mean and covariance (divisor n − 1).
    struct Moments {
        let count: Int
        let mean: [Double]
        /// [D, D]
        let covariance: [Double]
        /// Rows whose differences from the mean are held in double at a time.
        private static let block = 1024

        init(count: Int, mean: [Double], covariance: [Double]) {
            (self.count, self.mean, self.covariance) = (count, mean, covariance)
        }

        init(_ features: Examples) {
            let (count, size) = (features.count, features.shape.count), values = features.values
            precondition(count > 1, "the covariance of \(count) examples")
            var mean = [Double](repeating: 0, count: size)
            for row in 0 ..< count {
                for index in 0 ..< size { mean[index] += Double(values[row * size + index]) / Double(count) }
            }
            var sums = [Double](repeating: 0, count: size * size)
            for first in stride(from: 0, to: count, by: Self.block) {
                let rows = first ..< min(first + Self.block, count)
                let centred = rows.flatMap { row in
                    (0 ..< size).map { Double(values[row * size + $0]) - mean[$0] }
                }
                Matrix.multiply(
                    centred, transposed: true, by: centred, into: &sums, rows: size, columns: size, inner: rows.count,
                    adding: true)
            }
            self.init(count: count, mean: mean, covariance: sums.map { $0 / Double(count - 1) })
        }
    }

    /// d².
    static func squared(_ first: Moments, _ second: Moments) -> Double {
        let size = first.mean.count
        let root = squareRoot(first.covariance, size)
        let middle = product(product(root, second.covariance, size), root, size)
        let values = SymmetricEigenvalues.decompose(middle, order: size).values
        let trace = (0 ..< size).reduce(0.0) {
            $0 + first.covariance[$1 * size + $1] + second.covariance[$1 * size + $1]
        }
        let difference = zip(first.mean, second.mean).reduce(0.0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
        // What is zero may come out as negative by rounding.
        return difference + trace - 2 * values.reduce(0) { $0 + max($1, 0).squareRoot() }
    }

    /// V diag(√λ) Vᵀ of a symmetric matrix without negative eigenvalues.
    private static func squareRoot(_ matrix: [Double], _ size: Int) -> [Double] {
        let (values, vectors) = SymmetricEigenvalues.decompose(matrix, order: size)
        var scaled = vectors
        for row in 0 ..< size {
            for column in 0 ..< size { scaled[row * size + column] *= max(values[row], 0).squareRoot() }
        }
        return product(vectors, transposed: true, scaled, size)
    }

    private static func product(_ a: [Double], transposed: Bool = false, _ b: [Double], _ size: Int) -> [Double] {
        var result = [Double](repeating: 0, count: size * size)
        Matrix.multiply(a, transposed: transposed, by: b, into: &result, rows: size, columns: size, inner: size)
        return result
    }

    /// Warns where there are fewer examples than features.
    static func warn(_ features: Int, of examples: Int, _ console: Console) {
        guard examples < features else { return }
        console.warn(
            "the Fréchet distance of \(features) features is taken from \(examples) examples only: their covariance is "
                + "not of full rank, and the figure far too large")
    }

    static func measure(
        _ name: String, _ samples: Examples, _ reference: Examples, _ settings: [MetricResult.Entry],
        _ real: RealStatistics = RealStatistics()
    ) -> MetricResult {
        let size = reference.shape.count
        let kept = real.numbers("moments") {
            let moments = Moments(reference)
            return moments.mean + moments.covariance
        }
        let theirs = Moments(count: reference.count, mean: Array(kept[..<size]), covariance: Array(kept[size...]))
        return MetricResult(
            name, squared(Moments(samples), theirs),
            settings: [
                ("samples", .count(samples.count)), ("reference", .count(reference.count)),
                ("features", .count(samples.shape.count)),
            ] + settings)
    }
}
