import Collectives
import Kernels
import Nets
import Support

/// A network that is trained, with what moves it: the sum of its gradients over all shards, its optimiser and its
/// schedules. A game has two.
public final class Player {
    /// The number is part of the key of its first values.
    public enum Role: Int, Sendable {
        case generator, discriminator
        /// Those of an autoencoder.
        case encoder, decoder

        public var name: String { "\(self)" }
    }

    /// What one is made of.
    package struct Settings {
        let role: Role
        let layers: [any Layer]
        let optimiser: OptimiserSettings
        let input: Shape
        /// Of a shard.
        var halves = 1
        var isPenalised = false
        /// Whether every weight is divided by its spectral norm, or those alone whose layers say so.
        var isSpectral = false
        var average: AverageSettings?

        package init(_ role: Role, _ layers: [any Layer], _ optimiser: OptimiserSettings, input: Shape) {
            (self.role, self.layers, self.optimiser, self.input) = (role, layers, optimiser, input)
        }
    }

    /// How all players of a trainer are trained: in shards of at most `capacity` examples, of which `shards` run
    /// through the networks together.
    package struct Training {
        let seed: UInt64
        let capacity: Int
        let shards: Int
        let table: ShardTable
        let exchange: GradientSum.Kind
        let precision: GradientSum.Precision
        let communicator: any Communicator

        package init(
            seed: UInt64, capacity: Int, shards: Int, table: ShardTable, exchange: GradientSum.Kind,
            precision: GradientSum.Precision, _ communicator: any Communicator
        ) {
            (self.seed, self.capacity, self.shards, self.table) = (seed, capacity, shards, table)
            (self.exchange, self.precision, self.communicator) = (exchange, precision, communicator)
        }
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

    /// Throws 78 where a layer cannot take what the one before makes.
    package init(_ settings: Settings, _ training: Training) throws {
        role = settings.role
        let communicator = training.communicator, table = training.table
        do {
            network = try Network(
                settings.layers, input: settings.input, capacity: training.capacity, shards: training.shards,
                halves: settings.halves, name: role.name, penalised: settings.isPenalised
            ) {
                LayerSums(count: $0, table: table, communicator)
            }
        } catch {
            throw Failure(
                .badConfiguration, "configuration: \(error)",
                remedy: "Change that layer or the one before it; layers are counted from 0.")
        }
        network.store.initialise(seed: training.seed, role: role.rawValue)
        optimiser = Optimiser(settings.optimiser, count: network.store.count)
        gradients = try GradientSum(
            count: network.store.count, table: table, communicator: communicator,
            kind: training.exchange, precision: training.precision)
        spectral = SpectralNormalisation(
            of: network.store, all: settings.isSpectral, seed: training.seed, role: role.rawValue)
        effective = spectral == nil ? nil : FloatBuffer(count: network.store.count)
        pulledBack = spectral == nil ? nil : FloatBuffer(count: network.store.count)
        let values = network.store.values.values
        average = settings.average.map { AveragedParameters(of: values, $0) }
        ofShards = training.shards > 1 ? FloatBuffer(count: training.shards * network.store.count) : nil
    }

    convenience init(_ role: Role, of game: Game, input: Shape, _ training: Training) throws {
        let isGenerator = role == .generator
        var settings = Settings(
            role, isGenerator ? game.generator : game.discriminator,
            isGenerator ? game.generatorOptimiser : game.discriminatorOptimiser, input: input)
        settings.isSpectral = game.spectralPlayers.contains(role)
        if isGenerator {
            settings.average = game.average
        } else {
            settings.halves = 2 + game.penaltyPlaces.parts
            settings.isPenalised = !game.penalties.isEmpty
        }
        try self.init(settings, training)
    }

    /// What the network computes with: its parameters, where none is normalised.
    public var parameters: Floats { effective?.values ?? network.store.values.values }

    /// What samples are made with: the average, where there is one.
    public var sampledParameters: Floats { average?.values.values ?? parameters }

    /// The parameters have been given first values: those that are computed with, and their average, follow.
    package func begin() {
        if let spectral, let effective { spectral.refresh(network.store.values.values, into: effective.values) }
        average?.values.values.copy(from: parameters)
    }

    /// All state has been given: the parameters that are computed with follow.
    package func resume() {
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
        try addGradients { target, adding, ready in
            try network.backward(
                from: outputGradient, parameters: parameters, into: target, adding: adding, penalties: penalties,
                ready: ready)
        }
    }

    /// The same without penalties; the gradient with respect to the input, valid until the next backward, where it is
    /// wanted.
    package func backward(from outputGradient: Batch, inputGradient: Bool) throws -> Batch? {
        var found: Batch?
        try addGradients { target, adding, ready in
            found = try network.backward(
                from: outputGradient, parameters: parameters, into: target, adding: adding,
                inputGradient: inputGradient, ready: ready)
        }
        return found
    }

    /// `backward`: a pass that writes the gradients of all shards into its target, or adds them.
    private func addGradients(
        _ backward: (_ target: Floats, _ adding: Bool, _ ready: (Range<Int>) throws -> Void) throws -> Void
    ) throws {
        guard let ofShards else {
            gradients.beginShard()
            try backward(gradients.slot, gradients.addsToSlot) { [gradients] in gradients.settle(from: $0.lowerBound) }
            return gradients.endShard()
        }
        try backward(ofShards.values, false) { _ in }
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
    package func sumGradients() throws -> Floats {
        let sum = try gradients.finish()
        guard let spectral, let effective, let pulledBack else { return sum }
        spectral.pullBack(sum, effective: effective.values, into: pulledBack.values)
        return pulledBack.values
    }

    // MARK: - The update

    /// Moves the parameters, and what follows them; returns the squared norm of the gradient.
    package func move(by gradient: Floats, at progress: Progress, batch: Int) -> Double {
        let squaredNorm = optimiser.update(network.store.values.values, gradients: gradient, at: progress)
        if let spectral, let effective { spectral.refresh(network.store.values.values, into: effective.values) }
        average?.update(with: parameters, batch: batch, at: progress)
        return squaredNorm
    }
}
