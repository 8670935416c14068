/// Least squares on the logits: Mao et al. 2017, "Least Squares Generative Adversarial Networks", eq. 9 with a = 0 and
/// b = c = 1. D: ½ (s_x − 1)² + ½ s_y², G: ½ (s_y − 1)².
public struct LeastSquares: LogitObjective {
    public let weight: Double

    /// `weight`: 1 for the sum of D's halves, ½ for their mean.
    public init(weight: Double = 1) { self.weight = weight }

    public var isLogOdds: Bool { false }
    /// Of s = ½ everywhere.
    public var balance: (discriminator: Double, generator: Double?)? { (0.25 * weight, 0.125) }
    public func ofReal(_ logit: Double) -> LogitCost { Self.square(logit - 1) }
    public func ofFake(_ logit: Double) -> LogitCost { Self.square(logit) }
    public func ofGenerator(_ logit: Double) -> LogitCost { Self.square(logit - 1) }
    public func ofEncoder(_ logit: Double) -> LogitCost { Self.square(logit) }

    private static func square(_ difference: Double) -> LogitCost {
        LogitCost(difference * difference / 2, slope: difference)
    }
}
