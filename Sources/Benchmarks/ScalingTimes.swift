import Adversarial
import Collectives
import Foundation
import Kernels
import Nets
import Recipes
import Support

/// The median of ten times, each the slowest rank's, of what all ranks begin together; `prepare` is not timed.
func slowest(
    of communicator: any Communicator, prepare: () throws -> Void = {}, timed body: () throws -> Void
) throws -> Double {
    let times = try (0 ..< 12).map { _ in
        try prepare()
        try communicator.barrier()
        let start = monotonicSeconds()
        try body()
        return try communicator.gather(monotonicSeconds() - start).max()!
    }
    return median(Array(times.dropFirst(2)))
}

/// Medians of a few steps, of the slowest rank.
struct StepTimes {
    let trainer: Trainer
    let step: Double
    let optimiser: Double
    /// All but the optimiser.
    let compute: Double

    /// Of steps over the ranks of `communicator`, which `all` ranks make at once.
    init(
        _ configuration: Configuration, steps: Int, _ communicator: any Communicator, all: any Communicator
    ) throws {
        trainer = try Trainer.onRandomData(configuration, shards: communicator.size, communicator: communicator)
        var times: [Double] = [], optimising: [Double] = []
        for number in 0 ..< steps + 2 {
            try all.barrier()
            let start = monotonicSeconds()
            _ = try trainer.step()
            if number < 2 { continue }
            times.append(monotonicSeconds() - start)
            optimising.append(trainer.clock[.optimiser])
        }
        step = try all.gather(median(times)).max()!
        optimiser = try all.gather(median(optimising)).max()!
        compute = try all.gather(median(zip(times, optimising).map { $0 - $1 })).max()!
    }
}

/// What messages take, from each rank to the next, all at once.
struct MessageTimes {
    let link: ScalingModel.Link
    /// Whether they travel while a rank computes.
    let overlap: Bool

    init(_ communicator: any Communicator) throws {
        let channel = try communicator.channel(tags: 1), rank = communicator.rank, size = communicator.size
        let long = 1 << 20, short = 16, many = 65
        let outgoing = FloatBuffer(count: long), incoming = FloatBuffer(count: long)
        func seconds(of number: Int, _ count: Int) throws -> Double {
            try slowest(of: communicator) {
                let ranges = (0 ..< number).map { $0 * count ..< ($0 + 1) * count }
                try channel.begin(
                    0,
                    outgoing: ranges.map { Message(peer: (rank + 1) % size, values: outgoing.values[$0]) },
                    incoming: ranges.map { Message(peer: (rank + size - 1) % size, values: incoming.values[$0]) })
                while try !channel.isDone(0) { sched_yield() }
            }
        }
        let latency = try seconds(of: 1, short), whole = try seconds(of: 1, long)
        let more = try seconds(of: many, short) - latency
        // On a busy machine the short message may have taken longer: then the long one's time is all its bytes'.
        link = ScalingModel.Link(
            latency: latency, bytesPerSecond: Double(4 * (long - short)) / (whole > latency ? whole - latency : whole),
            secondsOfMessage: max(more, 0) / Double(many - 1))
        overlap = channel.allowsThread
    }
}

/// When the gradients of an update are final: medians of a few backward passes as a trainer's update makes them, on
/// random values.
struct GradientTimes {
    let gradients: [ScalingModel.Gradient]

    /// `overlap`: whether messages travel while a rank computes; what is final early is of no use otherwise. All ranks
    /// of `all` compute at once.
    init(_ update: Update, of trainer: Trainer, overlap: Bool, all: any Communicator) throws {
        let rows = trainer.shards.rows(batch: trainer.game.batch).count
        let joins = !trainer.game.needsWholeMinibatches
        let discriminator = Passes(trainer.discriminator.network, rows: rows / trainer.game.packing, joins: joins)
        let generator = Passes(trainer.generator.network, rows: rows, joins: joins)
        let players = update.players.map { $0 == .discriminator ? discriminator : generator }
        var starts = players.map { _ in [Int]() }
        var leads: [[[Double]]] = []
        for _ in 0 ..< 7 {
            for pass in players { try pass.forward() }
            try all.barrier()
            var moments = players.map { _ in [Double]() }
            starts = moments.map { _ in [] }
            for (number, pass) in players.enumerated() {
                // The generator's gradient comes through the frozen discriminator.
                if number > 0 { try players[number - 1].frozenBackward() }
                try pass.backward { range in
                    starts[number].append(range.lowerBound)
                    moments[number].append(monotonicSeconds())
                }
            }
            let end = monotonicSeconds()
            leads.append(moments.map { $0.map { end - $0 } })
        }
        gradients = players.indices.map { player in
            ScalingModel.Gradient(
                count: players[player].network.store.count,
                ready: starts[player].indices.map { mark in
                    (starts[player][mark], overlap ? median(leads.map { $0[player][mark] }) : 0)
                })
        }
    }

    /// A network's passes on random values.
    private struct Passes {
        let network: Network
        private let parts: [BatchPart]
        private let input: FloatBuffer, slopes: FloatBuffer, gradient: FloatBuffer, conditions: FloatBuffer
        private let draws = Draws(seed: 1, purpose: .sample, step: 0)

        init(_ network: Network, rows: Int, joins: Bool) {
            self.network = network
            parts = (0 ..< network.halves).map {
                BatchPart(
                    rows: $0 * rows ..< ($0 + 1) * rows, firstSample: 0, purpose: .sample, half: $0,
                    joinsPrevious: joins && $0 > 0)
            }
            let count = network.halves * rows
            input = FloatBuffer(count: count * network.inputShape.count)
            slopes = FloatBuffer(count: count * network.outputShape.count)
            // Of zeros: the first class of all.
            conditions = FloatBuffer(count: count * (network.condition?.width ?? 0))
            gradient = FloatBuffer(count: network.store.count)
            draws.fillNormal(input.values, samples: count)
            draws.fillNormal(slopes.values, samples: count)
        }

        private var parameters: Floats { network.store.values.values }
        private var count: Int { parts.last!.rows.upperBound }
        private var outputGradient: Batch { Batch(slopes.values, count: count, shape: network.outputShape) }

        func forward() throws {
            _ = try network.forward(
                Batch(input.values, count: count, shape: network.inputShape), parameters: parameters,
                mode: .training(draws), parts: parts, conditions: conditions.values)
        }

        func backward(ready: (Range<Int>) -> Void) throws {
            _ = try network.backward(
                from: outputGradient, parameters: parameters, into: gradient.values, inputGradient: false, ready: ready)
        }

        /// Of the last half alone: that of the generated examples.
        func frozenBackward() throws {
            _ = try network.backward(
                from: outputGradient, parameters: parameters, into: nil, only: parts.indices.suffix(1),
                inputGradient: true)
        }
    }
}
