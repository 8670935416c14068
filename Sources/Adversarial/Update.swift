/// One update of a step: gradients are taken at the parameters as they are, on one minibatch, and then the players
/// move.
///
/// A step is a list of them. Algorithm 1 of Goodfellow et al. 2014 is k updates of the discriminator and one of the
/// generator; their released code updates both players at once, which is one update of both.
public struct Update: Equatable, Sendable {
    /// Who moves, in this order.
    public let players: [Player.Role]
    /// Which update of its players' in the alternation step it is, from 0. The discriminator's, 0 ..< k, number its
    /// minibatches of noise.
    public var inner = 0
    /// Steps of the discriminator that the generator's gradient goes through; 0: it is taken at the discriminator as
    /// it is.
    public var unrollingSteps = 0
    /// Whether the cost is that of reconstructions, in which the discriminator has no say.
    public var reconstructs = false

    public func moves(_ role: Player.Role) -> Bool { players.contains(role) }

    /// Algorithm 1 of Goodfellow et al. 2014: k updates of the discriminator, then one of the generator.
    /// `generatorFirst`: the other way round, as in Mescheder et al. 2018.
    public static func alternating(discriminatorSteps k: Int, generatorFirst: Bool = false) -> [Update] {
        let ofDiscriminator = (0 ..< k).map { Update(players: [.discriminator], inner: $0) }
        let ofGenerator = [Update(players: [.generator])]
        return generatorFirst ? ofGenerator + ofDiscriminator : ofDiscriminator + ofGenerator
    }

    /// Both players at once, on the same examples. `unrollingSteps`: Metz et al. 2017, "Unrolled GANs".
    public static func simultaneous(unrollingSteps: Int = 0) -> [Update] {
        [Update(players: [.discriminator, .generator], unrollingSteps: unrollingSteps)]
    }
}
