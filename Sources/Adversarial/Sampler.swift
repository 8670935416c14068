import Kernels
import Nets

/// Asks a generator for examples, outside training.
public final class Sampler {
    private let network: Network
    private let parameters: Floats
    private let latents: Latents

    /// `parameters`: those to compute with, in the layout of the network's store; nil: its own. They must outlive this.
    /// `truncation`: the values of normal latents are within ± so much.
    public init(_ network: Network, _ latent: Latent, parameters: Floats? = nil, truncation: Float? = nil) {
        self.network = network
        self.parameters = parameters ?? network.store.values.values
        latents = Latents(latent, capacity: network.capacity, truncation: truncation)
    }

    public var shape: Shape { network.outputShape }

    /// What the output's activation can reach.
    public var range: ClosedRange<Float> { network.layers.outputRange }

    /// `count` examples, one after another, from latents number `draws.firstSample` on.
    public func samples(count: Int, _ draws: Draws) throws -> FloatBuffer {
        try network.answers(count: count, parameters) { start, size in
            let part = Draws(
                seed: draws.seed, purpose: draws.purpose, step: draws.step, inner: draws.inner,
                firstSample: draws.firstSample + start)
            return latents.fill(count: size, part)
        }
    }

    /// The latents that ``samples(count:_:)`` would use.
    public func latents(count: Int, _ draws: Draws) -> [[Float]] {
        (0 ..< count).map { number in
            let draw = Draws(
                seed: draws.seed, purpose: draws.purpose, step: draws.step, inner: draws.inner,
                firstSample: draws.firstSample + number)
            return latents.fill(count: 1, draw).values.array
        }
    }

    /// The examples that `latents` give.
    public func samples(of latents: FloatBuffer) throws -> FloatBuffer {
        let size = network.inputShape.count
        return try network.answers(count: latents.count / size, parameters) { start, count in
            Batch(latents.values[start * size ..< (start + count) * size], count: count, shape: network.inputShape)
        }
    }
}

extension Network {
    /// The outputs for `count` inputs, one after another, as many at once as the network was planned for; `input`
    /// gives those from a number on.
    public func answers(
        count: Int, _ parameters: Floats, _ input: (_ start: Int, _ count: Int) throws -> Batch
    ) throws -> FloatBuffer {
        let answers = FloatBuffer(count: count * outputShape.count)
        for start in stride(from: 0, to: count, by: capacity) {
            let size = min(capacity, count - start)
            let output = try forward(try input(start, size), parameters: parameters, mode: .sampling)
            answers.values[start * outputShape.count ..< (start + size) * outputShape.count].copy(from: output.values)
        }
        return answers
    }
}
