import Kernels
import Nets

/// Draws z for the generator: N(0, I), or U(−√3, √3), which has the same variance.
final class Latents {
    /// The layer number in the draws' key: no layer of a network has it, so noise and dropout never share numbers.
    static let layer = 255

    private let settings: Latent
    private let memory: FloatBuffer

    init(_ settings: Latent, capacity: Int) {
        self.settings = settings
        memory = FloatBuffer(count: capacity * settings.size)
    }

    /// `count` latents, the first of which is number `draws.firstSample`; valid until the next call.
    func fill(count: Int, _ draws: Draws) -> Batch {
        let values = memory.values[0 ..< count * settings.size]
        switch settings.distribution {
        case .normal: draws.fillNormal(values, samples: count, layer: Self.layer)
        case .uniform:
            draws.fillUniform(
                values, samples: count, layer: Self.layer, low: -Float(3).squareRoot(), high: Float(3).squareRoot())
        }
        return Batch(values, count: count, shape: .vector(settings.size))
    }
}
