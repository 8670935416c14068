import Adversarial
import Runs

/// A discriminator that can be asked for the logit of a single example and for its gradient, in training or after it.
struct Judge {
    let discriminator: TrainedDiscriminator
    let isLogOdds: Bool

    /// Nil for a discriminator of packs, of examples with conditions, or without memory for gradients.
    init?(_ model: DiscriminatorModel) {
        guard let discriminator = model.trained, model.packing == 1, !model.isConditional else { return nil }
        (self.discriminator, isLogOdds) = (discriminator, model.isLogOdds)
    }

    /// The same of a run under way; also nil where it judges codes, or examples with theirs.
    init?(_ trainer: Trainer) {
        let player = trainer.discriminator
        guard trainer.game.packing == 1, trainer.game.conditioning == nil, trainer.game.encoder == nil,
            !TrainedDiscriminator.couplesExamples(player.network)
        else { return nil }
        discriminator = TrainedDiscriminator(player.network, parameters: player.parameters)
        isLogOdds = trainer.game.objective.isLogOdds
    }
}
