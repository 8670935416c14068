import Adversarial
import Nets
import Support

extension Section {
    /// The group `model` of a game: what a third player plays for; nil of a GAN. Its kind stays out of the whole then,
    /// as before there were others.
    func encoderKind() throws(Failure) -> Encoder.Kind? {
        guard let given = node("model") else {
            allow("model", "a group", meaning: ModelKind.meaning, form: "{kind: mixture}")
            return nil
        }
        let section = try Section(given, path: name("model"), origins)
        let kind = try section.choice("kind", default: ModelKind.gan, meaning: ModelKind.meaning)
        switch kind {
        case .gan:
            _ = try section.finish()
            allow("model")
            return nil
        case .bigan:
            return try self.section("model") { (section) throws(Failure) in
                _ = try section.choice("kind", default: kind, meaning: ModelKind.meaning)
                return .bidirectional
            }
        case .adversarialAutoencoder:
            return try self.section("model") { (section) throws(Failure) in
                _ = try section.choice("kind", default: kind, meaning: ModelKind.meaning)
                return .adversarialAutoencoder(try Reconstruction(gaussian: section))
            }
        case .mixture, .vae, .autoencoder, .discriminator:
            throw .configuration(
                "model.kind", "\(kind.title) has no players, of which this asks",
                remedy: "Name another model. gan-dist sample makes a file of its examples, which gan-dist evaluate "
                    + "--samples takes.")
        }
    }
}

extension Configuration {
    /// A game of three players is of examples one by one, without what has been thought through for two alone.
    func checkEncoder() throws(Failure) {
        guard let encoder else { return }
        let kind = encoder.kind.model
        let isAlternating = training.update == .alternating || kind == .bigan
        let needs: [(key: String, isMet: Bool, value: String)] = [
            ("condition", condition == nil, "null"), ("training.packing", training.packing == 1, "1"),
            ("training.unrolling_steps", training.unrollingSteps == 0, "0"),
            ("training.augment", training.augmentation == nil, "null"),
            ("training.order", training.order == .discriminatorFirst, "discriminatorFirst"),
            ("training.update", isAlternating, "alternating"),
            ("objective.penalties", penalties.isEmpty && leCam == nil, "null"),
        ]
        for need in needs where !need.isMet {
            throw .configuration(
                need.key, "\(kind.title) (model.kind) cannot be combined with it",
                remedy: "Set \(need.key): \(need.value).")
        }
        guard objective is any LogitObjective else {
            throw .configuration(
                "objective.loss",
                "it is of pairs of logits, real and generated, and the encoder of \(kind.title) has a cost of its own",
                remedy: "Use standard, leastSquares, hinge or wasserstein.")
        }
    }
}

extension Encoder.Kind {
    var model: ModelKind {
        switch self {
        case .adversarialAutoencoder: .adversarialAutoencoder
        case .bidirectional: .bigan
        }
    }
}
