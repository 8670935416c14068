import Glibc
import Kernels

/// A normal code of each example, as an encoder names it by its output (μ, s), which has twice the values of a code:
///
///     σ = 10⁻⁶ + ln(1 + eˢ),   z = μ + σ ε,   ε ~ N(0, I)
///     KL(N(μ, σ²) ‖ N(0, I)) = ½ Σ (μ² + σ² − ln σ² − 1)
///
/// Kingma & Welling 2014 (arXiv:1312.6114), §2.4 and appendix B; σ as in the code of Lucic et al. 2018
/// (arXiv:1711.10337). The memory is planned for `capacity` examples.
public final class GaussianCode {
    /// Values of a code.
    public let size: Int
    private let codes, deviations, gradients: FloatBuffer
    private var lastDescription = Batch(.none, count: 0, shape: .vector(1))
    private var lastNoise = Floats.none
    private static let leastDeviation: Float = 1e-6

    public init(size: Int, capacity: Int) {
        self.size = size
        codes = FloatBuffer(count: size * capacity)
        deviations = FloatBuffer(count: size * capacity)
        gradients = FloatBuffer(count: 2 * size * capacity)
    }

    /// What an encoder makes of an example, for codes of so many values.
    public static func description(of size: Int) -> Shape { .vector(2 * size) }

    /// z of each example, valid until the next call; both arguments must stay as they are until the last
    /// ``backward(from:divergence:)``. `noise`: ε, a code's values for each example.
    public func codes(_ description: Batch, noise: Floats) -> Batch {
        let count = description.count
        precondition(
            description.shape == Self.description(of: size) && noise.count == count * size,
            "codes of \(size) values from \(description.shape), with \(noise.count) values of noise for \(count)")
        (lastDescription, lastNoise) = (description, noise)
        let deviations = deviations.values[0 ..< count * size], codes = codes.values[0 ..< count * size]
        for row in 0 ..< count {
            deviations[row * size ..< (row + 1) * size].copy(from: description[row][size ..< 2 * size])
        }
        Activations.softplus(deviations, into: deviations)
        for row in 0 ..< count {
            let mean = description[row]
            for index in 0 ..< size {
                let place = row * size + index
                deviations[place] += Self.leastDeviation
                codes[place] = mean[index] + deviations[place] * noise[place]
            }
        }
        return Batch(codes, count: count, shape: .vector(size))
    }

    /// μ of each example, one after another in a new buffer.
    public func means(_ description: Batch) -> FloatBuffer {
        let means = FloatBuffer(count: description.count * size)
        for row in 0 ..< description.count {
            means.values[row * size ..< (row + 1) * size].copy(from: description[row][0 ..< size])
        }
        return means
    }

    /// KL(N(μ, σ²) ‖ N(0, I)) of example `row` of the last ``codes(_:noise:)``, in nats.
    public func divergence(row: Int) -> Double {
        let mean = lastDescription[row], deviations = deviations.values[row * size ..< (row + 1) * size]
        var sum = 0.0
        for index in 0 ..< size {
            let mean = Double(mean[index]), variance = Double(deviations[index]) * Double(deviations[index])
            sum += mean * mean + variance - log(variance) - 1
        }
        return sum / 2
    }

    /// The gradient with respect to (μ, s) of a cost whose gradient with respect to z is `gradient`, and of `weight`
    /// times the divergence of each example:
    ///
    ///     ∂/∂μ = g + w μ,   ∂/∂s = (g ε + w (σ − 1/σ)) / (1 + e⁻ˢ)
    ///
    /// Valid until the next call.
    public func backward(from gradient: Batch, divergence weight: Float) -> Batch {
        let count = gradient.count, description = lastDescription, noise = lastNoise
        precondition(
            count == description.count && gradient.shape == .vector(size),
            "a gradient of \(count) × \(gradient.shape) for \(description.count) codes of \(size)")
        let result = Batch(gradients.values, count: count, shape: description.shape)
        let deviations = deviations.values
        for row in 0 ..< count {
            let (mean, target) = (description[row], result[row]), slope = gradient[row]
            for index in 0 ..< size {
                let place = row * size + index, deviation = deviations[place]
                target[index] = slope[index] + weight * mean[index]
                target[size + index] = slope[index] * noise[place] + weight * (deviation - 1 / deviation)
            }
            let ofDeviation = target[size ..< 2 * size]
            Activations.softplusGradient(ofDeviation, input: mean[size ..< 2 * size], into: ofDeviation)
        }
        return result
    }
}
