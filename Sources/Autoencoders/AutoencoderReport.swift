import Adversarial
import Foundation

/// What a step of an autoencoder came to.
public struct AutoencoderReport: TrainingReport {
    public var step = 0
    /// Means over the global minibatch, in nats an example: −ln p(x | z), and KL(q(z | x) ‖ p(z)); nil where codes are
    /// points.
    public var reconstruction = 0.0
    public var divergence: Double?
    /// Values of an example.
    public var dimensions = 1
    public var gradientNormEncoder = 0.0
    public var gradientNormDecoder = 0.0
    public var rateEncoder = 0.0
    public var rateDecoder = 0.0
    public var stopRequested = false
    public var checkpointFinished = false

    /// The evidence lower bound, ln p(x) ≥ E ln p(x | z) − KL(q(z | x) ‖ p(z)): Kingma & Welling 2014, eq. 3. Nil where
    /// codes are points.
    public var bound: Double? { divergence.map { -(reconstruction + $0) } }

    public var notFinite: (name: String, value: Double)? {
        let figures = [
            ("loss_reconstruction", reconstruction), ("loss_divergence", divergence ?? 0),
            ("grad_norm_encoder", gradientNormEncoder), ("grad_norm_decoder", gradientNormDecoder),
        ]
        return figures.first { !$0.1.isFinite }
    }

    public func figures(spectralNorms: [(name: String, sigma: Double)]) -> [(name: String, value: Double?)] {
        ofCosts + spectralNorms.map { ($0.name, $0.sigma) } + [
            ("grad_norm_encoder", gradientNormEncoder), ("grad_norm_decoder", gradientNormDecoder),
            ("lr_encoder", rateEncoder), ("lr_decoder", rateDecoder),
        ]
    }

    private var ofCosts: [(name: String, value: Double?)] {
        guard let bound else { return [("loss_reconstruction", reconstruction)] }
        return [
            ("elbo", bound), ("elbo_per_dimension", bound / Double(dimensions)),
            ("loss_reconstruction", reconstruction), ("loss_divergence", divergence),
        ]
    }

    public var summary: String {
        guard let bound, let divergence else {
            return String(
                format: "reconstruction %.2f nats, %.4f a dimension", reconstruction,
                reconstruction / Double(dimensions))
        }
        return String(
            format: "ELBO %.2f nats, %.4f a dimension  reconstruction %.2f  divergence %.2f", bound,
            bound / Double(dimensions), reconstruction, divergence)
    }
}
