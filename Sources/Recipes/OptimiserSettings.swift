import Nets
import Support
import Yams

extension OptimiserSettings {
    private enum Kind: String, CaseIterable { case sgd, adam, optimisticAdam, adamw, rmsprop }

    init(_ section: Section) throws(Failure) {
        let kind = try section.choice(
            "kind", default: Kind.adam,
            meaning: "gradient descent with momentum, Adam, optimistic Adam, AdamW or RMSprop")
        let rate = try section.rate("rate", default: 2e-4, meaning: "the learning rate")
        var momentum = Schedule.constant(0)
        let rule: UpdateRule
        switch kind {
        case .adam, .optimisticAdam, .adamw:
            let beta1 = try section.number(
                "beta1", default: 0.5, 0 ... 0.999_999, meaning: "decay of the gradient's running mean")
            let beta2 = try section.schedule(
                "beta2", default: 0.999, 0 ... 0.999_999_9, meaning: "decay of the squared gradient's running mean")
            let epsilon = try section.epsilon()
            switch kind {
            case .optimisticAdam: rule = .optimisticAdam(beta1: beta1, beta2: beta2, epsilon: epsilon)
            case .adamw:
                let decay = try section.number(
                    "weight_decay", default: 0.01, 0 ... 1,
                    meaning: "each update takes rate times this of the parameters off them")
                rule = .adamW(beta1: beta1, beta2: beta2, epsilon: epsilon, weightDecay: decay)
            default: rule = .adam(beta1: beta1, beta2: beta2, epsilon: epsilon)
            }
        case .rmsprop:
            let alpha = try section.number(
                "alpha", default: 0.99, 0 ... 0.999_999_9, meaning: "decay of the squared gradient's running mean")
            rule = .rmsprop(alpha: alpha, epsilon: try section.epsilon())
        case .sgd:
            momentum = try section.momentum("momentum", meaning: "the share of the last update in the next")
            rule = momentum.largest == 0 ? .descent : .momentum
        }
        let clip = try section.clip()
        self.init(rule, rate: rate, momentum: momentum, clipNorm: clip.norm, clipWeights: clip.weights)
    }
}

extension Section {
    fileprivate func epsilon() throws(Failure) -> Double {
        try number("epsilon", default: 1e-8, 0 ... 1, meaning: "added to the root that the gradient is divided by")
    }

    /// `clip: {norm: 1, weights: 0.01}`; either may be left out.
    fileprivate func clip() throws(Failure) -> (norm: Double?, weights: Double?) {
        guard node("clip") != nil else {
            allow("clip", "a group", meaning: "bounds of gradients and of parameters", form: "{norm: 1.0}")
            return (nil, nil)
        }
        return try section("clip") { (clip) throws(Failure) in
            (
                try clip.optionalNumber(
                    "norm", 1e-9 ... 1e9, meaning: "the largest norm of a gradient; a larger one is scaled"),
                try clip.optionalNumber(
                    "weights", 1e-9 ... 1e9, meaning: "every parameter is held within ± this after an update")
            )
        }
    }
}
