import Foundation

extension [Double] {
    var mean: Double { reduce(0, +) / Double(count) }

    /// √(Σ (v − mean)² / n): the divisor of the published protocols, n and not n − 1.
    var deviation: Double {
        let mean = mean
        return (reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(count)).squareRoot()
    }

    /// Of the mean of independent values: deviation / √n.
    var standardError: Double { deviation / Double(count).squareRoot() }
}

/// P(Z > z) of a standard normal Z.
func upperTail(_ z: Double) -> Double { 0.5 * erfc(z / 2.0.squareRoot()) }

/// Σ p log(p / q) of two distributions given by their counts; ∞ where p has what q has not.
func divergence(_ p: [Int], from q: [Double]) -> Double {
    let (total, whole) = (Double(p.reduce(0, +)), q.reduce(0, +))
    return zip(p, q).reduce(0) { sum, pair in
        guard pair.0 > 0 else { return sum }
        let share = Double(pair.0) / total
        return sum + share * log(share / (pair.1 / whole))
    }
}
