import Foundation

/// The generator's cost on the discriminator's logit s of a generated example.
///
/// Sources: Goodfellow et al. 2014 §3 (minimax, non-saturating); Goodfellow 2016, tutorial §3.2.3 and §3.2.5 (maximum likelihood).
public enum GeneratorLoss: String, CaseIterable, Sendable {
    /// log(1 − D(G(z))) = −softplus(s).
    case minimax
    /// −log D(G(z)) = softplus(−s).
    case nonSaturating
    /// −exp(σ⁻¹(D(G(z)))) = −exp(s).
    case maximumLikelihood

    /// Beyond this logit the exponential of ``maximumLikelihood`` goes on along its tangent, so that value and slope stay
    /// finite for every finite logit, and the squares of gradients (Adam) within float32. e³⁰ is a likelihood ratio of 10¹³.
    public static let largestExponent = 30.0

    public func value(_ logit: Double) -> Double {
        switch self {
        case .minimax: -softplus(logit)
        case .nonSaturating: softplus(-logit)
        case .maximumLikelihood:
            logit <= Self.largestExponent ? -exp(logit) : -exp(Self.largestExponent) * (1 + logit - Self.largestExponent)
        }
    }

    /// d value / d s.
    public func slope(_ logit: Double) -> Double {
        switch self {
        case .minimax: -sigmoid(logit)
        case .nonSaturating: -sigmoid(-logit)
        case .maximumLikelihood: -exp(min(logit, Self.largestExponent))
        }
    }
}

/// The discriminator's cost: −log D(x) − log(1 − D(G(z))), the cross-entropy of its two halves (Goodfellow et al. 2014, eq. 1),
/// with one-sided label smoothing (Salimans et al. 2016 §3.4).
public struct DiscriminatorLoss: Sendable {
    /// Whether the two halves are added (sum) or averaged (mean).
    public enum Reduction: String, CaseIterable, Sendable { case sum, mean }

    public let reduction: Reduction
    /// The target of real examples is 1 − labelSmoothing.
    public let labelSmoothing: Double

    public init(reduction: Reduction, labelSmoothing: Double) {
        self.reduction = reduction
        self.labelSmoothing = labelSmoothing
    }

    /// 1 for the sum of the halves, ½ for their mean.
    public var weight: Double { reduction == .sum ? 1 : 0.5 }

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

/// log(1 + eˣ) without overflow: max(x, 0) + log1p(e^−|x|).
public func softplus(_ x: Double) -> Double { max(x, 0) + log1p(exp(-abs(x))) }

/// 1 / (1 + e⁻ˣ), without overflow and without losing the small tail: σ(−x) is not 1 − σ(x) but as exact as σ(x).
public func sigmoid(_ x: Double) -> Double {
    let small = exp(-abs(x))
    return x >= 0 ? 1 / (1 + small) : small / (1 + small)
}

/// σ⁻¹(p) = log(p / (1 − p)).
func logit(_ p: Double) -> Double { log(p) - log1p(-p) }
