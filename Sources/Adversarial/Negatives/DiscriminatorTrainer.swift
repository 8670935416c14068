import Collectives
import Kernels
import Nets
import Support

/// A discriminator without a generator and the step that trains it, data-parallel over shards as ``Trainer`` is:
/// ``DiscriminatorTraining``.
///
/// Every rank has all negatives. Row i of step t stands against negative (t B + i) mod N; at the end of a round the
/// negatives are divided among the shards as the rows of a minibatch are, each rank climbs with those of its shards,
/// and gives them to the others: so they have the same bits on any number of ranks.
public final class DiscriminatorTrainer: NetworkTrainer {
    public let settings: DiscriminatorTraining
    public let discriminator: Player
    public let shards: ShardTable
    public let communicator: any Communicator
    public private(set) var stepsDone = 0
    public var clock = PhaseClock()
    /// Told of the examples, of the negatives in the place of noise, and of every result of a step.
    public var trace: (any StepTrace)?
    public var watchdog: Watchdog?

    private let reals: any MinibatchSource
    private let groups: [ShardGroup]
    private let sums: DiscriminatorSums
    /// As an array of the state, and by their numbers.
    private let values: FloatBuffer
    private let negatives: StoredExamples
    private let ascent: DiscriminatorAscent
    /// D's batch, and the derivatives of its cost with respect to its logits.
    private let bothHalves, slopes: FloatBuffer

    public let sampler: Sampler
    public var maker: any ExampleMaker { negatives }
    public var players: [Player] { [discriminator] }
    public var sharedState: [StateArray] {
        let shape = settings.example
        return [
            StateArray(
                name: "negatives", dimensions: [settings.negatives] + shape.dimensions,
                layout: shape.isImage ? "NHWC" : "NC", values: values.values)
        ]
    }
    public var batch: Int { settings.batch }
    public var seed: UInt64 { settings.seed }
    public var minibatchesOfStep: Int { 1 }

    /// `reals` gives this rank's rows of minibatches of examples. Throws 78 where the network, the examples and the
    /// shards do not fit each other. Collective.
    public init(
        _ settings: DiscriminatorTraining, reals: any MinibatchSource, shards: ShardTable,
        communicator: any Communicator
    ) throws {
        (self.settings, self.reals, self.shards, self.communicator) = (settings, reals, shards, communicator)
        groups = ShardGroup.all(of: shards, batch: settings.batch, together: settings.needsWholeMinibatches)
        let together = groups[0].shards.count, capacity = shards.mostRowsOfAShard(batch: settings.batch)
        let training = Player.Training(
            seed: settings.seed, capacity: capacity, shards: together, table: shards, exchange: settings.exchange,
            precision: settings.precision,
            groups: try communicator.groupsOfOneCopy {
                (try? settings.sharedBytes(shards: shards, group: communicator.nodeGroup, copies: $0)) ?? 0
            }, communicator)
        discriminator = try Player(settings.player, Player.gradients(settings.player, training), training)
        try Self.check(discriminator.network, settings, shards)
        sampler = Sampler(
            try Network(
                settings.noiseLayers, input: .vector(settings.latent.size), capacity: capacity,
                name: Player.Role.generator.name, isTrained: false), settings.latent)
        sums = DiscriminatorSums(settings, discriminator, table: shards, communicator)
        values = FloatBuffer(count: settings.negatives * settings.example.count)
        negatives = StoredExamples(values, shape: settings.example)
        ascent = DiscriminatorAscent(
            sampler, TrainedDiscriminator(discriminator.network, parameters: discriminator.parameters),
            steps: settings.ascent.steps, stepSize: settings.ascent.stepSize, deviation: settings.ascent.noise)
        let rows = together * capacity
        bothHalves = FloatBuffer(count: 2 * rows * settings.example.count)
        slopes = FloatBuffer(count: 2 * rows)
        try discriminator.begin()
        ascent.start(
            negatives[0 ..< settings.negatives], Draws(seed: settings.seed, purpose: .generatorNoise, step: 0))
    }

    private static func check(
        _ network: Network, _ settings: DiscriminatorTraining, _ shards: ShardTable
    ) throws(Failure) {
        guard network.outputShape == .vector(1) else {
            throw Failure(
                .badConfiguration,
                "configuration: discriminator: its last layer makes \(network.outputShape) where it has to make one "
                    + "logit, [1]", remedy: "End it in - dense: {units: 1}.")
        }
        guard !TrainedDiscriminator.couplesExamples(network) else {
            throw Failure(
                .badConfiguration,
                "configuration: discriminator: it judges an example by those beside it (minibatch_deviation), so that "
                    + "no example has a logit to climb", remedy: "Take that layer out.")
        }
        try network.requireVariance(
            fewest: shards.fewestRowsOfAShard(batch: settings.batch), of: settings.batch)
    }

    // MARK: - The step

    public func step(stopVote: Bool = false, checkpointVote: Bool = false) throws -> DiscriminatorReport {
        clock = PhaseClock()
        var report = DiscriminatorReport()
        report.step = stepsDone + 1
        let examples = try nextExamples()
        enter(.discriminator)
        for group in groups { try timed(.compute) { try pass(group, examples) } }
        report.gradientNorm = try move(discriminator, inner: 0, at: progress).squareRoot()
        report.rate = discriminator.optimiser.rate(at: progress)
        let roundEnds = report.step % settings.updatesOfRound == 0
        if roundEnds { try replaceNegatives() }
        try timed(.communication) {
            try sums.finish(&report, roundEnded: roundEnds, stopVote: stopVote, checkpointVote: checkpointVote)
        }
        trace?.losses(inner: 0, ["loss_real": report.lossReal, "loss_fake": report.lossFake])
        try trace?.finishStep(players)
        stepsDone += 1
        return report
    }

    /// This rank's rows of the next global minibatch.
    private func nextExamples() throws -> Floats {
        enter(.data)
        let examples = try timed(.data) { try reals.minibatch(stepsDone) }
        trace?.real(
            0, examples, range: shards.rows(batch: batch), indices: reals.indices(minibatch: stepsDone),
            shape: settings.example)
        return examples
    }

    /// Adds the gradient of D's cost on a group's examples and as many negatives.
    private func pass(_ group: ShardGroup, _ examples: Floats) throws {
        let rows = fill(group, examples), parts = group.shards.count
        let draws = Draws(
            seed: seed, purpose: .dropoutReal, step: stepsDone, firstSample: group.rows.lowerBound)
        let logits = try sums.forward(rows, draws, group)
        trace?.masks(of: discriminator.network, inner: 0)
        for part in 0 ..< parts {
            let (real, fake) = group.halves(of: logits.values, part)
            let costs = settings.objective.discriminator(
                real: real, fake: fake, of: batch, into: group.halves(of: slopes.values, part))
            sums.add(costs, (real, fake), shard: group.shards.lowerBound + part)
        }
        _ = try discriminator.backward(
            from: Batch(slopes.values, count: logits.count, shape: .vector(1)), inputGradient: false)
    }

    /// D's batch: the examples of a group, then its negatives.
    private func fill(_ group: ShardGroup, _ examples: Floats) -> Batch {
        let length = settings.example.count, count = group.rows.count
        let first = group.rows.lowerBound - shards.rows(batch: batch).lowerBound
        let rows = Batch(bothHalves.values, count: 2 * count, shape: settings.example)
        rows[0 ..< count].values.copy(from: examples[first * length ..< (first + count) * length])
        for row in 0 ..< count {
            rows[count + row].copy(from: negatives[stepsDone * batch + group.rows.lowerBound + row])
        }
        trace?.noise(rows[count ..< 2 * count], inner: 0, rows: group.rows)
        return rows
    }

    private var progress: Progress {
        Progress(
            steps: stepsDone, epochs: reals.epoch(minibatch: stepsDone),
            examples: Double(stepsDone) * Double(batch), update: stepsDone + 1)
    }

    // MARK: - The round

    /// This rank's negatives climb on D as it is now, then every rank has all. Collective.
    private func replaceNegatives() throws {
        let count = settings.negatives
        try timed(.compute) {
            for shard in shards.mine {
                let rows = shards.rows(of: shard, batch: count)
                guard !rows.isEmpty else { continue }
                // A climb may last; each of its steps is a sign of life.
                let rise = try ascent.climb(negatives[rows]) { enter(.discriminator) }
                sums.add(rise: rise, shard: shard)
            }
        }
        enter(.exchange)
        try timed(.communication) {
            for rank in 0 ..< communicator.size {
                let mine = shards.shards(of: rank)
                let rows =
                    shards.rows(of: mine.lowerBound, batch: count).lowerBound
                    ..< shards.rows(of: mine.upperBound - 1, batch: count).upperBound
                guard !rows.isEmpty else { continue }
                let bytes = UnsafeMutableRawBufferPointer(negatives[rows].values.bytes)
                try communicator.broadcast(bytes, from: rank)
            }
        }
    }

    // MARK: - State

    public func resume(at step: Int) throws {
        stepsDone = step
        try discriminator.resume()
    }

    public func hashOfGradients() throws -> UInt64 {
        let count = min(shards.fewestRowsOfAShard(batch: batch), settings.negatives)
        let draws = Draws(seed: seed, purpose: .dropoutFake, step: stepsDone)
        _ = try discriminator.network.forward(
            negatives[0 ..< count], parameters: discriminator.parameters, mode: .training(draws))
        let slopes = FloatBuffer([Float](repeating: 1 / Float(count), count: count))
        _ = try discriminator.network.backward(
            from: Batch(slopes.values, count: count, shape: .vector(1)), parameters: discriminator.parameters,
            into: discriminator.slot, inputGradient: false)
        return Collectives.fingerprint(of: discriminator.slot, seed: discriminator.hashOfUpdate(at: progress))
    }
}
