/// The hinge cost: Lim & Ye 2017, "Geometric GAN", and Miyato et al. 2018, eqs. 16 and 17.
/// D: max(0, 1 − s_x) + max(0, 1 + s_y), G: −s_y. At the edge the slope is 0.
public struct Hinge: LogitObjective {
    public let weight: Double

    /// `weight`: 1 for the sum of D's halves, ½ for their mean.
    public init(weight: Double = 1) { self.weight = weight }

    public var isLogOdds: Bool { false }
    public var signMeansReal: Bool { true }
    /// Of s = 0 everywhere. G's cost has no such number: it is −s, of whatever height D's logits have.
    public var balance: (discriminator: Double, generator: Double?)? { (2 * weight, nil) }
    public func ofReal(_ logit: Double) -> LogitCost { LogitCost(max(0, 1 - logit), slope: logit < 1 ? -1 : 0) }
    public func ofFake(_ logit: Double) -> LogitCost { LogitCost(max(0, 1 + logit), slope: logit > -1 ? 1 : 0) }
    public func ofGenerator(_ logit: Double) -> LogitCost { LogitCost(-logit, slope: -1) }
}
