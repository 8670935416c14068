import Adversarial
import Autoencoders
import Kernels
import Nets
import Recipes
import Storage
import Support

/// The encoder of a checkpoint with what makes examples of its codes, to be asked for bounds and reconstructions.
public final class AutoencoderModel {
    public let autoencoder: TrainedAutoencoder
    // Whose parameters the autoencoder computes with.
    private let encoder, decoder: Network

    /// Nil where the model has no encoder. `live`: as of ``GeneratorModel``. Throws 65 where the checkpoint is broken.
    public init?(_ checkpoint: Checkpoint, live: Bool = false) throws(Failure) {
        let configuration = try checkpoint.generatorConfiguration(), capacity = GeneratorModel.capacity
        guard let layers = configuration.encoderLayers else { return nil }
        encoder = try checkpoint.network(
            .encoder, layers, input: configuration.exampleShape(), capacity: capacity)
        let kind: (Reconstruction, Autoencoder.Code)
        if let autoencoder = configuration as? AutoencoderConfiguration {
            kind = (autoencoder.reconstruction, autoencoder.code)
            decoder = try checkpoint.network(
                .decoder, autoencoder.decoder, input: .vector(autoencoder.latent.size), capacity: capacity)
        } else {
            // What a game's generator makes is the example itself.
            kind = (.gaussian(deviation: 1), .point)
            decoder = try checkpoint.generator(configuration, capacity: capacity, live: live)
        }
        autoencoder = TrainedAutoencoder(
            kind.0, kind.1, encoder: (encoder, encoder.store.values.values),
            decoder: (decoder, decoder.store.values.values))
    }
}

extension GeneratorConfiguration {
    /// From an example to its code, or what names it; nil of a model without.
    var encoderLayers: [any Layer]? {
        (self as? AutoencoderConfiguration)?.encoder ?? (self as? Configuration)?.encoder?.layers
    }
}

extension NetworkTrainer {
    /// The encoder with what makes examples of its codes, as they are, outside training; nil of a model without.
    public var autoencoder: TrainedAutoencoder? {
        if let trainer = self as? AutoencoderTrainer { return trainer.trained }
        guard let trainer = self as? Trainer, let encoder = trainer.encoder else { return nil }
        let generator = trainer.generator
        return TrainedAutoencoder(
            .gaussian(deviation: 1), .point, encoder: (encoder.network, encoder.parameters),
            decoder: (generator.network, generator.sampledParameters))
    }
}

extension Checkpoint {
    /// Of an autoencoder whose codes are points: their distribution; nil of another model.
    func codes(_ configuration: any GeneratorConfiguration) throws(Failure) -> CodeDistribution? {
        guard let configuration = configuration as? AutoencoderConfiguration, configuration.code == .point else {
            return nil
        }
        let codes = CodeDistribution(size: configuration.latent.size)
        try copy("code/mean", to: codes.mean.values)
        try copy("code/covariance", to: codes.covariance.values)
        return codes
    }
}

extension AutoencoderConfiguration {
    /// That the values of vectors, which are not scaled, are within 0 … 1 where they are taken for probabilities.
    func check(_ data: TrainingData) throws(Failure) {
        guard case .bernoulli = reconstruction else { return }
        let isMixture = self.data.file == nil, seen = data.examples.valueRange == nil ? data.examples.seen : nil
        guard isMixture || seen.map({ $0.minimum < 0 || $0.maximum > 1 }) == true else { return }
        throw .configuration(
            "model.reconstruction",
            "bernoulli is of values within 0 … 1, and those of \(data.name) "
                + (seen.map { "go from \($0.minimum) to \($0.maximum)" } ?? "are others"),
            remedy: "Use gaussian, or scale the vectors with --set 'data.range=[lowest, highest]'.")
    }
}
