import Adversarial
import Collectives
import Nets

/// What is trained, and how: an encoder of examples and a decoder of its codes. A plain value; a program fills it in,
/// or a configuration file does.
public struct Autoencoder: Sendable {
    /// What the encoder says of the code of an example.
    public enum Code: Sendable {
        /// Its distribution, N(μ, σ²): a variational autoencoder.
        case gaussian
        /// The code itself: an autoencoder. Codes to make new examples of are drawn from the normal distribution that
        /// follows those of the data (``CodeDistribution``).
        case point
    }

    /// Layers from an example to its code, or to what names it (``GaussianCode/description(of:)``), and from a code to
    /// what names the example (``Reconstruction``).
    public var encoder: [any Layer]
    public var decoder: [any Layer]
    /// Values of a code.
    public var codeSize: Int
    public var code: Code
    public var reconstruction: Reconstruction
    public var encoderOptimiser: OptimiserSettings
    public var decoderOptimiser: OptimiserSettings
    /// Examples in a global minibatch, over all ranks.
    public var batch: Int
    /// Every random number of a run is a function of it.
    public var seed: UInt64
    /// How gradients are summed over the ranks, and travel between nodes.
    public var exchange: GradientSum.Kind
    public var precision: GradientSum.Precision

    /// The defaults are those of the variational autoencoder of Lucic et al. 2018 (arXiv:1711.10337): codes of 64
    /// values, minibatches of 64, Adam with β₁ ½.
    public init(
        encoder: [any Layer], decoder: [any Layer], codeSize: Int = 64, code: Code = .gaussian,
        reconstruction: Reconstruction = .bernoulli,
        encoderOptimiser: OptimiserSettings = OptimiserSettings(.adam(beta1: 0.5, beta2: 0.999, epsilon: 1e-8)),
        decoderOptimiser: OptimiserSettings = OptimiserSettings(.adam(beta1: 0.5, beta2: 0.999, epsilon: 1e-8)),
        batch: Int = 64, seed: UInt64 = 1, exchange: GradientSum.Kind = .ordered,
        precision: GradientSum.Precision = .float32
    ) {
        (self.encoder, self.decoder, self.codeSize) = (encoder, decoder, codeSize)
        (self.code, self.reconstruction) = (code, reconstruction)
        (self.encoderOptimiser, self.decoderOptimiser) = (encoderOptimiser, decoderOptimiser)
        (self.batch, self.seed, self.exchange, self.precision) = (batch, seed, exchange, precision)
    }

    /// The decoder as a generator: from a code to the mean example E[x | z].
    public var generator: [any Layer] { decoder + reconstruction.meanLayers }

    /// The distribution of its latents.
    public var latent: Latent { Latent(size: codeSize) }

    /// What the encoder makes of an example.
    var description: Shape {
        switch code {
        case .gaussian: GaussianCode.description(of: codeSize)
        case .point: .vector(codeSize)
        }
    }

    /// Whether a layer needs all shards of a minibatch at once.
    var needsWholeMinibatches: Bool {
        (NetworkNode.list(of: encoder) + NetworkNode.list(of: decoder)).contains { $0.layer is any MinibatchLayer }
    }
}
