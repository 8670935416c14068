import Collectives
import Kernels
import Nets

/// One of the two networks with what moves it: the sum of its gradients over all shards, its optimiser and its schedules.
public final class Player {
    public enum Role: Int, Sendable {
        case generator, discriminator

        public var name: String { self == .generator ? "generator" : "discriminator" }
    }

    public let role: Role
    public let network: Network
    public let optimiser: Optimiser
    private let settings: OptimiserSettings
    private let gradients: GradientSum
    /// The gradients of a group's shards, one after another; nil where a group is one shard, whose gradient needs no memory but
    /// the sum's own.
    private let ofShards: FloatBuffer?
    /// Whether the group at hand has a gradient already, to which the next is added.
    private var hasGradient = false

    init(_ role: Role, _ layers: [LayerSettings], input: Shape, _ settings: OptimiserSettings, capacity: Int, parts: Int, seed: UInt64,
         shards: ShardTable, _ exchange: Configuration.Exchange, _ communicator: any Communicator) throws {
        self.role = role
        self.settings = settings
        do {
            network = try Network(layers.map(\.layer), input: input, capacity: capacity, parts: parts, name: role.name) {
                LayerSums(count: $0, table: shards, communicator)
            }
        } catch {
            throw Failure(.badConfiguration, "configuration: \(error)", remedy: "Change that layer or the one before it; layers are counted from 0.")
        }
        network.store.initialise(seed: seed, role: role.rawValue)
        optimiser = Optimiser(settings.rule, count: network.store.count)
        gradients = try GradientSum(count: network.store.count, table: shards, communicator: communicator,
                                    kind: exchange.kind == .ordered ? .ordered : .mpi, precision: exchange.precision)
        ofShards = parts > 1 ? FloatBuffer(count: parts * network.store.count) : nil
    }

    /// Why the exchange of gradients is slower than it could be, if it is.
    var warning: String? { gradients.warning }

    // MARK: - The gradient of a step

    /// Before the next of this rank's groups of shards.
    func beginGroup() {
        if ofShards == nil { gradients.beginShard() }
        hasGradient = ofShards == nil && gradients.addsToSlot
    }

    /// Adds the gradients of the shards at hand, given that of the cost with respect to the output of the last forward.
    ///
    /// `isLast`: the group has no more to add. The exchange of each layer's gradient then begins as soon as it is there, but where
    /// several shards go through the network together.
    func backward(from outputGradient: Batch, isLast: Bool) throws {
        let gradients = gradients, settles = isLast && ofShards == nil
        _ = try network.backward(from: outputGradient, into: ofShards?.values ?? gradients.slot, adding: hasGradient, inputGradient: false) { range in
            if settles { gradients.settle(from: range.lowerBound) }
        }
        hasGradient = true
    }

    /// The gradient with respect to the input; the parameters' own is neither computed nor changed.
    func backwardFrozen(from outputGradient: Batch) throws -> Batch {
        try network.backward(from: outputGradient, into: nil, inputGradient: true)!
    }

    /// After the group's last addition: gives the shards' gradients to the sum, in the order of shards.
    func endGroup() {
        guard let ofShards else { return gradients.endShard() }
        let count = network.store.count
        for shard in 0 ..< network.parts {
            gradients.beginShard()
            let gradient = ofShards.values[shard * count ..< (shard + 1) * count]
            if gradients.addsToSlot { Reductions.add(gradient, to: gradients.slot) } else { gradients.slot.copy(from: gradient) }
            gradients.endShard()
        }
    }

    /// The sum over the shards of all ranks, the same bits everywhere; to be read only, until the next ``beginGroup()``.
    func sumGradients() throws -> Floats { try gradients.finish() }

    // MARK: - The update

    /// The learning rate of update `number`, counted from 1.
    func rate(number: Int) -> Double { settings.rate.rate(at: number - 1) }

    /// Moves the parameters; returns the squared norm of the gradient.
    func move(by gradient: Floats, number: Int, epoch: Int) -> Double {
        optimiser.update(network.store.values.values, gradients: gradient, rate: rate(number: number),
                         momentum: settings.momentum.momentum(afterEpochs: epoch), update: number)
    }
}
