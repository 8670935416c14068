import Collectives
import Kernels
import Nets
import Support

/// An array of a trainer's state, under its name in a checkpoint.
public struct StateArray {
    /// `generator/0/dense/weights`, `generator/statistics/…`, `optimizer/generator/first/…`.
    public let name: String
    public let dimensions: [Int]
    /// What the dimensions are, such as `HWIO`.
    public let layout: String
    /// A view of the state itself.
    public let values: ParameterValues

    package init(name: String, dimensions: [Int], layout: String, values: ParameterValues) {
        (self.name, self.dimensions, self.layout, self.values) = (name, dimensions, layout, values)
    }

    package init(name: String, dimensions: [Int], layout: String, values: Floats) {
        self.init(name: name, dimensions: dimensions, layout: layout, values: ParameterValues(stored: values))
    }
}

extension Trainer {
    public var players: [Player] { [generator, discriminator] + (encoder.map { [$0] } ?? []) }

    public var sharedState: [StateArray] {
        var arrays: [StateArray] = []
        if let leCam {
            arrays.append(StateArray(name: "lecam/means", dimensions: [2], layout: "C", values: leCam.means.values))
        }
        if let state = augmentation?.state {
            for (index, name) in ["probability", "signs"].enumerated() {
                arrays.append(
                    StateArray(
                        name: "augmentation/\(name)", dimensions: [1], layout: "C",
                        values: state.values[index ..< index + 1]))
            }
        }
        return arrays
    }

    public var sampler: Sampler {
        Sampler(
            generator.network, game.latent, game.conditioning, parameters: generator.sampledParameters)
    }

    public func resume(at step: Int) throws {
        stepsDone = step
        for player in players { try player.resume() }
    }

    /// Where each player has a single parameter, both; else nil.
    var onlyParameters: (generator: Double, discriminator: Double)? {
        let stores = (generator.network.store, discriminator.network.store)
        guard stores.0.parameterCount == 1, stores.1.parameterCount == 1 else { return nil }
        return (Double(stores.0.values.values[0]), Double(stores.1.values.values[0]))
    }
}

extension NetworkTrainer {
    /// Every array of the state.
    public var state: [StateArray] { players.flatMap(\.arrays) + sharedState }

    /// Gives rank `root`'s state, which is that after `step` steps, to all ranks; where it was given from elsewhere,
    /// the arrays of ``state`` on that rank, it is theirs from here on. Collective.
    public func share(from root: Int, step: Int) throws {
        let step = try communicator.broadcast(step, from: root)
        for player in players {
            for (_, vectors) in player.sharedVectors { try vectors.share(from: root, communicator) }
            try share(player.network.store.statistics.values, from: root)
        }
        for array in sharedState { try share(array.values.stored, from: root) }
        try resume(at: step)
    }

    private func share(_ values: Floats, from root: Int) throws {
        try communicator.broadcast(UnsafeMutableRawBufferPointer(values.bytes), from: root)
    }

    /// Some parameters have been given values before the first step, and shared. Collective.
    public func parametersWereGiven() throws { for player in players { try player.begin() } }

    /// σ of each weight that is divided by its spectral norm: `sigma/discriminator/0.dense/weight`.
    public var spectralNorms: [(name: String, sigma: Double)] {
        players.flatMap { player in
            (player.spectral?.sigmas ?? []).map { ("sigma/\(player.role.name)/\($0.name)", $0.sigma) }
        }
    }

    /// A hash of all of the state, to compare ranks by.
    public var fingerprint: UInt64 {
        state.reduce(UInt64(stepsDone)) { Collectives.fingerprint(of: $1.values.stored, seed: $0) }
    }

    /// Minibatches of real examples used so far.
    public var minibatchesDone: Int { stepsDone * minibatchesOfStep }

    /// The network that makes examples; nil where there is none.
    private var makingPlayer: Player? { players.first { $0.role == .generator || $0.role == .decoder } }

    /// Its biases that start from the data's marginals (``Initialiser/marginals``).
    private var marginals: ParameterStore.Entry? {
        makingPlayer?.network.store.entries.last { $0.specification.initialiser == .marginals }
    }

    public var startsFromMarginals: Bool { marginals != nil }

    /// Fills these biases: the inverse of the output's activation at the mean of each value of an example (the
    /// authors' released code: `init_bias_target_marginals`). All ranks have the same means, of which there are as many
    /// as ``requireMarginals(_:)`` asks for. Collective.
    public func fillMarginals(_ means: [Float]) throws {
        guard let bias = marginals, let maker = makingPlayer else { return }
        let values = maker.network.store.values.values[bias.range], layers = sampler.network.layers
        if communicator.rank == maker.state.group.lowerBound {
            for index in 0 ..< means.count { values[index] = layers.inverseOfOutput(means[index]) }
        }
        try maker.state.settle()
        try maker.begin()
    }

    /// Throws 78 where the layer with these biases is not the one that makes the output, of such means.
    public func requireMarginals(_ means: [Float]) throws(Failure) {
        guard let bias = marginals, means.count != bias.range.count, let network = makingPlayer?.network else { return }
        throw Failure(
            .badConfiguration,
            "configuration: \(network.name): layer \(network.nodes[bias.layer].place) has \(bias.range.count) biases "
                + "from the data's marginals, but an example has \(means.count) values",
            remedy: "Use marginals only in the layer that makes the output.")
    }
}

extension Player {
    /// Every array of its state.
    fileprivate var arrays: [StateArray] {
        let store = network.store, name = role.name
        /// The parameters' parts of a buffer of their layout.
        func parameters(_ prefix: String, _ flat: Floats) -> [StateArray] {
            store.entries.map {
                StateArray(
                    name: "\(prefix)/\($0.name)", dimensions: $0.specification.dimensions,
                    layout: $0.specification.layout, values: $0.values(in: flat))
            }
        }
        var arrays = parameters(name, store.values.values)
        for entry in store.statisticEntries {
            arrays.append(
                StateArray(
                    name: "\(name)/statistics/\(entry.name)", dimensions: [entry.range.count], layout: "C",
                    values: store.statistics.values[entry.range]))
        }
        for moment in optimiser.moments {
            arrays += parameters("optimizer/\(name)/\(moment.name)", moment.values.values)
        }
        for vector in spectral?.named ?? [] {
            arrays.append(
                StateArray(
                    name: "spectral/\(name)/\(vector.name)", dimensions: vector.dimensions, layout: "C",
                    values: vector.values))
        }
        if let average { arrays += parameters("average/\(name)", average.values.values) }
        return arrays
    }
}
