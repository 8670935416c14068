import Foundation
import Kernels

/// What the two players minimise: costs of the discriminator's logits, of real and of generated examples together.
///
/// Costs are of the mean over a minibatch of n rows (a row is what D judges as one: an example, or a pack of them),
/// of which a call sees the rows of one shard. A call returns the *sum* of its rows' costs, in Double and in the
/// order of the rows, and writes the derivative of the minibatch's mean cost with respect to each logit. This is the
/// one place that loops over logits.
public protocol Objective: Sendable {
    /// Whether a logit is log(p / (1 − p)) of D's probability p that the example is real: only then D(x), V(D, G) and
    /// the bound of the Jensen–Shannon divergence mean something.
    var isLogOdds: Bool { get }
    /// What the reported cost of D is of the sum of its two halves.
    var weight: Double { get }
    /// D's cost. Row i of `real` stands beside row i of `fake`.
    func discriminator(
        real: Floats, fake: Floats, of rows: Int, into slopes: (real: Floats, fake: Floats)
    ) -> (real: Double, fake: Double)
    /// G's cost.
    func generator(fake: Floats, of rows: Int, into slopes: Floats) -> Double
}

/// The game of Goodfellow et al. 2014: D classifies, with the cross-entropy as its cost; G has one of three costs.
public struct StandardObjective: Objective {
    public let generatorLoss: GeneratorLoss
    public let discriminatorLoss: DiscriminatorLoss

    public init(
        generator: GeneratorLoss = .nonSaturating, discriminator: DiscriminatorLoss = DiscriminatorLoss()
    ) {
        (generatorLoss, discriminatorLoss) = (generator, discriminator)
    }

    public var isLogOdds: Bool { true }
    public var weight: Double { discriminatorLoss.weight }

    public func discriminator(
        real: Floats, fake: Floats, of rows: Int, into slopes: (real: Floats, fake: Floats)
    ) -> (real: Double, fake: Double) {
        let loss = discriminatorLoss, weight = loss.weight / Double(rows)
        var costs = (real: 0.0, fake: 0.0)
        for row in 0 ..< real.count {
            costs.real += loss.valueOnReal(Double(real[row]))
            slopes.real[row] = Float(weight * loss.slopeOnReal(Double(real[row])))
        }
        for row in 0 ..< fake.count {
            costs.fake += loss.valueOnFake(Double(fake[row]))
            slopes.fake[row] = Float(weight * loss.slopeOnFake(Double(fake[row])))
        }
        return costs
    }

    public func generator(fake: Floats, of rows: Int, into slopes: Floats) -> Double {
        var cost = 0.0
        for row in 0 ..< fake.count {
            cost += generatorLoss.value(Double(fake[row]))
            slopes[row] = Float(generatorLoss.slope(Double(fake[row])) / Double(rows))
        }
        return cost
    }
}

/// What logits say where they are log-odds: sums over the rows of a shard.
struct LogOddsFigures {
    /// Of D(x) = σ(s).
    var probability = 0.0
    /// Of log D(x) for real examples, of log(1 − D(x)) for generated ones: the terms of V(D, G).
    var value = 0.0

    init(_ logits: Floats, isReal: Bool) {
        for row in 0 ..< logits.count {
            let logit = Double(logits[row])
            probability += sigmoid(logit)
            value -= softplus(isReal ? -logit : logit)
        }
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

/// The discriminator's cost: −log D(x) − log(1 − D(G(z))), the cross-entropy of its two halves (Goodfellow et al.
/// 2014, eq. 1), with one-sided label smoothing (Salimans et al. 2016 §3.4).
public struct DiscriminatorLoss: Sendable {
    /// Whether the two halves are added (sum) or averaged (mean).
    public enum Reduction: String, CaseIterable, Sendable { case sum, mean }

    public let reduction: Reduction
    /// The target of real examples is 1 − labelSmoothing.
    public let labelSmoothing: Double

    public init(reduction: Reduction = .sum, labelSmoothing: Double = 0) {
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
