/// How one network's parameters move: the rule with its constants, the rate as a function of the update, the momentum
/// of the epoch (only ``UpdateRule/momentum`` looks at it).
public struct OptimiserSettings: Sendable {
    public let rule: UpdateRule
    public let rate: RateSchedule
    public let momentum: MomentumRamp

    public init(
        _ rule: UpdateRule, rate: RateSchedule = .constant(2e-4),
        momentum: MomentumRamp = MomentumRamp(from: 0, to: 0, epochs: 0)
    ) {
        (self.rule, self.rate, self.momentum) = (rule, rate, momentum)
    }
}
