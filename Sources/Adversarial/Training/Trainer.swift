import Collectives
import Kernels
import Nets
import Storage

/// The two players and the step that trains them: Algorithm 1 of Goodfellow et al. 2014, data-parallel over shards.
///
/// Every rank holds both networks whole and runs its own shards of each global minibatch of B examples. The gradient that
/// updates a player is that of its mean cost over the *global* minibatch: each shard adds the gradient of its sum divided by
/// B, and the shards' gradients are summed over all ranks. So every rank makes the same update and the replicas stay equal.
public final class Trainer {
    public let configuration: Configuration
    public let generator: Player
    public let discriminator: Player
    public let shards: ShardTable
    /// Alternation steps made so far: the number of the next one.
    public internal(set) var stepsDone = 0
    /// Where the time of the last step went.
    public private(set) var clock = PhaseClock()
    /// Told of everything random and every result of a step, where a trace is wanted.
    public var trace: TraceRecorder?
    /// Told of each phase, where somebody watches for a stall.
    public var watchdog: Watchdog?

    var batch: Int { configuration.training.batch }
    var k: Int { configuration.training.discriminatorSteps }
    let communicator: any Communicator
    private let images: MinibatchReader
    private let imageShape: Shape
    let latents: Latents
    let packing: Packing
    let ledger: StepLedger
    /// This rank's shards in the groups that go through the networks together.
    let groups: [ShardGroup]
    let logitGradient: FloatBuffer
    /// Where the generator's gradient goes through steps of the discriminator.
    private let unrolling: Unrolling?
    /// The real examples of the next step, if the discriminator's cost on the first group of them is done already.
    private(set) var realsAhead: Floats?

    public init(_ configuration: Configuration, imageShape: Shape, images: MinibatchReader, shards: ShardTable,
                communicator: any Communicator) throws {
        self.configuration = configuration
        self.imageShape = imageShape
        self.images = images
        self.shards = shards
        self.communicator = communicator
        let capacity = shards.mostRowsOfAShard(batch: configuration.training.batch)
        let packs = configuration.training.packing
        try Self.check(shards, batch: configuration.training.batch, packing: packs)
        packing = Packing(size: packs, example: imageShape, capacity: shards.rows(batch: configuration.training.batch).count)
        groups = ShardGroup.all(of: shards, batch: configuration.training.batch, packing: packs, together: configuration.normalisesMinibatches)
        let parts = groups[0].shards.count
        let latentShape = Shape.vector(configuration.latent.size)
        generator = try Player(.generator, configuration.generator, input: latentShape, configuration.generatorOptimiser,
                               capacity: capacity, parts: parts, seed: configuration.seed, shards: shards, configuration.exchange, communicator)
        discriminator = try Player(.discriminator, configuration.discriminator, input: packing.shape, configuration.discriminatorOptimiser,
                                   capacity: capacity / packs, parts: parts, seed: configuration.seed, shards: shards, configuration.exchange, communicator)
        let fewest = shards.fewestRowsOfAShard(batch: configuration.training.batch)
        try Self.check(generator.network, makes: imageShape, from: fewest, of: configuration.training.batch)
        try Self.check(discriminator.network, makes: .vector(1), from: fewest / packs, of: configuration.training.batch / packs)
        latents = Latents(configuration.latent, capacity: parts * capacity)
        ledger = StepLedger(discriminatorSteps: configuration.training.discriminatorSteps, generator: generator.network,
                            discriminator: discriminator.network, table: shards, communicator)
        logitGradient = FloatBuffer(count: parts * capacity)
        let answers = configuration.training.unrollingSteps
        unrolling = answers == 0 ? nil
            : Unrolling(steps: answers, discriminator, imageValues: shards.rows(batch: configuration.training.batch).count * imageShape.count)
    }

    // MARK: - The step

    /// One alternation step; every rank calls it together and gets the same report.
    ///
    /// Throws 80 where a loss or gradient is not finite: the state is then not to be kept.
    /// `stopVote`: whether this rank wants to stop, `checkpointVote`: whether it has the outcome of a checkpoint; one such vote is
    /// enough for all (``StepReport/stopRequested``, ``StepReport/checkpointFinished``). `isLast`: no step is to follow.
    public func step(stopVote: Bool = false, checkpointVote: Bool = false, isLast: Bool = false) throws -> StepReport {
        clock = PhaseClock()
        ledger.begin()
        switch configuration.training.update {
        case .alternating: try alternate(goesOn: !isLast && trace == nil)   // a trace is of one step at a time
        case .simultaneous: if let unrolling { try stepUnrolled(unrolling) } else { try stepTogether() }
        }
        let report = try timed(.communication) {
            try ledger.finish(step: stepsDone + 1, batch: batch, packs: configuration.training.packs, weight: configuration.objective.discriminator.weight,
                              stopVote: stopVote, checkpointVote: checkpointVote)
        }
        if let trace {
            for inner in 0 ..< k {
                trace.losses(inner: inner, ["loss_real": ledger.cost(.discriminatorStep(inner: inner, .real)),
                                            "loss_fake": ledger.cost(.discriminatorStep(inner: inner, .fake))])
            }
            trace.losses(inner: nil, ["loss": ledger.cost(.generatorStep)])
            try trace.finishStep([generator, discriminator])
        }
        stepsDone += 1
        return report
    }

    /// Algorithm 1: k updates of the discriminator, then one of the generator, each on fresh noise.
    ///
    /// While a gradient travels, what does not depend on the update is computed: the generator's images for its own cost, and (if training
    /// `goesOn`) the discriminator's cost on the first real examples of the next step. Nothing of that is state between steps.
    private func alternate(goesOn: Bool) throws {
        var firstFakes: Batch?
        for inner in 0 ..< k {
            var isJudged = inner == 0 && realsAhead != nil
            let real = try isJudged ? realsAhead! : nextReal(stepsDone, inner)
            realsAhead = nil
            enter(.discriminator)
            for group in groups {
                try timed(.compute) {
                    if !isJudged { try judgeReals(real, stepsDone, inner, group) }
                    isJudged = false
                    try judge(generate(.discriminatorNoise, inner, group), .fake, stepsDone, inner, group)
                    discriminator.endGroup()
                }
            }
            if inner == k - 1 { try timed(.compute) { firstFakes = try generate(.generatorNoise, 0, groups[0]) } }
            try update(discriminator, number: stepsDone * k + inner + 1, inner)
        }
        enter(.generator)
        for group in groups {
            try timed(.compute) {
                generator.beginGroup()
                let fakes = try firstFakes ?? generate(.generatorNoise, 0, group)
                firstFakes = nil
                let logits = try decide(fakes, .generatorStep, stepsDone, group)
                try generator.backward(from: imageGradient(of: logits, group), isLast: true)
                generator.endGroup()
            }
        }
        if goesOn {
            let real = try nextReal(stepsDone + 1, 0)
            ledger.turnPage()
            try timed(.compute) { try judgeReals(real, stepsDone + 1, 0, groups[0]) }
            realsAhead = real
        }
        try update(generator, number: stepsDone + 1, 0)
    }

    /// Both players from one batch, one noise and the same parameters, as the authors' released code does.
    private func stepTogether() throws {
        let real = try nextReal(stepsDone, 0)
        enter(.discriminator)
        for group in groups {
            try timed(.compute) {
                try judgeReals(real, stepsDone, 0, group)
                generator.beginGroup()
                let logits = try judge(generate(.discriminatorNoise, 0, group), .fake, stepsDone, 0, group)
                try generator.backward(from: imageGradient(of: logits, group), isLast: true)
                discriminator.endGroup()
                generator.endGroup()
            }
        }
        try update(discriminator, number: stepsDone + 1, 0)
        try update(generator, number: stepsDone + 1, 0)
    }

    // MARK: - Its parts

    /// This rank's rows of a step's global minibatch of real examples.
    func nextReal(_ step: Int, _ inner: Int) throws -> Floats {
        let number = step * k + inner
        enter(.data)
        let real = try timed(.data) { try images.minibatch(number) }
        trace?.real(inner, real, range: shards.rows(batch: batch), indices: images.indices(minibatch: number), shape: imageShape)
        return real
    }

    func rows(_ group: ShardGroup, of real: Floats) -> Batch {
        let first = (group.rows.lowerBound - shards.rows(batch: batch).lowerBound) * imageShape.count
        return Batch(real[first ..< first + group.rows.count * imageShape.count], count: group.rows.count, shape: imageShape)
    }

    /// G(z) for the rows of a group, with fresh noise.
    func generate(_ purpose: Purpose, _ inner: Int, _ group: ShardGroup) throws -> Batch {
        let draws = Draws(seed: configuration.seed, purpose: purpose, step: stepsDone, inner: inner, firstSample: group.rows.lowerBound)
        let noise = latents.fill(count: group.rows.count, draws)
        let owner = purpose == .generatorNoise ? nil : inner
        trace?.noise(noise, inner: owner, rows: group.rows)
        return try ledger.forward(generator: noise, inner: owner, draws, group)
    }

    /// The first half of the discriminator's cost on a group, of which the generated examples are the second.
    private func judgeReals(_ real: Floats, _ step: Int, _ inner: Int, _ group: ShardGroup) throws {
        discriminator.beginGroup()
        try judge(rows(group, of: real), .real, step, inner, group)
    }

    /// Adds the gradient of the discriminator's cost on one group of real or generated examples; returns its logits, one a pack.
    @discardableResult
    func judge(_ examples: Batch, _ half: Pass.Half, _ step: Int, _ inner: Int, _ group: ShardGroup) throws -> Batch {
        let loss = configuration.objective.discriminator
        let weight = loss.weight / Double(configuration.training.packs)
        let logits = try decide(examples, .discriminatorStep(inner: inner, half), step, group)
        for (shard, rows) in zip(group.shards, group.packParts) {
            var (cost, belief, value) = (0.0, 0.0, 0.0)
            for row in rows {
                let logit = Double(logits.values[row])
                cost += half == .real ? loss.valueOnReal(logit) : loss.valueOnFake(logit)
                belief += sigmoid(logit)
                value -= half == .real ? softplus(-logit) : softplus(logit)
                logitGradient.values[row] = Float(weight * (half == .real ? loss.slopeOnReal(logit) : loss.slopeOnFake(logit)))
            }
            ledger.record(.discriminatorStep(inner: inner, half), shard: shard, cost: cost, belief: belief, value: value)
        }
        try discriminator.backward(from: Batch(logitGradient.values, count: logits.count, shape: .vector(1)), isLast: half == .fake)
        return logits
    }

    /// The gradient of the generator's cost with respect to its images, given the logits that the discriminator has just
    /// found for them; the discriminator is frozen.
    private func imageGradient(of logits: Batch, _ group: ShardGroup) throws -> Batch {
        let loss = configuration.objective.generator
        for (shard, rows) in zip(group.shards, group.packParts) {
            var cost = 0.0
            for row in rows {
                let logit = Double(logits.values[row])
                cost += loss.value(logit)
                logitGradient.values[row] = Float(loss.slope(logit) / Double(configuration.training.packs))
            }
            ledger.record(.generatorStep, shard: shard, cost: cost, belief: 0, value: 0)
        }
        return packing.split(try discriminator.backwardFrozen(from: Batch(logitGradient.values, count: logits.count, shape: .vector(1))))
    }

    /// D's logits of the packs in training, with the dropout of this pass.
    private func decide(_ examples: Batch, _ pass: Pass, _ step: Int, _ group: ShardGroup) throws -> Batch {
        let draws = Draws(seed: configuration.seed, purpose: pass.dropout, step: step, inner: pass.inner, firstSample: group.packs.lowerBound)
        let logits = try ledger.forward(discriminator: packing.join(examples), pass, draws, group)
        trace?.masks(of: discriminator.network, pass, packs: group.packs)
        return logits
    }

    /// Sums the shards' gradients over all ranks and moves the player's parameters by them.
    func update(_ player: Player, number: Int, _ inner: Int) throws {
        enter(.exchange)
        let gradient = try timed(.communication) { try player.sumGradients() }
        trace?.gradient(gradient, of: player, inner: inner)
        let squaredNorm = move(player, by: gradient, number: number)
        ledger.record(player.role, squaredNorm: squaredNorm, rate: player.rate(number: number))
    }

    /// Moves the player's parameters; returns the squared norm of the gradient.
    func move(_ player: Player, by gradient: Floats, number: Int) -> Double {
        let epoch = images.epoch(minibatch: stepsDone * k)
        return timed(.optimiser) { player.move(by: gradient, number: number, epoch: epoch) }
    }

    /// Every rank enters the same phases in the same order, however many shards it has.
    func enter(_ phase: Phase) { watchdog?.enter(phase, step: stepsDone + 1) }

    func timed<Value>(_ phase: PhaseClock.Phase, _ body: () throws -> Value) rethrows -> Value {
        let start = PhaseClock.now()
        defer { clock.add(PhaseClock.now() - start, to: phase) }
        return try body()
    }

    /// A pack that lay in two shards would belong to two ranks.
    private static func check(_ shards: ShardTable, batch: Int, packing: Int) throws(Failure) {
        guard !(0 ..< shards.shards).contains(where: { shards.rows(of: $0, batch: batch).lowerBound % packing != 0 }) else {
            throw .configuration("training.packing", "packs of \(packing) do not fit into \(shards.shards) shards of a batch of \(batch)",
                                 remedy: "Use a training.batch that is a multiple of \(packing * shards.shards), or other exchange.shards.")
        }
    }

    /// That the network makes what it has to, and can normalise shards of so few examples of a minibatch.
    private static func check(_ network: Network, makes shape: Shape, from fewest: Int, of batch: Int) throws(Failure) {
        guard network.outputShape == shape else {
            let wanted = shape == .vector(1) ? "one logit, [1]" : "an example of the dataset, \(shape)"
            throw Failure(.badConfiguration, "configuration: \(network.name): its last layer makes \(network.outputShape) where it has to make \(wanted)",
                          remedy: "Change the network's last layers, or the data (data.fit: pad or resize for images of another size).")
        }
        if let layer = network.layerWithoutVariance(fewest: fewest, batch: batch) {
            throw .configuration("training.batch", "with \(fewest) of \(batch) examples in a shard, layer \(layer) (batch_normalisation) of the \(network.name) has a single value a channel, which has no variance",
                                 remedy: "Use a larger batch or fewer shards, or take the statistics over the minibatch (batch_normalisation: {statistics: minibatch}).")
        }
    }
}
