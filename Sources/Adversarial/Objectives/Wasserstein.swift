/// The Wasserstein cost: Arjovsky et al. 2017, "Wasserstein GAN", Algorithm 1. D: −s_x + s_y, G: −s_y. D has to be
/// held to slopes of about 1, by clipping of its weights or by a penalty.
public struct Wasserstein: LogitObjective {
    public let weight: Double

    /// `weight`: 1 for the sum of D's halves, ½ for their mean.
    public init(weight: Double = 1) { self.weight = weight }

    public var isLogOdds: Bool { false }
    /// D tells nothing apart. G's cost is −s, of whatever height D's logits have.
    public var balance: (discriminator: Double, generator: Double?)? { (0, nil) }
    public func ofReal(_ logit: Double) -> LogitCost { LogitCost(-logit, slope: -1) }
    public func ofFake(_ logit: Double) -> LogitCost { LogitCost(logit, slope: 1) }
    public func ofGenerator(_ logit: Double) -> LogitCost { LogitCost(-logit, slope: -1) }
}
