import Nets
import Support
import Yams

extension OptimiserSettings {
    private enum Kind: String, CaseIterable { case sgd, adam, optimisticAdam }

    init(_ section: Section) throws(Failure) {
        let kind = try section.choice(
            "kind", default: Kind.adam, meaning: "gradient descent with momentum, Adam or optimistic Adam")
        let rate = try section.rate(
            "rate", default: 2e-4, meaning: "the learning rate, constant or as a function of the update")
        switch kind {
        case .adam, .optimisticAdam:
            let beta1 = try section.number(
                "beta1", default: 0.5, 0 ... 0.999_999, meaning: "decay of the gradient's running mean")
            let beta2 = try section.number(
                "beta2", default: 0.999, 0 ... 0.999_999_9, meaning: "decay of the squared gradient's running mean")
            let epsilon = try section.number(
                "epsilon", default: 1e-8, 0 ... 1, meaning: "added to the root that the mean is divided by")
            self.init(
                kind == .adam
                    ? .adam(beta1: beta1, beta2: beta2, epsilon: epsilon)
                    : .optimisticAdam(beta1: beta1, beta2: beta2, epsilon: epsilon), rate: rate)
        case .sgd:
            let momentum = try section.momentum(
                "momentum", meaning: "the share of the last update in the next, constant or as a function of the epoch")
            self.init(
                momentum.from == 0 && momentum.to == 0 ? .descent : .momentum, rate: rate, momentum: momentum)
        }
    }
}

extension Section {
    /// `0.0002`, `{initial: 0.1, decay: 1.000004, floor: 1.0e-6}` or `{initial: 0.1, final: 0.01, steps: 1000}`.
    func rate(_ key: String, default standard: Double, meaning: String) throws(Failure) -> RateSchedule {
        guard case .mapping(let mapping) = node(key) else {
            return .constant(
                try number(
                    key, default: standard, 0 ... 1e6, meaning: meaning,
                    alternatives: [
                        "{initial: 0.1, decay: 1.000004, floor: 1.0e-6}", "{initial: 0.1, final: 0.01, steps: 1000}",
                    ]))
        }
        let linear = mapping["final"] != nil || mapping["steps"] != nil
        return try section(key) { (rate) throws(Failure) in
            let initial = try rate.number("initial", 0 ... 1e6, meaning: "the rate of the first update")
            if linear {
                return .linear(
                    initial: initial,
                    final: try rate.number("final", 0 ... 1e6, meaning: "linear: the rate from update `steps` on"),
                    steps: try rate.integer(
                        "steps", 1 ... .max,
                        meaning: "linear: updates in which the rate goes in a straight line from `initial` to `final`"))
            }
            return .exponential(
                initial: initial,
                decay: try rate.number(
                    "decay", 1 ... 1e6, meaning: "exponential: the rate is divided by it at each update"),
                floor: try rate.number("floor", default: 0, 0 ... 1e6, meaning: "exponential: the rate goes no lower"))
        }
    }

    /// `0.5`, or `{from: 0.5, to: 0.7, epochs: 250}`: linear over the epochs.
    func momentum(_ key: String, meaning: String) throws(Failure) -> MomentumRamp {
        let allowed = 0 ... 0.999_999
        guard case .mapping = node(key) else {
            let value = try number(
                key, default: 0, allowed, meaning: meaning, alternatives: ["{from: 0.5, to: 0.7, epochs: 250}"])
            return MomentumRamp(from: value, to: value, epochs: 0)
        }
        return try section(key) { (ramp) throws(Failure) in
            MomentumRamp(
                from: try ramp.number("from", allowed, meaning: "the momentum of the first epoch"),
                to: try ramp.number("to", allowed, meaning: "the momentum from epoch `epochs` on"),
                epochs: try ramp.integer(
                    "epochs", 1 ... .max,
                    meaning: "epochs in which the momentum goes in a straight line from `from` to `to`"))
        }
    }
}
