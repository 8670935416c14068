import Nets
import Support
import Yams

extension OptimiserSettings {
    private enum Kind: String, CaseIterable { case sgd, adam, optimisticAdam }

    init(_ section: Section) throws(Failure) {
        let kind = try section.choice("kind", default: Kind.adam)
        let rate = try section.rate("rate", default: 2e-4)
        switch kind {
        case .adam, .optimisticAdam:
            let beta1 = try section.number("beta1", default: 0.5, 0 ... 0.999_999)
            let beta2 = try section.number("beta2", default: 0.999, 0 ... 0.999_999_9)
            let epsilon = try section.number("epsilon", default: 1e-8, 0 ... 1)
            self.init(
                kind == .adam
                    ? .adam(beta1: beta1, beta2: beta2, epsilon: epsilon)
                    : .optimisticAdam(beta1: beta1, beta2: beta2, epsilon: epsilon), rate: rate)
        case .sgd:
            let momentum = try section.momentum("momentum")
            self.init(
                momentum.from == 0 && momentum.to == 0 ? .descent : .momentum, rate: rate, momentum: momentum)
        }
    }
}

extension Section {
    /// `0.0002`, `{initial: 0.1, decay: 1.000004, floor: 1.0e-6}` or `{initial: 0.1, final: 0.01, steps: 1000}`.
    func rate(_ key: String, default standard: Double) throws(Failure) -> RateSchedule {
        guard case .mapping(let mapping) = node(key) else {
            return .constant(try number(key, default: standard, 0 ... 1e6))
        }
        let linear = mapping["final"] != nil || mapping["steps"] != nil
        return try section(key) { (rate) throws(Failure) in
            let initial = try rate.number("initial", 0 ... 1e6)
            if linear {
                return .linear(
                    initial: initial, final: try rate.number("final", 0 ... 1e6),
                    steps: try rate.integer("steps", 1 ... .max))
            }
            return .exponential(
                initial: initial, decay: try rate.number("decay", 1 ... 1e6),
                floor: try rate.number("floor", default: 0, 0 ... 1e6))
        }
    }

    /// `0.5`, or `{from: 0.5, to: 0.7, epochs: 250}`: linear over the epochs.
    func momentum(_ key: String) throws(Failure) -> MomentumRamp {
        guard case .mapping = node(key) else {
            let value = try number(key, default: 0, 0 ... 0.999_999)
            return MomentumRamp(from: value, to: value, epochs: 0)
        }
        return try section(key) { (ramp) throws(Failure) in
            MomentumRamp(
                from: try ramp.number("from", 0 ... 0.999_999), to: try ramp.number("to", 0 ... 0.999_999),
                epochs: try ramp.integer("epochs", 1 ... .max))
        }
    }
}
