/// One update of a step: gradients are taken at the parameters as they are, on one minibatch, and then the players
/// move.
///
/// A step is a list of them. Algorithm 1 of Goodfellow et al. 2014 is k updates of the discriminator and one of the
/// generator; their released code updates both players at once, which is one update of both.
struct Update: Equatable {
    /// Who moves, in this order.
    let players: [Player.Role]
    /// The discriminator's step within the alternation step, 0 ..< k: it numbers the minibatches of real examples and
    /// of noise.
    var inner = 0
    /// Steps of the discriminator that the generator's gradient goes through; 0: it is taken at the discriminator as
    /// it is.
    var unrollingSteps = 0

    func moves(_ role: Player.Role) -> Bool { players.contains(role) }

    /// The updates of a step, in their order.
    static func list(_ training: Configuration.Training) -> [Update] {
        switch training.update {
        case .alternating:
            (0 ..< training.discriminatorSteps).map { Update(players: [.discriminator], inner: $0) } + [
                Update(players: [.generator])
            ]
        case .simultaneous:
            [Update(players: [.discriminator, .generator], unrollingSteps: training.unrollingSteps)]
        }
    }
}
