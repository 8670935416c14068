import Kernels
import Nets
import Storage

/// The generator's answers to fixed latents, drawn again and again through a run. The latents have a purpose of their own in
/// the key of random draws, so that looking never changes the training.
public final class SampleSheet {
    private let sampler: Sampler
    private let latents: Draws
    /// Pictures for images; for points in the plane, so many of them.
    private static let pictures = 64
    private static let points = 2048

    init(_ network: Network, _ configuration: Configuration) {
        sampler = Sampler(network, configuration.latent)
        latents = Draws(seed: configuration.seed, purpose: .fixedLatents, step: 0)
    }

    func draw(to path: String) throws {
        let isImage = if case .image = sampler.shape { true } else { false }
        let count = isImage ? Self.pictures : Self.points
        try Picture.write(sampler.samples(count: count, latents), count: count, shape: sampler.shape, range: sampler.range, to: path)
    }
}

/// Asks a generator for examples, outside training.
public final class Sampler {
    private let network: Network
    private let latents: Latents

    init(_ network: Network, _ settings: Configuration.Latent) {
        self.network = network
        latents = Latents(settings, capacity: network.capacity)
    }

    public var shape: Shape { network.outputShape }

    /// What the output's activation can reach.
    public var range: ClosedRange<Float> { network.layers.outputRange }

    /// `count` examples, one after another, from latents number `draws.firstSample` on.
    public func samples(count: Int, _ draws: Draws) throws -> FloatBuffer {
        let samples = FloatBuffer(count: count * shape.count)
        for start in stride(from: 0, to: count, by: network.capacity) {
            let size = min(network.capacity, count - start)
            let part = Draws(seed: draws.seed, purpose: draws.purpose, step: draws.step, inner: draws.inner, firstSample: draws.firstSample + start)
            let output = try network.forward(latents.fill(count: size, part), mode: .sampling)
            samples.values[start * shape.count ..< (start + size) * shape.count].copy(from: output.values)
        }
        return samples
    }
}

extension [any Layer] {
    /// The range of values that the last activation can give: [0, 1] of a sigmoid, else [−1, 1], which is what images are
    /// scaled to where nothing bounds the output.
    var outputRange: ClosedRange<Float> { outputActivation is Sigmoid ? 0 ... 1 : -1 ... 1 }

    private var outputActivation: (any Layer)? { last { !($0 is Reshape) && !($0 is Flatten) } }

    /// The value before the last activation that makes it give `value`.
    func inverseOfOutput(_ value: Float) -> Float {
        // pylearn2's clip: a pixel that is always black must not start at minus infinity.
        let margin: Float = 1e-7
        switch outputActivation {
        case is Sigmoid:
            let p = Double(Swift.min(Swift.max(value, margin), 1 - margin))
            return Float(logit(p))
        case is Tanh:
            let p = (Double(Swift.min(Swift.max(value, -1 + margin), 1 - margin)) + 1) / 2
            return Float(logit(p) / 2)
        default:
            return value
        }
    }
}
