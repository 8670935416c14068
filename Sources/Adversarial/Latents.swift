import Kernels
import Nets

/// Draws z for the generator: N(0, I), or U(−√3, √3), which has the same variance.
///
/// Truncated normal latents, for sampling: a value beyond ±T is drawn again until it is within (Brock et al. 2019,
/// "BigGAN", §3.1). Its n-th draw is that of the inner step n, so that all other values stay what they were.
final class Latents {
    /// The layer number in the draws' key: no layer of a network has it, so noise and dropout never share numbers.
    static let layer = 255

    private let settings: Latent
    private let truncation: Float?
    private let memory: FloatBuffer
    /// Of one latent, for values that are drawn again.
    private let again: FloatBuffer

    init(_ settings: Latent, capacity: Int, truncation: Float? = nil) {
        precondition(truncation == nil || settings.distribution == .normal, "uniform latents are not truncated")
        (self.settings, self.truncation) = (settings, truncation)
        again = FloatBuffer(count: truncation == nil ? 0 : settings.size)
        memory = FloatBuffer(count: capacity * settings.size)
    }

    /// The greatest magnitude of a value, where there is one.
    var bound: Float? { settings.distribution == .uniform ? Float(3).squareRoot() : truncation }

    /// `count` latents, the first of which is number `draws.firstSample`; valid until the next call.
    func fill(count: Int, _ draws: Draws) -> Batch {
        let values = memory.values[0 ..< count * settings.size]
        switch settings.distribution {
        case .normal: draws.fillNormal(values, samples: count, layer: Self.layer)
        case .uniform:
            draws.fillUniform(
                values, samples: count, layer: Self.layer, low: -Float(3).squareRoot(), high: Float(3).squareRoot())
        }
        if let truncation {
            for row in 0 ..< count {
                let number = draws.firstSample + row
                redraw(values[row * settings.size ..< (row + 1) * settings.size], draws, number, beyond: truncation)
            }
        }
        return Batch(values, count: count, shape: .vector(settings.size))
    }

    private func redraw(_ latent: Floats, _ draws: Draws, _ number: Int, beyond limit: Float) {
        var inner = draws.inner
        while (0 ..< latent.count).contains(where: { abs(latent[$0]) > limit }) {
            inner += 1
            Draws(seed: draws.seed, purpose: draws.purpose, step: draws.step, inner: inner, firstSample: number)
                .fillNormal(again.values, samples: 1, layer: Self.layer)
            for index in 0 ..< latent.count where abs(latent[index]) > limit { latent[index] = again.values[index] }
        }
    }
}
