import Adversarial
import Support

/// What `objective.loss` names.
enum ObjectiveKind: String, CaseIterable {
    case standard, leastSquares, hinge, wasserstein, relativistic, relativisticAverage
}

extension Section {
    /// The group `objective`: its kind and the keys of that kind.
    func objective() throws(Failure) -> any Objective {
        let kind = try choice(
            "loss", default: ObjectiveKind.standard,
            meaning: "what both players minimise, as functions of the discriminator's logits")
        if kind != .standard { try refuseKeysOfStandard(kind) }
        switch kind {
        case .standard: return try StandardObjective(self)
        case .leastSquares: return LeastSquares(weight: try reduction().weight)
        case .hinge: return Hinge(weight: try reduction().weight)
        case .wasserstein: return Wasserstein(weight: try reduction().weight)
        case .relativistic: return Relativistic()
        case .relativisticAverage: return RelativisticAverage()
        }
    }

    private func refuseKeysOfStandard(_ kind: ObjectiveKind) throws(Failure) {
        let ofStandard = ["generator": "costs of the generator are", "label_smoothing": "label smoothing is"]
        for (key, what) in ofStandard.sorted(by: { $0.key < $1.key }) where node(key) != nil {
            throw .configuration(
                name(key), "\(what) for \(name("loss")): standard, not for \(kind.rawValue)",
                remedy: "Take \(name(key)) out (\(name(key))=null), or choose the standard loss.")
        }
        let isPaired = kind == .relativistic || kind == .relativisticAverage
        if isPaired, node("discriminator") != nil {
            throw .configuration(
                name("discriminator"), "the cost of pairs (\(kind.rawValue)) has no halves to add or to average",
                remedy: "Take \(name("discriminator")) out (\(name("discriminator"))=null).")
        }
    }

    fileprivate func reduction() throws(Failure) -> DiscriminatorLoss.Reduction {
        try choice(
            "discriminator", default: DiscriminatorLoss.Reduction.sum,
            meaning: "the discriminator's cost: the costs of real and of generated examples, added or averaged")
    }
}

extension StandardObjective {
    fileprivate init(_ section: Section) throws(Failure) {
        let generator = try section.choice(
            "generator", default: GeneratorLoss.nonSaturating,
            meaning: "the generator's cost (Goodfellow et al. 2014; 2016)")
        let reduction = try section.reduction()
        let smoothing = try section.schedule(
            "label_smoothing", default: 0, 0 ... 0.5,
            meaning: "the discriminator's target is 1 minus this for real examples")
        self.init(generator: generator, reduction: reduction, labelSmoothing: smoothing)
    }
}
