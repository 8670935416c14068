import Kernels
import Nets

/// Asks a generator for examples, outside training.
public final class Sampler {
    let network: Network
    let latent: Latent
    private let parameters: Floats
    private let latents: Latents
    /// What the network is conditioned on; nil: nothing.
    public let conditioning: Conditioning?
    /// Of a network whose inputs are codes: what makes a code of a latent, and room for such and for their gradients.
    private let codes: (distribution: CodeDistribution, values: FloatBuffer, slopes: FloatBuffer)?

    /// `parameters`: those to compute with, in the layout of the network's store; nil: its own. They must outlive this.
    /// `truncation`: the values of normal latents are within ± so much. `codes`: the network is given those that stand
    /// for the latents; nil: the latents.
    public init(
        _ network: Network, _ latent: Latent, _ conditioning: Conditioning? = nil, parameters: Floats? = nil,
        truncation: Float? = nil, codes: CodeDistribution? = nil
    ) {
        self.conditioning = conditioning
        let room = network.capacity * latent.size
        self.codes = codes.map { ($0, FloatBuffer(count: room), FloatBuffer(count: room)) }
        (self.network, self.latent) = (network, latent)
        self.parameters = parameters ?? network.store.values.values
        latents = Latents(latent, capacity: network.capacity, truncation: truncation)
    }

    public var shape: Shape { network.outputShape }

    /// What the output's activation can reach.
    public var range: ClosedRange<Float> { network.layers.outputRange }

    /// Values of a latent.
    public var latentSize: Int { latent.size }

    /// ``range``; nil where nothing bounds the output.
    var bounds: ClosedRange<Float>? { network.layers.outputBounds }

    /// Values of latents are within ± so much; nil where they may be any.
    public var latentBound: Float? { latents.bound }

    /// `count` examples, one after another, from latents number `draws.firstSample` on. `conditions`: nil draws them.
    public func samples(count: Int, _ draws: Draws, conditions: FloatBuffer? = nil) throws -> FloatBuffer {
        let conditions = conditions ?? self.conditions(count: count, draws)
        return try network.answers(count: count, parameters, conditions) { start, size in
            let part = Draws(
                seed: draws.seed, purpose: draws.purpose, step: draws.step, inner: draws.inner,
                firstSample: draws.firstSample + start)
            return given(latents.fill(count: size, part))
        }
    }

    /// What the network is given for latents.
    private func given(_ latents: Batch) -> Batch {
        codes.map { $0.distribution.codes(of: latents, into: $0.values.values) } ?? latents
    }

    /// The conditions that ``samples(count:_:conditions:)`` would draw; nil where there are none.
    public func conditions(count: Int, _ draws: Draws) -> FloatBuffer? {
        conditioning.map {
            let values = FloatBuffer(count: count * $0.condition.width)
            $0.fill(values.values, count: count, draws)
            return values
        }
    }

    /// Latents number `draws.firstSample` and on, as many as the network takes at once at most; valid until the next
    /// call.
    func draw(count: Int, _ draws: Draws) -> Batch { latents.fill(count: count, draws) }

    /// G of latents, as many as the network takes at once at most; valid until the next call.
    public func answers(_ latents: Batch, _ conditions: Floats = .none) throws -> Batch {
        try network.forward(given(latents), parameters: parameters, mode: .sampling, conditions: conditions)
    }

    /// Jᵀ times a gradient with respect to the last ``answers(_:_:)``, J = ∂G/∂z; valid until the next call.
    public func slopes(_ gradient: Batch) throws -> Batch {
        let slopes = try network.backward(from: gradient, parameters: parameters, into: nil, inputGradient: true)!
        return codes.map { $0.distribution.slopes(slopes, into: $0.slopes.values) } ?? slopes
    }

    /// Writes the gradient of G's parameters, given that with respect to the last ``answers(_:_:)``.
    func gradient(of examples: Batch, into target: Floats) throws {
        _ = try network.backward(from: examples, parameters: parameters, into: target, inputGradient: false)
    }

    /// The latents that ``samples(count:_:conditions:)`` would use.
    public func latents(count: Int, _ draws: Draws) -> [[Float]] {
        (0 ..< count).map { number in
            let draw = Draws(
                seed: draws.seed, purpose: draws.purpose, step: draws.step, inner: draws.inner,
                firstSample: draws.firstSample + number)
            return latents.fill(count: 1, draw).values.array
        }
    }

    /// The examples that `latents` give, with these `conditions` where there are any.
    public func samples(of latents: FloatBuffer, conditions: FloatBuffer? = nil) throws -> FloatBuffer {
        let size = network.inputShape.count
        return try network.answers(count: latents.count / size, parameters, conditions) { start, count in
            given(
                Batch(latents.values[start * size ..< (start + count) * size], count: count, shape: network.inputShape))
        }
    }
}

extension Network {
    /// The outputs for `count` inputs, one after another, as many at once as the network was planned for; `input`
    /// gives those from a number on; `conditions` are all of theirs, where there are any.
    public func answers(
        count: Int, _ parameters: Floats, _ conditions: FloatBuffer? = nil,
        _ input: (_ start: Int, _ count: Int) throws -> Batch
    ) throws -> FloatBuffer {
        let answers = FloatBuffer(count: count * outputShape.count), width = (conditions?.count ?? 0) / max(count, 1)
        for start in stride(from: 0, to: count, by: capacity) {
            let size = min(capacity, count - start)
            let output = try forward(
                try input(start, size), parameters: parameters, mode: .sampling,
                conditions: conditions?.values[start * width ..< (start + size) * width] ?? .none)
            answers.values[start * outputShape.count ..< (start + size) * outputShape.count].copy(from: output.values)
        }
        return answers
    }
}
