/// How one network's parameters move: the rule with its constants, and the schedules of its rate and momentum.
public struct OptimiserSettings: Sendable {
    public let rule: UpdateRule
    public let rate: Schedule
    /// Only ``UpdateRule/momentum`` looks at it.
    public let momentum: Schedule
    /// The largest norm ‖g‖ of the whole network's gradient that the rule is given: a larger one is multiplied by
    /// c / (‖g‖ + 10⁻⁶). Nil: the gradient as it is.
    public let clipNorm: Double?
    /// After each update every parameter is clamped into ±c: Arjovsky et al. 2017. Nil: none is.
    public let clipWeights: Double?

    public init(
        _ rule: UpdateRule, rate: Schedule = .constant(2e-4), momentum: Schedule = .constant(0),
        clipNorm: Double? = nil, clipWeights: Double? = nil
    ) {
        (self.rule, self.rate, self.momentum) = (rule, rate, momentum)
        (self.clipNorm, self.clipWeights) = (clipNorm, clipWeights)
    }
}
