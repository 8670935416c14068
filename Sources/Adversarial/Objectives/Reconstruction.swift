import Foundation
import Kernels
import Nets

/// p(x | z) by the decoder's output y, and its cost −ln p(x | z) in nats: Kingma & Welling 2014 (arXiv:1312.6114),
/// appendix C.
public enum Reconstruction: Sendable {
    /// Each value of x is in 0 … 1, y the log-odds of 1:
    ///
    ///     −Σ (x ln p + (1 − x) ln (1 − p)) = Σ (ln(1 + eʸ) − x y),   p = 1 / (1 + e⁻ʸ)
    ///
    /// Of values between 0 and 1, as of grey pixels, this is the usual cost, though no density of theirs.
    case bernoulli
    /// y is the mean of each value, and `deviation` its standard deviation σ: ½ Σ ((x − y)² / σ² + ln 2πσ²).
    case gaussian(deviation: Double)

    /// What makes the mean of x of the decoder's output.
    package var meanLayers: [any Layer] {
        switch self {
        case .bernoulli: [Sigmoid()]
        case .gaussian: []
        }
    }

    /// −ln p(x | z), where `output` and `example` are of one example or of several.
    public func cost(of output: Floats, _ example: Floats) -> Double {
        precondition(output.count == example.count, "\(output.count) values for \(example.count)")
        var sum = 0.0
        switch self {
        case .bernoulli:
            for index in 0 ..< output.count {
                let y = Double(output[index])
                sum += max(y, 0) + log1p(exp(-abs(y))) - Double(example[index]) * y
            }
        case .gaussian(let deviation):
            for index in 0 ..< output.count {
                let difference = (Double(example[index]) - Double(output[index])) / deviation
                sum += difference * difference
            }
            sum = (sum + Double(output.count) * log(2 * .pi * deviation * deviation)) / 2
        }
        return sum
    }

    /// `factor` times its derivative with respect to the output: p − x, or (y − x) / σ².
    package func slopes(of output: Floats, _ example: Floats, factor: Float, into slopes: Floats) {
        switch self {
        case .bernoulli:
            Activations.sigmoid(output, into: slopes)
            for index in 0 ..< output.count { slopes[index] = factor * (slopes[index] - example[index]) }
        case .gaussian(let deviation):
            let factor = factor / Float(deviation * deviation)
            for index in 0 ..< output.count { slopes[index] = factor * (output[index] - example[index]) }
        }
    }

    /// E[x | z], in the output's place.
    package func mean(of output: Floats) {
        if case .bernoulli = self { Activations.sigmoid(output, into: output) }
    }
}
