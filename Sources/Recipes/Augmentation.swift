import Adversarial
import Nets
import Support
import Yams

extension Section {
    /// `augment: {policy: [translation, cutout], probability: 1}`, or in place of the probability
    /// `adaptive: {target: 0.6, over: 500000, every: 4}`. Absent: none.
    func augmentation(_ key: String) throws(Failure) -> Augmentation? {
        guard node(key) != nil else {
            allow(
                key, "a group",
                meaning: "all that the discriminator judges is augmented, real and generated alike; images only",
                form: "{policy: [translation, cutout]}")
            return nil
        }
        return try section(key) { (section) throws(Failure) in
            let policy = try section.policy("policy")
            if let adaptive = try section.adaptiveProbability("adaptive") {
                guard section.node("probability") == nil else {
                    throw .configuration(
                        section.name("probability"), "\(section.name("adaptive")) sets the probability already",
                        remedy: "Take one of the two out (\(section.name("adaptive"))=null).")
                }
                section.allow("probability")
                return Augmentation(policy, probability: .adaptive(adaptive))
            }
            let probability = try section.schedule(
                "probability", default: 1, 0 ... 1,
                meaning: "p: each transformation of the policy is made of an image with it; 1 in DiffAugment")
            return Augmentation(policy, probability: .scheduled(probability))
        }
    }

    /// In the order in which the transformations are made, in which alone they are recorded.
    private func policy(_ key: String) throws(Failure) -> Set<Augmentation.Transformation> {
        let all = Augmentation.Transformation.allCases, names = all.map(\.rawValue)
        func list(_ policy: Set<Augmentation.Transformation>) -> Node {
            .sequence(.init(all.filter(policy.contains).map { .text($0.rawValue) }, .implicit, .flow))
        }
        var policy = Augmentation().policy
        note(
            key, "a list of " + names.map { "`\($0)`" }.joined(separator: ", "), default: list(policy),
            meaning: "what is made of images, always in this order")
        if let node = node(key) {
            guard case .sequence(let items) = node else {
                throw wrong(key, node, "a list of some of: \(names.joined(separator: ", "))")
            }
            guard !items.isEmpty else {
                throw .configuration(
                    name(key), "the list is empty: nothing would be augmented",
                    remedy: "Name some of \(names.joined(separator: ", ")), or take training.augment out.")
            }
            policy = []
            for item in items {
                guard let word = item.string, let transformation = Augmentation.Transformation(rawValue: word) else {
                    throw .configuration(
                        name(key), "\(Section.text(item)) is no augmentation",
                        remedy: (item.string.map { Spelling.suggestion(for: $0, among: names) } ?? "")
                            + "There are: \(names.joined(separator: ", ")).")
                }
                guard policy.insert(transformation).inserted else {
                    throw .configuration(name(key), "it has \(word) twice", remedy: "Name each once.")
                }
            }
        }
        record(key, list(policy))
        return policy
    }

    private func adaptiveProbability(_ key: String) throws(Failure) -> AdaptiveProbability? {
        guard node(key) != nil else {
            allow(
                key, "a group",
                meaning:
                    "in place of `probability`: p follows how surely the discriminator knows its real images (ADA)",
                form: "{target: 0.6}")
            return nil
        }
        return try section(key) { (section) throws(Failure) in
            let target = try section.number(
                "target", default: 0.6, -1 ... 1,
                meaning: "p grows while the mean sign of logits of real images is above it, and falls while it is below"
            )
            let over = try section.number(
                "over", default: 500_000, 1 ... 1e12,
                meaning: "real images that the discriminator is shown while p goes from 0 to 1")
            let every = try section.integer(
                "every", default: 4, 1 ... 1 << 20, meaning: "steps between two changes of p")
            return AdaptiveProbability(target: target, over: over, every: every)
        }
    }
}

extension Configuration {
    func check(_ augmentation: Augmentation) throws(Failure) {
        if let shape = try? exampleShape(), !shape.isImage {
            throw .configuration(
                "training.augment", "it is of images, and the generator makes vectors, \(shape)",
                remedy: "Take training.augment out, or end the generator in an image ({reshape: {shape: [28, 28, 1]}})."
            )
        }
        if case .adaptive = augmentation.probability, !objective.signMeansReal {
            throw .configuration(
                "training.augment.adaptive",
                "it goes by the sign of logits of real images, which means nothing with this objective.loss: "
                    + "there only differences of logits count, or 0 is not where real and generated part",
                remedy: "Use training.augment.probability, or objective.loss: standard or hinge.")
        }
    }
}
