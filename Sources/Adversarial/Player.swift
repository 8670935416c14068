import Collectives
import Kernels
import Nets
import Support

/// A network that is trained, with what moves it: the sum of its gradients over all shards, its optimiser and its
/// schedules. A game has two, or three; an autoencoder has two.
///
/// The ranks of a NUMA domain have its parameters, their moments and their average once, where there is room: each
/// moves a slice of them (Rajbhandari et al. 2020, arXiv:1910.02054, stage 1, by shared memory in place of messages).
public final class Player {
    /// The number is part of the key of its first values.
    public enum Role: Int, Sendable {
        case generator, discriminator
        /// Those of an autoencoder; the first may be a game's too.
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
        /// The ranks that are to have one copy of the state: ``Communicator/groupsOfOneCopy(bytes:)``.
        let groups: [Range<Int>]
        let communicator: any Communicator

        package init(
            seed: UInt64, capacity: Int, shards: Int, table: ShardTable, exchange: GradientSum.Kind,
            precision: GradientSum.Precision, groups: [Range<Int>], _ communicator: any Communicator
        ) {
            (self.seed, self.capacity, self.shards, self.table) = (seed, capacity, shards, table)
            (self.exchange, self.precision) = (exchange, precision)
            (self.groups, self.communicator) = (groups, communicator)
        }
    }

    public let role: Role
    public let network: Network
    public let optimiser: Optimiser
    private let gradients: GradientSum
    /// The parameters and their moments.
    let state: SharedVectors
    /// Where weights are divided by their spectral norm: by what.
    public let spectral: SpectralNormalisation?
    private var spectralState: SharedVectors?
    /// The parameters that are computed with then; and the gradient of the parameters, given that of these.
    private let derived: SharedVectors?
    /// Of the parameters as they are computed with.
    public private(set) var average: AveragedParameters?
    private var averageMemory: SharedVectors?
    /// The gradients of a group's shards, one after another; nil where a group is one shard, whose gradient needs no
    /// memory but the sum's own.
    private let ofShards: FloatBuffer?

    /// `gradients`: see ``gradients(_:_:)``. `groups`: of the ranks that have one copy, if not those of `training`.
    /// Throws 78 where a layer cannot take what the one before makes. Collective.
    package init(
        _ settings: Settings, _ gradients: GradientSum, _ training: Training, among groups: [Range<Int>]? = nil
    ) throws {
        (role, self.gradients) = (settings.role, gradients)
        let communicator = training.communicator, table = training.table, count = gradients.slot.count
        let state = try SharedVectors(
            count: count, number: 1 + settings.optimiser.rule.moments.count, among: groups ?? training.groups,
            communicator)
        self.state = state
        network = try Self.fitting {
            try Network(
                settings.layers, input: settings.input, capacity: training.capacity, shards: training.shards,
                halves: settings.halves, name: settings.role.name, penalised: settings.isPenalised,
                values: state.vectors[0]
            ) {
                LayerSums(count: $0, table: table, communicator)
            }
        }
        optimiser = Optimiser(settings.optimiser, moments: Array(state.vectors[1...]))
        let place = communicator.rank - state.group.lowerBound, ranks = state.group.count
        network.store.initialise(seed: training.seed, role: role.rawValue) { $0 % ranks == place }
        try state.settle()
        // The norms are shared out among ranks only where the weights divided by them are read by all.
        var derived: SharedVectors?, spectralState: SharedVectors?
        spectral = try SpectralNormalisation(
            of: network.store, all: settings.isSpectral, seed: training.seed, role: role.rawValue,
            in: { parts, weights in
                let read = try SharedVectors(count: count, number: 2, among: state.groups, communicator)
                let norms = try SharedVectors(
                    count: parts.last!.upperBound, number: 1, parts: parts, weights: weights,
                    among: read.groups, communicator)
                (derived, spectralState) = (read, norms)
                return norms.vectors[0]
            }, only: { spectralState!.mine.contains($0) })
        (self.derived, self.spectralState) = (derived, spectralState)
        try spectralState?.settle()
        ofShards = training.shards > 1 ? FloatBuffer(count: training.shards * count) : nil
    }

    /// The sum of the gradients of a player to be. Throws 78 where its layers do not fit each other. Collective.
    package static func gradients(_ settings: Settings, _ training: Training) throws -> GradientSum {
        let count = try fitting {
            try Network.valueCount(of: settings.layers, input: settings.input, name: settings.role.name)
        }
        return try GradientSum(
            count: count, table: training.table, communicator: training.communicator, kind: training.exchange,
            precision: training.precision)
    }

    /// What `build` makes of layers that fit each other; throws 78 where they do not.
    private static func fitting<Value>(_ build: () throws -> Value) throws -> Value {
        do { return try build() } catch let error as ShapeError {
            throw Failure(
                .badConfiguration, "configuration: \(error)",
                remedy: "Change that layer or the one before it; layers are counted from 0.")
        }
    }

    /// Keeps an average of the parameters from now on, of which the ranks of each of `groups` are to have one copy.
    /// Collective.
    func keepAverage(
        _ settings: AverageSettings, among groups: [Range<Int>], _ communicator: any Communicator
    ) throws {
        let memory = try SharedVectors(count: state.vectors[0].count, number: 1, among: groups, communicator)
        averageMemory = memory
        average = AveragedParameters(settings, in: memory.vectors[0])
    }

    /// What a backward pass writes this rank's gradient to.
    package var slot: Floats { gradients.slot }
    private var values: Floats { network.store.values.values }
    private var effective: Floats? { derived?.vectors[0].values }

    /// What the network computes with: its parameters, where none is normalised.
    public var parameters: Floats { effective ?? values }

    /// What samples are made with: the average, where there is one.
    public var sampledParameters: Floats { average?.values.values ?? parameters }

    /// The parameters have been given first values: those that are computed with, and their average, follow.
    /// Collective.
    package func begin() throws {
        try normalise(iterating: true)
        averageMemory?.change { average!.values.values[$1].copy(from: parameters[$1]) }
        try averageMemory?.barrier()
    }

    /// All state has been given: the parameters that are computed with follow. Collective.
    package func resume() throws { try normalise(iterating: false) }

    /// The parameters have changed, on all ranks: those that are computed with follow, each rank's share of them.
    /// `iterating`: with better spectral norms than the last.
    private func normalise(iterating: Bool) throws {
        guard let spectral, let spectralState, let derived, let effective else { return }
        spectralState.change { number, _ in
            if iterating {
                spectral.refresh(number, values, into: effective)
            } else {
                spectral.normalise(number, values, into: effective)
            }
        }
        try spectralState.barrier()
        try derived.barrier()
    }

    /// What ranks have once, or would if there were room, with what it is.
    var sharedVectors: [(name: String, vectors: SharedVectors)] {
        [
            ("the parameters and moments of the \(role.name)", state),
            ("the spectral norms of the \(role.name)", spectralState),
            ("the average of the \(role.name)", averageMemory),
        ].compactMap { name, vectors in vectors.map { (name, $0) } }
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
        guard let spectral, let spectralState, let derived else { return sum }
        let pulledBack = derived.vectors[1].values
        for number in spectralState.mine { spectral.pullBack(number, sum, effective: parameters, into: pulledBack) }
        try derived.barrier()
        return pulledBack
    }

    // MARK: - The update

    /// Moves the parameters, and what follows them; returns the squared norm of the gradient. Each rank moves its
    /// slice; all have done so when this returns. Collective.
    package func move(by gradient: Floats, at progress: Progress, batch: Int) throws -> Double {
        let factor = optimiser.factor(of: gradient), values = values
        // Where gradients travel by messages, another rank may still compute with the parameters.
        try state.barrier()
        let squaredNorm = try state.changeSumming { _, range in
            optimiser.update(values, gradients: gradient[range], of: range, factor: factor, at: progress)
        }
        try follow(at: progress, batch: batch)
        return squaredNorm
    }

    /// Whether each rank sums the gradients part by part, and moves its parameters while a part is in the cache. Not
    /// where something needs the whole sum; nor with several copies of the state, for each of which a part would be
    /// summed again; nor where some ranks would have no part, or many fewer than others, and wait.
    package var movesByParts: Bool {
        gradients.sumsParts && state.groups.count == 1 && spectral == nil && optimiser.settings.clipNorm == nil
            && (state.group.count == 1 || state.parts.count >= 4 * state.group.count)
    }

    /// ``sumGradients()`` and ``move(by:at:batch:)`` in one where ``movesByParts``: the same bits. The time that the
    /// sums took, too. Collective.
    package func sumAndMove(
        at progress: Progress, batch: Int
    ) throws -> (squaredNorm: Double, secondsSumming: Double) {
        let values = values, start = monotonicSeconds()
        try gradients.meet()
        var seconds = monotonicSeconds() - start
        let squaredNorm = try state.changeSumming { _, range in
            let start = monotonicSeconds(), gradient = gradients.part(range)
            seconds += monotonicSeconds() - start
            return optimiser.update(values, gradients: gradient, of: range, factor: 1, at: progress)
        }
        try follow(at: progress, batch: batch)
        return (squaredNorm, seconds)
    }

    /// What is made of the parameters when they have moved.
    private func follow(at progress: Progress, batch: Int) throws {
        try normalise(iterating: true)
        if let average, let averageMemory {
            let parameters = parameters
            averageMemory.change { _, range in average.update(with: parameters, of: range, batch: batch, at: progress) }
            try averageMemory.barrier()
        }
    }
}
