import Nets

/// A term of the discriminator's cost that holds the gradient of its logit with respect to what it judges:
/// g = ∇ₓ s(x), of which ‖g‖ is taken over all values of a row (an example, or a pack of them).
public struct Penalty: Sendable {
    public enum Kind: Hashable, Sendable {
        /// weight / 2 · mean ‖g‖² on real examples: Mescheder et al. 2018, eq. 9. The weight is their γ.
        case r1
        /// The same on generated ones: eq. 10.
        case r2
        /// weight · mean (‖g‖ − target)² at x̂ = ε x + (1 − ε) y between a real x and a generated y, one ε of U(0, 1) a
        /// row: Gulrajani et al. 2017, "Improved training of Wasserstein GANs", eq. 3. The weight is their λ.
        case gradientPenalty(target: Double)
        /// The same around real examples, at x + α · ½ · deviation · β with one α of U(0, 1) a row and a β of U(0, 1) a
        /// value: Kodali et al. 2017, "On convergence and stability of GANs" (DRAGAN). `deviation` is that of all
        /// values of the dataset, so that it does not depend on how minibatches are divided.
        case dragan(target: Double, deviation: Double)
    }

    public var kind: Kind
    /// γ or λ.
    public let weight: Schedule
    /// The penalty is taken at every so many updates of D only, and then with so many times its weight.
    public let every: Int

    public init(_ kind: Kind, weight: Schedule, every: Int = 1) {
        (self.kind, self.weight, self.every) = (kind, weight, every)
    }

    /// Where it is taken.
    var place: PenaltyPlaces {
        switch kind {
        case .r1: .real
        case .r2: .fake
        case .gradientPenalty: .between
        case .dragan: .around
        }
    }

    /// The cost of a row with this norm, and what g is to be multiplied by to give the cost's derivative with respect
    /// to it. √ has no slope at 0: there it is taken for 0.
    func cost(norm: Double, weight: Double) -> (value: Double, factor: Double) {
        switch kind {
        case .r1, .r2: (weight / 2 * norm * norm, weight)
        case .gradientPenalty(let target), .dragan(let target, _):
            (
                weight * (norm - target) * (norm - target),
                target == 0 ? 2 * weight : norm > 0 ? 2 * weight * (1 - target / norm) : 0
            )
        }
    }
}

/// The parts of D's batch that penalties look at.
struct PenaltyPlaces: OptionSet, Hashable {
    let rawValue: Int

    static let real = PenaltyPlaces(rawValue: 1), fake = PenaltyPlaces(rawValue: 2)
    /// x̂ between a real and a generated row, and around a real one: rows of their own.
    static let between = PenaltyPlaces(rawValue: 4), around = PenaltyPlaces(rawValue: 8)

    /// All that there may be.
    static let all = 4
    var count: Int { rawValue.nonzeroBitCount }

    /// Parts of a shard that such places need beside its two halves.
    var parts: Int { (contains(.between) ? 1 : 0) + (contains(.around) ? 1 : 0) }
}
