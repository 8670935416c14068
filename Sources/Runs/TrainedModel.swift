import Adversarial
import Autoencoders
import Collectives
import Recipes
import Storage

/// What is trained, with what it takes from the data.
package enum TrainedModel {
    case game(Game)
    case autoencoder(Autoencoder)
    case discriminator(DiscriminatorTraining)

    /// What trains the networks on `data`, of whose minibatches `reals` gives this rank's rows. Collective.
    package func trainer(
        _ data: TrainingData, reals: MinibatchReader, shards: ShardTable, _ communicator: any Communicator
    ) throws -> any NetworkTrainer {
        switch self {
        case .game(let game):
            try Trainer(game, exampleShape: data.shape, reals: reals, shards: shards, communicator: communicator)
        case .autoencoder(let autoencoder):
            try AutoencoderTrainer(
                autoencoder, exampleShape: data.shape, reals: reals, shards: shards, communicator: communicator)
        case .discriminator(let training):
            try DiscriminatorTrainer(training, reals: reals, shards: shards, communicator: communicator)
        }
    }
}

extension GeneratorConfiguration {
    /// Throws what reading the data does, and 78 where they do not suit. Not collective.
    func trained(on data: TrainingData) throws -> TrainedModel {
        try (self as? AutoencoderConfiguration)?.check(data)
        return try trained(onAny: data)
    }

    /// The same of data whose values need not suit, such as random ones in a benchmark.
    package func trained(onAny data: TrainingData) throws -> TrainedModel {
        if let autoencoder = self as? AutoencoderConfiguration { return .autoencoder(autoencoder.autoencoder) }
        if let alone = self as? DiscriminatorConfiguration { return .discriminator(alone.training) }
        guard let game = self as? Configuration else { preconditionFailure("a model that is not trained by steps") }
        return .game(try game.game(for: data))
    }
}
