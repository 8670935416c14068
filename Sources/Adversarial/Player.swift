import Collectives
import Kernels
import Nets
import Support

/// One of the two networks with what moves it: the sum of its gradients over all shards, its optimiser and its
/// schedules.
public final class Player {
    public enum Role: Int, Sendable {
        case generator, discriminator

        public var name: String { self == .generator ? "generator" : "discriminator" }
    }

    public let role: Role
    public let network: Network
    public let optimiser: Optimiser
    private let gradients: GradientSum
    /// The gradients of a group's shards, one after another; nil where a group is one shard, whose gradient needs no
    /// memory but the sum's own.
    private let ofShards: FloatBuffer?

    init(
        _ role: Role, of game: Game, input: Shape, capacity: Int, shards together: Int, table: ShardTable,
        _ communicator: any Communicator
    ) throws {
        self.role = role
        let isGenerator = role == .generator
        do {
            network = try Network(
                isGenerator ? game.generator : game.discriminator, input: input, capacity: capacity, shards: together,
                halves: isGenerator ? 1 : 2, name: role.name
            ) {
                LayerSums(count: $0, table: table, communicator)
            }
        } catch {
            throw Failure(
                .badConfiguration, "configuration: \(error)",
                remedy: "Change that layer or the one before it; layers are counted from 0.")
        }
        network.store.initialise(seed: game.seed, role: role.rawValue)
        optimiser = Optimiser(
            isGenerator ? game.generatorOptimiser : game.discriminatorOptimiser, count: network.store.count)
        gradients = try GradientSum(
            count: network.store.count, table: table, communicator: communicator,
            kind: game.exchange, precision: game.precision)
        ofShards = together > 1 ? FloatBuffer(count: together * network.store.count) : nil
    }

    /// Why the exchange of gradients is slower than it could be, if it is.
    public var warning: String? { gradients.warning }

    // MARK: - The gradient of a step

    /// Adds the gradients of the next group's shards to the sum, in the order of shards, given that of the cost with
    /// respect to the output of the last forward. Where a group is one shard, the exchange of each layer's gradient
    /// begins as soon as it is there.
    func backward(from outputGradient: Batch) throws {
        guard let ofShards else {
            gradients.beginShard()
            try backward(from: outputGradient, into: gradients.slot, adding: gradients.addsToSlot) { [gradients] in
                gradients.settle(from: $0.lowerBound)
            }
            return gradients.endShard()
        }
        try backward(from: outputGradient, into: ofShards.values, adding: false) { _ in }
        let count = network.store.count
        for shard in 0 ..< network.shards {
            gradients.beginShard()
            let gradient = ofShards.values[shard * count ..< (shard + 1) * count]
            if gradients.addsToSlot {
                Reductions.add(gradient, to: gradients.slot)
            } else {
                gradients.slot.copy(from: gradient)
            }
            gradients.endShard()
        }
    }

    private func backward(
        from outputGradient: Batch, into target: Floats, adding: Bool, ready: (Range<Int>) throws -> Void
    ) throws {
        _ = try network.backward(
            from: outputGradient, parameters: network.store.values.values, into: target, adding: adding,
            inputGradient: false,
            ready: ready)
    }

    /// The gradient with respect to the input of some parts of the last forward (nil: of all); the parameters' own is
    /// neither computed nor changed.
    func backwardFrozen(from outputGradient: Batch, only parts: Range<Int>? = nil) throws -> Batch {
        try network.backward(
            from: outputGradient, parameters: network.store.values.values, into: nil, only: parts, inputGradient: true)!
    }

    /// The sum over the shards of all ranks, the same bits everywhere; to be read only, until the next
    /// ``backward(from:)``.
    func sumGradients() throws -> Floats { try gradients.finish() }

    // MARK: - The update

    /// Moves the parameters; returns the squared norm of the gradient.
    func move(by gradient: Floats, at progress: Progress) -> Double {
        optimiser.update(network.store.values.values, gradients: gradient, at: progress)
    }
}
