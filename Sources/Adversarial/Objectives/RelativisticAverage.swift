import Foundation
import Kernels

/// Relativistic average: Jolicoeur-Martineau 2018, "The relativistic discriminator", eqs. 12 and 13 with the standard
/// costs. x̄ and ȳ are the mean logits of the real and of the generated examples of the *global* minibatch,
/// sp = softplus:
///
///     D: sp(−(s_x − ȳ)) + sp(s_y − x̄)          G: sp(s_x − ȳ) + sp(−(s_y − x̄))
///
/// A logit is in its own term and in the mean that all terms of the other side have, so with f and h the two terms
/// ∂/∂s_x = (f′(s_x − ȳ) − mean h′(s_y − x̄)) / n, ∂/∂s_y = (h′(s_y − x̄) − mean f′(s_x − ȳ)) / n. Round 0 sums the
/// logits, round 1 these derivatives.
public struct RelativisticAverage: MinibatchObjective {
    public init() {}
    public var isLogOdds: Bool { false }
    public var isRelativistic: Bool { true }
    /// Of x̄ = ȳ where no logit differs from them.
    public var balance: (discriminator: Double, generator: Double?)? { (2 * log(2), 2 * log(2)) }
    public var rounds: Int { 2 }

    /// ±1: the real's difference enters as softplus(sign · d), the generated's as softplus(−sign · d).
    private func sign(_ player: Player.Role) -> Double { player == .discriminator ? -1 : 1 }

    public func terms(
        _ round: Int, of player: Player.Role, real: Floats, fake: Floats, _ sums: MinibatchSums
    ) -> (real: Double, fake: Double) {
        let sign = sign(player), mean = sums.mean(0)
        var terms = (real: 0.0, fake: 0.0)
        for row in 0 ..< real.count {
            let logit = Double(real[row])
            terms.real += round == 0 ? logit : sign * sigmoid(sign * (logit - mean.fake))
        }
        for row in 0 ..< fake.count {
            let logit = Double(fake[row])
            terms.fake += round == 0 ? logit : -sign * sigmoid(-sign * (logit - mean.real))
        }
        return terms
    }

    public func discriminator(
        real: Floats, fake: Floats, _ sums: MinibatchSums, into slopes: (real: Floats, fake: Floats)
    ) -> (real: Double, fake: Double) {
        let (means, others) = (sums.mean(0), sums.mean(1)), sign = sign(.discriminator)
        let ofReal = cost(real, sign, around: means.fake, other: others.fake, sums, slopes.real)
        let ofFake = cost(fake, -sign, around: means.real, other: others.real, sums, slopes.fake)
        return (ofReal + ofFake, 0)
    }

    public func generator(real: Floats, fake: Floats, _ sums: MinibatchSums, into slopes: Floats) -> Double {
        cost(real, sign(.generator), around: sums.mean(0).fake, other: sums.mean(1).fake, sums, nil)
            + cost(fake, -sign(.generator), around: sums.mean(0).real, other: sums.mean(1).real, sums, slopes)
    }

    /// Σ softplus(sign · (s − mean)); the slopes where they are wanted, `other` the mean derivative of the other side.
    private func cost(
        _ logits: Floats, _ sign: Double, around mean: Double, other: Double, _ sums: MinibatchSums, _ slopes: Floats?
    ) -> Double {
        var cost = 0.0
        for row in 0 ..< logits.count {
            let difference = sign * (Double(logits[row]) - mean)
            cost += softplus(difference)
            if let slopes { slopes[row] = Float((sign * sigmoid(difference) - other) / Double(sums.rows)) }
        }
        return cost
    }
}
