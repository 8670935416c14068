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
    /// Where weights are divided by their spectral norm: by what, and the parameters that are computed with.
    public let spectral: SpectralNormalisation?
    private let effective: FloatBuffer?
    /// The gradient of the parameters, given that of the effective ones.
    private let pulledBack: FloatBuffer?
    /// Of the parameters as they are computed with.
    public let average: AveragedParameters?
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
                halves: isGenerator ? 1 : 2 + game.penaltyPlaces.parts, name: role.name,
                penalised: !isGenerator && !game.penalties.isEmpty
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
        spectral = SpectralNormalisation(
            of: network.store, all: game.spectralPlayers.contains(role), seed: game.seed, role: role.rawValue)
        effective = spectral == nil ? nil : FloatBuffer(count: network.store.count)
        pulledBack = spectral == nil ? nil : FloatBuffer(count: network.store.count)
        let values = network.store.values.values
        average = isGenerator ? game.average.map { AveragedParameters(of: values, $0) } : nil
        ofShards = together > 1 ? FloatBuffer(count: together * network.store.count) : nil
    }

    /// What the network computes with: its parameters, where none is normalised.
    public var parameters: Floats { effective?.values ?? network.store.values.values }

    /// What samples are made with: the average, where there is one.
    public var sampledParameters: Floats { average?.values.values ?? parameters }

    /// The parameters have been given first values: those that are computed with, and their average, follow.
    func begin() {
        if let spectral, let effective { spectral.refresh(network.store.values.values, into: effective.values) }
        average?.values.values.copy(from: parameters)
    }

    /// All state has been given: the parameters that are computed with follow.
    func resume() {
        if let spectral, let effective { spectral.normalise(network.store.values.values, into: effective.values) }
    }

    /// Why the exchange of gradients is slower than it could be, if it is.
    public var warning: String? { gradients.warning }

    // MARK: - The gradient of a step

    /// Adds the gradients of the next group's shards to the sum, in the order of shards, given that of the cost with
    /// respect to the output of the last forward. Where a group is one shard, the exchange of each layer's gradient
    /// begins as soon as it is there.
    ///
    /// `penalties`: puts the derivatives of penalties in the place of the logits' gradients with respect to the input,
    /// in the parts of that forward that are penalised:
    /// ``Network/backward(from:parameters:into:adding:penalties:ready:)``.
    func backward(from outputGradient: Batch, penalties: (Batch) throws -> Void = { _ in }) throws {
        guard let ofShards else {
            gradients.beginShard()
            try network.backward(
                from: outputGradient, parameters: parameters, into: gradients.slot, adding: gradients.addsToSlot,
                penalties: penalties
            ) { [gradients] in gradients.settle(from: $0.lowerBound) }
            return gradients.endShard()
        }
        try network.backward(
            from: outputGradient, parameters: parameters, into: ofShards.values, penalties: penalties)
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

    /// The gradient with respect to the input of some parts of the last forward (nil: of all); the parameters' own is
    /// neither computed nor changed.
    func backwardFrozen(from outputGradient: Batch, only parts: Range<Int>? = nil) throws -> Batch {
        try network.backward(
            from: outputGradient, parameters: parameters, into: nil, only: parts, inputGradient: true)!
    }

    /// The gradient of the parameters: the sum over the shards of all ranks, the same bits everywhere; to be read only,
    /// until the next ``backward(from:penalties:)``.
    func sumGradients() throws -> Floats {
        let sum = try gradients.finish()
        guard let spectral, let effective, let pulledBack else { return sum }
        spectral.pullBack(sum, effective: effective.values, into: pulledBack.values)
        return pulledBack.values
    }

    // MARK: - The update

    /// Moves the parameters, and what follows them; returns the squared norm of the gradient.
    func move(by gradient: Floats, at progress: Progress, batch: Int) -> Double {
        let squaredNorm = optimiser.update(network.store.values.values, gradients: gradient, at: progress)
        if let spectral, let effective { spectral.refresh(network.store.values.values, into: effective.values) }
        average?.update(with: parameters, batch: batch, at: progress)
        return squaredNorm
    }
}
