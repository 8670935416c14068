import Nets

/// A third player: an encoder E from an example x to a code, a latent z that G makes x of.
public struct Encoder: Sendable {
    /// What it plays for, and so what the discriminator judges.
    public enum Kind: Sendable {
        /// The adversarial autoencoder (Makhzani et al. 2015, arXiv:1511.05644): E and G lower the cost of the
        /// reconstruction G(E(x)); D tells latents from codes E(x), and E lowers the cost that G has elsewhere, of
        /// D's logits of codes.
        case adversarialAutoencoder(Reconstruction)
        /// BiGAN and ALI (Donahue et al. 2017, arXiv:1605.09782; Dumoulin et al. 2017, arXiv:1606.00704): D tells
        /// pairs (x, E(x)) from pairs (G(z), z), each a vector, the example's values before the code's. G has its cost
        /// of the second, E the same with the sides exchanged of the first (``LogitObjective/ofEncoder(_:)``). Where D
        /// cannot tell them apart, E inverts G.
        case bidirectional

        /// Whether the discriminator judges pairs of an example and a code.
        var isBidirectional: Bool { if case .bidirectional = self { true } else { false } }
    }

    public var layers: [any Layer]
    public var optimiser: OptimiserSettings
    public var kind: Kind

    public init(
        _ layers: [any Layer], _ kind: Kind,
        optimiser: OptimiserSettings = OptimiserSettings(.adam(beta1: 0.5, beta2: 0.999, epsilon: 1e-8))
    ) {
        (self.layers, self.kind, self.optimiser) = (layers, kind, optimiser)
    }
}

extension Update {
    /// The step of an adversarial autoencoder on one minibatch (Makhzani et al. 2015, §2): the reconstruction phase,
    /// then k updates of the discriminator (from the second on, of minibatches of their own) and one of the encoder.
    public static func adversarialAutoencoder(discriminatorSteps k: Int) -> [Update] {
        [Update(players: [.generator, .encoder], reconstructs: true)]
            + (0 ..< k).map { Update(players: [.discriminator], inner: $0) }
            + [Update(players: [.encoder], inner: 1)]
    }

    /// That of a game of pairs: k updates of the discriminator, then one of both others on its last examples.
    public static func bidirectional(discriminatorSteps k: Int) -> [Update] {
        (0 ..< k).map { Update(players: [.discriminator], inner: $0) } + [Update(players: [.generator, .encoder])]
    }

    /// The same with all three at once, as in its sources' algorithms.
    public static var bidirectionalAtOnce: [Update] { [Update(players: [.discriminator, .generator, .encoder])] }
}

extension Game {
    /// What the discriminator judges one of, where examples have this shape: an example, a code, or a pair of both.
    public func judged(_ example: Shape) -> Shape {
        switch encoder?.kind {
        case nil: example
        case .adversarialAutoencoder: .vector(latent.size)
        case .bidirectional: .vector(example.count + latent.size)
        }
    }

    /// Whether the cost of those who play against D needs the logits of both halves of a minibatch.
    var judgesReals: Bool { objective.isRelativistic || encoder?.kind.isBidirectional == true }

    /// Whether an update makes examples, of latents or of codes.
    func generates(_ update: Update) -> Bool {
        if case .adversarialAutoencoder = encoder?.kind { update.reconstructs } else { true }
    }
}
