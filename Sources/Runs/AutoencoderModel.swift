import Adversarial
import Autoencoders
import Kernels
import Nets
import Recipes
import Storage
import Support

/// The autoencoder of a checkpoint, to be asked for bounds and reconstructions.
public final class AutoencoderModel {
    public let configuration: AutoencoderConfiguration
    public let autoencoder: TrainedAutoencoder
    public let step: Int
    // Whose parameters the autoencoder computes with.
    private let encoder, decoder: Network

    /// Throws 78 where the checkpoint is of another model, 65 where it is not whole.
    public init(_ checkpoint: Checkpoint) throws(Failure) {
        guard let configuration = try checkpoint.generatorConfiguration() as? AutoencoderConfiguration else {
            throw Failure(
                .badConfiguration, "\(checkpoint.path): it has no encoder, of which this asks",
                remedy: "Name a checkpoint of an autoencoder (model.kind: vae or autoencoder).")
        }
        self.configuration = configuration
        step = checkpoint.contents.step
        encoder = try checkpoint.encoder(
            configuration, input: configuration.exampleShape(), capacity: GeneratorModel.capacity)
        decoder = try checkpoint.network(
            .decoder, configuration.decoder, input: .vector(configuration.latent.size),
            capacity: GeneratorModel.capacity)
        autoencoder = TrainedAutoencoder(
            configuration.reconstruction, configuration.code, encoder: (encoder, encoder.store.values.values),
            decoder: (decoder, decoder.store.values.values))
    }
}

extension Checkpoint {
    func encoder(_ configuration: AutoencoderConfiguration, input: Shape, capacity: Int) throws(Failure) -> Network {
        try network(.encoder, configuration.encoder, input: input, capacity: capacity)
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
