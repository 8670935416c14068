import Foundation

/// What a step of a game came to.
public struct StepReport: TrainingReport {
    public var step = 0
    /// Mean costs over the global minibatch at the step's last update of each player.
    public var lossDiscriminator = 0.0
    /// The halves of D's; nil where the objective is of pairs of logits.
    public var lossReal: Double?
    public var lossFake: Double?
    public var lossGenerator = 0.0
    /// Of a game with an encoder; in an adversarial autoencoder that of D's logits, the generator's being that of the
    /// reconstruction, which the encoder has too.
    public var lossEncoder: Double?
    /// Whether D judges codes against latents, and G lowers the reconstruction: an adversarial autoencoder.
    public var judgesCodes = false
    /// Mean logits of D's last update, E s_x and E s_y, and the share of its pairs with s_x > s_y.
    public var logitReal = 0.0
    public var logitFake = 0.0
    public var pairsRanked = 0.0
    /// Nil where the objective's logits are no log-odds.
    public var logOdds: LogOdds?
    /// The penalties on real examples (R1), on generated ones (R2), between the two (WGAN-GP) and around real ones
    /// (DRAGAN), as last taken; nil where none has been, since the trainer began or resumed. D's cost is without them.
    public var penaltyReal: PenaltyFigures?
    public var penaltyFake: PenaltyFigures?
    public var penaltyBetween: PenaltyFigures?
    public var penaltyAround: PenaltyFigures?
    /// LeCam's regulariser, which D's cost is without too.
    public var leCam: Double?
    /// p of augmentation in this step; nil where there is none.
    public var augmentProbability: Double?
    /// With augmentation: the mean of sign(s_x) over all updates of D; nil where a sign means nothing.
    public var realSign: Double?
    public var gradientNormDiscriminator = 0.0
    public var gradientNormGenerator = 0.0
    /// Of its last update in the step.
    public var gradientNormEncoder: Double?
    /// Of a game in which each player is one number, such as the Dirac-GAN of Mescheder et al. 2018: where the two are
    /// after the step.
    public var parameters: (generator: Double, discriminator: Double)?
    public var rateDiscriminator = 0.0
    public var rateGenerator = 0.0
    public var rateEncoder: Double?
    /// Of a penalty on g = ∇ₓ s(x) in one place.
    public struct PenaltyFigures: Sendable, Equatable {
        /// The mean cost, without the factor of a penalty that is taken at some updates only.
        public var cost: Double
        /// E ‖g‖ and E ‖g‖².
        public var norm, squaredNorm: Double
    }

    /// What D's logits say where they are log-odds.
    public struct LogOdds: Sendable {
        /// Mean D(x) and D(G(z)).
        public var dReal: Double
        public var dFake: Double
        /// V(D, G) = E log D(x) + E log(1 − D(G(z))): Goodfellow et al. 2014, eq. 1.
        public var value: Double
        /// (V + log 4) / 2: a lower bound of the Jensen–Shannon divergence, equal to it for the best D (eq. 6).
        public var jsdBound: Double { (value + log(4)) / 2 }
    }

    /// E s_x − E s_y: the mean gap of a pair.
    public var pairGap: Double { logitReal - logitFake }

    public var stopRequested = false
    public var checkpointFinished = false

    public var notFinite: (name: String, value: Double)? {
        if let lossReal, !lossReal.isFinite { return ("loss_real", lossReal) }
        if let lossFake, !lossFake.isFinite { return ("loss_fake", lossFake) }
        if !lossDiscriminator.isFinite { return ("loss_discriminator", lossDiscriminator) }
        if !lossGenerator.isFinite { return ("loss_generator", lossGenerator) }
        if let lossEncoder, !lossEncoder.isFinite { return ("loss_encoder", lossEncoder) }
        // Of a logit that is not finite a cost may be: that of the hinge is 0 beyond its edge.
        if !logitReal.isFinite { return ("logit_real", logitReal) }
        if !logitFake.isFinite { return ("logit_fake", logitFake) }
        let penalties = [
            ("real", penaltyReal), ("fake", penaltyFake), ("between", penaltyBetween), ("around", penaltyAround),
        ]
        for (place, figures) in penalties {
            if let cost = figures?.cost, !cost.isFinite { return ("penalty_\(place)", cost) }
        }
        if let leCam, !leCam.isFinite { return ("lecam", leCam) }
        if !gradientNormDiscriminator.isFinite { return ("grad_norm_discriminator", gradientNormDiscriminator) }
        if !gradientNormGenerator.isFinite { return ("grad_norm_generator", gradientNormGenerator) }
        if let gradientNormEncoder, !gradientNormEncoder.isFinite {
            return ("grad_norm_encoder", gradientNormEncoder)
        }
        return nil
    }
}

extension StepReport {
    public func figures(spectralNorms: [(name: String, sigma: Double)]) -> [(name: String, value: Double?)] {
        [
            ("loss_discriminator", lossDiscriminator), ("loss_real", lossReal), ("loss_fake", lossFake),
            ("loss_generator", lossGenerator), ("d_real", logOdds?.dReal), ("d_fake", logOdds?.dFake),
            ("value", logOdds?.value), ("jsd_bound", logOdds?.jsdBound), ("logit_real", logitReal),
            ("logit_fake", logitFake), ("pair_gap", pairGap), ("pairs_ranked", pairsRanked),
        ] + ofPenalties + ofAugmentation + spectralNorms.map { ($0.name, $0.sigma) } + ofParameters + [
            ("grad_norm_discriminator", gradientNormDiscriminator), ("grad_norm_generator", gradientNormGenerator),
            ("lr_discriminator", rateDiscriminator), ("lr_generator", rateGenerator),
        ] + ofEncoder
    }

    private var ofEncoder: [(name: String, value: Double?)] {
        guard let lossEncoder else { return [] }
        return [
            ("loss_encoder", lossEncoder), ("grad_norm_encoder", gradientNormEncoder), ("lr_encoder", rateEncoder),
        ]
    }

    /// Those of the penalties that the game has.
    private var ofPenalties: [(name: String, value: Double?)] {
        let places = [
            ("real", penaltyReal), ("fake", penaltyFake), ("between", penaltyBetween), ("around", penaltyAround),
        ]
        return places.flatMap { place, figures -> [(name: String, value: Double?)] in
            guard let figures else { return [] }
            return [
                ("penalty_\(place)", figures.cost), ("grad_x_\(place)", figures.norm),
                ("grad_x_squared_\(place)", figures.squaredNorm),
            ]
        } + (leCam.map { [("lecam", $0)] } ?? [])
    }

    private var ofAugmentation: [(name: String, value: Double?)] {
        guard let augmentProbability else { return [] }
        return [("augment_probability", augmentProbability), ("real_sign", realSign)]
    }

    /// Of a game of two numbers.
    private var ofParameters: [(name: String, value: Double?)] {
        guard let (generator, discriminator) = parameters else { return [] }
        return [("parameter_generator", generator), ("parameter_discriminator", discriminator)]
    }

    public var summary: String {
        let ofLogits =
            logOdds.map {
                String(
                    format: judgesCodes ? "  D(z) %.2f  D(E(x)) %.2f" : "  D(x) %.2f  D(G(z)) %.2f", $0.dReal, $0.dFake)
            }
            ?? String(format: "  pair gap %.2f, %.0f %% ranked", pairGap, 100 * pairsRanked)
        let ofParameters = parameters.map { String(format: "  θ %.3g  ψ %.3g", $0.generator, $0.discriminator) }
        let augmented = augmentProbability.map { String(format: "  augment %.2f", $0) } ?? ""
        let ofEncoder = lossEncoder.map { String(format: "  E %.3f", $0) } ?? ""
        return String(format: "D %.3f  \(judgesCodes ? "reconstruction" : "G") %.3f", lossDiscriminator, lossGenerator)
            + ofEncoder
            + (ofParameters ?? ofLogits) + augmented
    }
}
