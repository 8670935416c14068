import Foundation

/// What a step of a discriminator without a generator came to.
public struct DiscriminatorReport: TrainingReport {
    public var step = 0
    /// Mean costs over the global minibatch of data and of negatives.
    public var lossReal = 0.0
    public var lossFake = 0.0
    /// Mean logits.
    public var logitReal = 0.0
    public var logitFake = 0.0
    /// Nil where the objective's logits are no log-odds.
    public var logOdds: StepReport.LogOdds?
    /// Where a round ended with this step: the mean of s over all negatives after the ascent, less that before.
    public var ascentRise: Double?
    public var gradientNorm = 0.0
    public var rate = 0.0
    public var stopRequested = false
    public var checkpointFinished = false
    /// What the objective weighs the sum of both costs by.
    var weight = 1.0

    public var loss: Double { weight * (lossReal + lossFake) }

    public var notFinite: (name: String, value: Double)? {
        let figures = [
            ("loss_real", lossReal), ("loss_fake", lossFake), ("logit_real", logitReal), ("logit_fake", logitFake),
            ("ascent_rise", ascentRise ?? 0), ("grad_norm_discriminator", gradientNorm),
        ]
        return figures.first { !$0.1.isFinite }
    }

    public func figures(spectralNorms: [(name: String, sigma: Double)]) -> [(name: String, value: Double?)] {
        [
            ("loss_discriminator", loss), ("loss_real", lossReal), ("loss_fake", lossFake),
            ("d_real", logOdds?.dReal), ("d_fake", logOdds?.dFake), ("value", logOdds?.value),
            ("jsd_bound", logOdds?.jsdBound), ("logit_real", logitReal), ("logit_fake", logitFake),
            ("ascent_rise", ascentRise),
        ] + spectralNorms.map { ($0.name, $0.sigma) } + [
            ("grad_norm_discriminator", gradientNorm), ("lr_discriminator", rate),
        ]
    }

    public var summary: String {
        let ofLogits =
            logOdds.map { String(format: "  D(x) %.2f  D(negative) %.2f", $0.dReal, $0.dFake) }
            ?? String(format: "  logits %.2f and %.2f", logitReal, logitFake)
        return String(format: "D %.3f", loss) + ofLogits
    }
}
