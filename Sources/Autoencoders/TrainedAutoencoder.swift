import Adversarial
import Kernels
import Nets

/// An encoder and a decoder that are asked outside training: without dropout, with running statistics.
public final class TrainedAutoencoder {
    private let reconstruction: Reconstruction
    private let encoder, decoder: (network: Network, parameters: Floats)
    /// Nil where codes are points.
    private let code: GaussianCode?
    private let codeSize: Int
    private let noise: FloatBuffer

    /// The parameters are those to compute with, and must outlive this.
    public init(
        _ reconstruction: Reconstruction, _ kind: Autoencoder.Code, encoder: (network: Network, parameters: Floats),
        decoder: (network: Network, parameters: Floats)
    ) {
        (self.reconstruction, self.encoder, self.decoder) = (reconstruction, encoder, decoder)
        let capacity = min(encoder.network.capacity, decoder.network.capacity)
        codeSize = decoder.network.inputShape.count
        code = kind == .gaussian ? GaussianCode(size: codeSize, capacity: capacity) : nil
        noise = FloatBuffer(count: capacity * codeSize)
    }

    /// Whether there is a bound of the data's likelihood: codes that are points have no distribution.
    public var hasBound: Bool { code != nil }

    public var exampleShape: Shape { encoder.network.inputShape }

    /// The costs of one example, in nats.
    public struct Costs: BitwiseCopyable, Sendable {
        /// −ln p(x | z) of one z ~ q(z | x), and KL(q(z | x) ‖ p(z)).
        public let reconstruction, divergence: Double
        public var bound: Double { -(reconstruction + divergence) }
    }

    /// Those of each of `examples`, the first of which is number `draws.firstSample`. Only where there is a bound.
    public func costs(_ examples: FloatBuffer, _ draws: Draws) throws -> [Costs] {
        guard let code else { preconditionFailure("the bound of an autoencoder whose codes are points") }
        var costs: [Costs] = []
        try forEachPart(of: examples) { input, first in
            let noise = noise.values[0 ..< input.count * codeSize]
            Draws(seed: draws.seed, purpose: draws.purpose, step: draws.step, firstSample: draws.firstSample + first)
                .fillNormal(noise, samples: input.count, layer: AutoencoderTrainer.noiseLayer)
            let codes = code.codes(try encode(input), noise: noise), output = try decode(codes)
            for row in 0 ..< input.count {
                costs.append(
                    Costs(
                        reconstruction: reconstruction.cost(of: output[row], input[row]),
                        divergence: code.divergence(row: row)))
            }
        }
        return costs
    }

    /// E[x | z] of each of `examples`, z its code, or the mean μ of that.
    public func reconstructions(_ examples: FloatBuffer) throws -> FloatBuffer {
        let found = FloatBuffer(count: examples.count)
        try forEachPart(of: examples) { input, first in
            let description = try encode(input), means = code?.means(description)
            let codes = means?.values ?? description.values
            let output = try withExtendedLifetime(means) {
                try decode(Batch(codes, count: input.count, shape: .vector(codeSize)))
            }
            reconstruction.mean(of: output.values)
            found.values[first * exampleShape.count ..< (first + input.count) * exampleShape.count].copy(
                from: output.values)
        }
        return found
    }

    private func encode(_ input: Batch) throws -> Batch {
        try encoder.network.forward(input, parameters: encoder.parameters, mode: .sampling)
    }

    private func decode(_ codes: Batch) throws -> Batch {
        try decoder.network.forward(codes, parameters: decoder.parameters, mode: .sampling)
    }

    /// As many at once as the networks take.
    private func forEachPart(of examples: FloatBuffer, _ body: (_ input: Batch, _ first: Int) throws -> Void) throws {
        let length = exampleShape.count, capacity = noise.count / codeSize
        for first in stride(from: 0, to: examples.count / length, by: capacity) {
            let count = min(capacity, examples.count / length - first)
            let part = examples.values[first * length ..< (first + count) * length]
            try body(Batch(part, count: count, shape: exampleShape), first)
        }
    }
}
