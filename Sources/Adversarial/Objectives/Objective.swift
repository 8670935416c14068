import Glibc
import Kernels
import Nets

/// What the two players minimise: costs of the discriminator's logits, of real and of generated examples together.
///
/// Costs are of the mean over a minibatch of n rows (a row is what D judges as one: an example, or a pack of them),
/// of which a call sees the rows of one shard. A call returns the *sum* of its rows' costs, in Double and in the
/// order of the rows, and writes the derivative of the minibatch's mean cost with respect to each logit.
public protocol Objective: Sendable {
    /// Whether a logit is log(p / (1 − p)) of D's probability p that the example is real: only then D(x), V(D, G) and
    /// the bound of the Jensen–Shannon divergence mean something.
    var isLogOdds: Bool { get }
    /// Whether costs are of differences of logits of real and of generated examples. Then G's cost needs the logits of
    /// real examples too, for which each of its updates takes a minibatch of its own, and the halves of D's cost have
    /// no meaning of their own.
    var isRelativistic: Bool { get }
    /// Whether D takes an example for real where its logit is above 0: then the mean of its sign on real examples tells
    /// how surely D knows them.
    var signMeansReal: Bool { get }
    /// What the reported cost of D is of the sum of its two halves.
    var weight: Double { get }
    /// What it is at this point of the run; nil where it is always the same.
    func at(_ progress: Progress) -> (any Objective)?
    /// D's cost and G's where all is in balance, D telling nothing apart; nil where there is no such number.
    var balance: (discriminator: Double, generator: Double?)? { get }
    /// D(x) and D(G(z)) there; nil where logits are no log-odds, or where there is no such number.
    var balancedProbability: Double? { get }
    /// D's cost. Row i of `real` stands beside row i of `fake`. What a relativistic cost comes to is returned as the
    /// real half.
    func discriminator(
        real: Floats, fake: Floats, of rows: Int, into slopes: (real: Floats, fake: Floats)
    ) -> (real: Double, fake: Double)
    /// G's cost; `real`: nil where the objective is not relativistic. Reals do not depend on G: they have no slopes.
    func generator(real: Floats?, fake: Floats, of rows: Int, into slopes: Floats) -> Double
    /// The cost of an encoder of pairs (``Encoder/Kind/bidirectional``) whose half D is to call real.
    func encoder(real: Floats, of rows: Int, into slopes: Floats) -> Double
}

extension Objective {
    public func encoder(real: Floats, of rows: Int, into slopes: Floats) -> Double {
        preconditionFailure("\(self) has no cost of an encoder")
    }
    public var isRelativistic: Bool { false }
    public var signMeansReal: Bool { isLogOdds }
    public var weight: Double { 1 }
    public func at(_ progress: Progress) -> (any Objective)? { nil }
    public var balance: (discriminator: Double, generator: Double?)? { nil }
    public var balancedProbability: Double? { nil }
}

/// Of one logit: a cost and its derivative.
public struct LogitCost {
    public let value, slope: Double

    public init(_ value: Double, slope: Double) { (self.value, self.slope) = (value, slope) }
}

/// An objective whose costs are sums of functions of one logit each. This is the one place that loops over such logits.
public protocol LogitObjective: Objective {
    /// D's cost of a real example, without ``Objective/weight``.
    func ofReal(_ logit: Double) -> LogitCost
    /// D's cost of a generated example, without ``Objective/weight``.
    func ofFake(_ logit: Double) -> LogitCost
    /// G's cost of a generated example.
    func ofGenerator(_ logit: Double) -> LogitCost
    /// That of an encoder on the other half: G's with the sides exchanged, by default that of the opposite logit.
    func ofEncoder(_ logit: Double) -> LogitCost
}

extension LogitObjective {
    public func discriminator(
        real: Floats, fake: Floats, of rows: Int, into slopes: (real: Floats, fake: Floats)
    ) -> (real: Double, fake: Double) {
        let weight = weight / Double(rows)
        var costs = (real: 0.0, fake: 0.0)
        for row in 0 ..< real.count {
            let cost = ofReal(Double(real[row]))
            costs.real += cost.value
            slopes.real[row] = Float(weight * cost.slope)
        }
        for row in 0 ..< fake.count {
            let cost = ofFake(Double(fake[row]))
            costs.fake += cost.value
            slopes.fake[row] = Float(weight * cost.slope)
        }
        return costs
    }

    public func generator(real: Floats?, fake: Floats, of rows: Int, into slopes: Floats) -> Double {
        var sum = 0.0
        for row in 0 ..< fake.count {
            let cost = ofGenerator(Double(fake[row]))
            sum += cost.value
            slopes[row] = Float(cost.slope / Double(rows))
        }
        return sum
    }

    public func encoder(real: Floats, of rows: Int, into slopes: Floats) -> Double {
        var sum = 0.0
        for row in 0 ..< real.count {
            let cost = ofEncoder(Double(real[row]))
            sum += cost.value
            slopes[row] = Float(cost.slope / Double(rows))
        }
        return sum
    }

    public func ofEncoder(_ logit: Double) -> LogitCost {
        let cost = ofGenerator(-logit)
        return LogitCost(cost.value, slope: -cost.slope)
    }
}

/// log(1 + eˣ) without overflow: max(x, 0) + log1p(e^−|x|).
public func softplus(_ x: Double) -> Double { max(x, 0) + log1p(exp(-abs(x))) }

/// 1 / (1 + e⁻ˣ), without overflow and without losing the small tail: σ(−x) is not 1 − σ(x) but as exact as σ(x).
public func sigmoid(_ x: Double) -> Double {
    let small = exp(-abs(x))
    return x >= 0 ? 1 / (1 + small) : small / (1 + small)
}
