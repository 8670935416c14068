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
    public let values: Floats
}

/// All that training is between two steps: both networks, the moments of both optimisers, and the number of steps
/// made. Nothing else is state: random numbers and the order of the data are functions of the seed and the step.
extension Trainer {
    public var players: [Player] { [generator, discriminator] }

    /// Every array of the state.
    public var state: [StateArray] {
        players.flatMap { player in
            let store = player.network.store, name = player.role.name
            let parameters = store.entries.map {
                StateArray(
                    name: "\(name)/\($0.name)", dimensions: $0.specification.dimensions,
                    layout: $0.specification.layout, values: store.values.values[$0.range])
            }
            let statistics = store.statisticEntries.map {
                StateArray(
                    name: "\(name)/statistics/\($0.name)", dimensions: [$0.range.count], layout: "C",
                    values: store.statistics.values[$0.range])
            }
            let moments = player.optimiser.moments.flatMap { moment in
                store.entries.map {
                    StateArray(
                        name: "optimizer/\(name)/\(moment.name)/\($0.name)", dimensions: $0.specification.dimensions,
                        layout: $0.specification.layout, values: moment.values.values[$0.range])
                }
            }
            let spectral = (player.spectral?.named ?? []).map {
                StateArray(
                    name: "spectral/\(name)/\($0.name)", dimensions: $0.dimensions, layout: "C", values: $0.values)
            }
            let average = (player.average.map { store.named($0.values.values) } ?? []).map {
                StateArray(
                    name: "average/\(name)/\($0.name)", dimensions: $0.dimensions, layout: "", values: $0.values)
            }
            return parameters + statistics + moments + spectral + average
        } + (leCam.map { [StateArray(name: "lecam/means", dimensions: [2], layout: "C", values: $0.means.values)] } ?? [])
    }

    /// The arrays have been given the state after so many steps.
    public func resume(at step: Int) {
        stepsDone = step
        for player in players { player.resume() }
    }

    /// Some parameters have been given values before the first step.
    public func parametersWereGiven() { for player in players { player.begin() } }

    /// Gives rank `root`'s state to all ranks. Collective.
    public func share(from root: Int) throws {
        stepsDone = try communicator.broadcast(stepsDone, from: root)
        for player in players {
            for buffer in [player.network.store.values, player.network.store.statistics]
                + player.optimiser.moments.map(\.values) + [player.spectral?.state, player.average?.values].compactMap({ $0 })
            {
                try communicator.broadcast(UnsafeMutableRawBufferPointer(buffer.values.bytes), from: root)
            }
            player.resume()
        }
        if let leCam { try communicator.broadcast(UnsafeMutableRawBufferPointer(leCam.means.values.bytes), from: root) }
    }

    /// A hash of all of the state, to compare ranks by.
    public var fingerprint: UInt64 {
        state.reduce(UInt64(stepsDone)) { Collectives.fingerprint(of: $1.values, seed: $0) }
    }

    /// Throws the same failure on every rank where a rank's state is not that of the others: it names the rank.
    /// Collective.
    public func requireEqualReplicas() throws {
        watchdog?.enter(.exchange, step: stepsDone)
        try communicator.requireEqual(fingerprint, "the training states at step \(stepsDone)")
    }

    /// Minibatches of real examples used so far.
    public var minibatchesDone: Int { stepsDone * game.minibatchesOfStep }

    /// The generator's biases that start from the data's marginals (``Initialiser/marginals``).
    private var marginals: ParameterStore.Entry? {
        generator.network.store.entries.last { $0.specification.initialiser == .marginals }
    }

    public var startsFromMarginals: Bool { marginals != nil }

    /// Fills these biases: the inverse of the output's activation at the mean of each value of an example (the
    /// authors' released code: `init_bias_target_marginals`).
    public func fillMarginals(_ means: [Float]) throws(Failure) {
        guard let bias = marginals else { return }
        guard means.count == bias.range.count else {
            throw Failure(
                .badConfiguration,
                "configuration: generator: layer \(bias.layer) has \(bias.range.count) biases from the data's "
                    + "marginals, but an example has \(means.count) values",
                remedy: "Use marginals only in the layer that makes the output.")
        }
        let values = generator.network.store.values.values[bias.range]
        for index in 0 ..< means.count { values[index] = generator.network.layers.inverseOfOutput(means[index]) }
        generator.begin()
    }
}
