import Glibc
import Kernels
import Nets

/// The game of Goodfellow et al. 2014: D classifies, with the cross-entropy as its cost; G has one of four costs.
public struct StandardObjective: LogitObjective {
    public let generatorLoss: GeneratorLoss
    public let discriminatorLoss: DiscriminatorLoss
    /// Of ``discriminatorLoss``, where it changes as the run goes on.
    private let labelSmoothing: Schedule?

    public init(
        generator: GeneratorLoss = .nonSaturating, discriminator: DiscriminatorLoss = DiscriminatorLoss()
    ) {
        (generatorLoss, discriminatorLoss, labelSmoothing) = (generator, discriminator, nil)
    }

    public init(generator: GeneratorLoss, reduction: DiscriminatorLoss.Reduction, labelSmoothing: Schedule) {
        generatorLoss = generator
        let first = Progress(steps: 0, epochs: 0, examples: 0, update: 1)
        discriminatorLoss = DiscriminatorLoss(reduction: reduction, labelSmoothing: labelSmoothing.value(at: first))
        self.labelSmoothing = labelSmoothing.isConstant ? nil : labelSmoothing
    }

    public func at(_ progress: Progress) -> (any Objective)? {
        labelSmoothing.map {
            StandardObjective(
                generator: generatorLoss,
                discriminator: DiscriminatorLoss(
                    reduction: discriminatorLoss.reduction, labelSmoothing: $0.value(at: progress)))
        }
    }

    public var isLogOdds: Bool { true }
    public var weight: Double { discriminatorLoss.weight }
    /// The best D's of equal densities: Salimans et al. 2016 §3.4 has (1 − α) p_data / (p_data + p_g) with labels
    /// smoothed by α, and ½ without. None while α changes.
    public var balancedProbability: Double? {
        labelSmoothing == nil ? (1 - discriminatorLoss.labelSmoothing) / 2 : nil
    }

    /// Of that probability everywhere.
    public var balance: (discriminator: Double, generator: Double?)? {
        balancedProbability.map { probability in
            let logit = log(probability / (1 - probability))
            return (weight * (ofReal(logit).value + ofFake(logit).value), generatorLoss.value(logit))
        }
    }

    public func ofReal(_ logit: Double) -> LogitCost {
        LogitCost(discriminatorLoss.valueOnReal(logit), slope: discriminatorLoss.slopeOnReal(logit))
    }

    public func ofFake(_ logit: Double) -> LogitCost {
        LogitCost(discriminatorLoss.valueOnFake(logit), slope: discriminatorLoss.slopeOnFake(logit))
    }

    public func ofGenerator(_ logit: Double) -> LogitCost {
        LogitCost(generatorLoss.value(logit), slope: generatorLoss.slope(logit))
    }
}

/// The generator's cost on the discriminator's logit s of a generated example.
///
/// Sources: Goodfellow et al. 2014 §3 (minimax, non-saturating); Goodfellow 2016, tutorial §3.2.3 and §3.2.5 (maximum
/// likelihood).
public enum GeneratorLoss: String, CaseIterable, Sendable {
    /// log(1 − D(G(z))) = −softplus(s).
    case minimax
    /// −log D(G(z)) = softplus(−s).
    case nonSaturating
    /// −exp(σ⁻¹(D(G(z)))) = −exp(s).
    case maximumLikelihood
    /// −s: KL(p_g ‖ p_data) for the best D, as s = log p_data / p_g there.
    case reverseKL

    /// Beyond this logit the exponential of ``maximumLikelihood`` goes on along its tangent, so that value and slope
    /// stay finite for every finite logit, and the squares of gradients (Adam) within float32. e³⁰ is a likelihood
    /// ratio of 10¹³.
    public static let largestExponent = 30.0

    public func value(_ logit: Double) -> Double {
        switch self {
        case .minimax: -softplus(logit)
        case .nonSaturating: softplus(-logit)
        case .maximumLikelihood:
            logit <= Self.largestExponent
                ? -exp(logit) : -exp(Self.largestExponent) * (1 + logit - Self.largestExponent)
        case .reverseKL: -logit
        }
    }

    /// d value / d s.
    public func slope(_ logit: Double) -> Double {
        switch self {
        case .minimax: -sigmoid(logit)
        case .nonSaturating: -sigmoid(-logit)
        case .maximumLikelihood: -exp(min(logit, Self.largestExponent))
        case .reverseKL: -1
        }
    }
}

/// The discriminator's cost: −log D(x) − log(1 − D(G(z))), the cross-entropy of its two halves (Goodfellow et al.
/// 2014, eq. 1), with one-sided label smoothing (Salimans et al. 2016 §3.4).
public struct DiscriminatorLoss: Sendable {
    /// Whether the two halves are added (sum) or averaged (mean).
    public enum Reduction: String, CaseIterable, Sendable {
        case sum, mean

        /// 1 for the sum of the halves, ½ for their mean.
        public var weight: Double { self == .sum ? 1 : 0.5 }
    }

    public let reduction: Reduction
    /// The target of real examples is 1 − labelSmoothing.
    public let labelSmoothing: Double

    public init(reduction: Reduction = .sum, labelSmoothing: Double = 0) {
        self.reduction = reduction
        self.labelSmoothing = labelSmoothing
    }

    public var weight: Double { reduction.weight }

    /// (1 − α) softplus(−s) + α softplus(s), without ``weight``.
    public func valueOnReal(_ logit: Double) -> Double {
        (1 - labelSmoothing) * softplus(-logit) + labelSmoothing * softplus(logit)
    }

    /// σ(s) − (1 − α).
    public func slopeOnReal(_ logit: Double) -> Double {
        labelSmoothing * sigmoid(logit) - (1 - labelSmoothing) * sigmoid(-logit)
    }

    /// softplus(s).
    public func valueOnFake(_ logit: Double) -> Double { softplus(logit) }

    /// σ(s).
    public func slopeOnFake(_ logit: Double) -> Double { sigmoid(logit) }
}
