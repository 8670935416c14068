import Collectives
import Kernels
import Nets
import Support

/// The players and the step that trains them: Algorithm 1 of Goodfellow et al. 2014, data-parallel over shards.
///
/// Every rank computes with the networks whole and runs its own shards of each global minibatch of B examples. The
/// gradient that updates a player is that of its mean cost over the *global* minibatch: each shard adds the gradient of
/// its sum divided by B, and the shards' gradients are summed over all ranks. So every copy of the parameters,
/// one a node or a NUMA domain, gets the same update, each of its ranks moving a slice, and copies stay equal.
public final class Trainer: NetworkTrainer {
    public let game: Game
    public let generator: Player
    public let discriminator: Player
    /// Of a game with a third player.
    public var encoder: Player? { encoding?.player }
    public let shards: ShardTable
    /// Alternation steps made so far: the number of the next one.
    public internal(set) var stepsDone = 0
    /// Where the time of the last step went.
    public var clock = PhaseClock()
    /// Told of everything random and every result of a step, where a trace is wanted.
    public var trace: (any StepTrace)?
    /// Told of each phase, where somebody watches for a stall.
    public var watchdog: Watchdog?

    /// That of the step at hand.
    private(set) var objective: any Objective
    /// Of an example.
    public let exampleShape: Shape
    public var batch: Int { game.batch }
    public var seed: UInt64 { game.seed }
    public var minibatchesOfStep: Int { game.minibatchesOfStep }
    /// k of Algorithm 1.
    let k: Int
    /// Minibatches of real examples that the step at hand has taken so far.
    private var minibatchesTaken = 0
    /// This rank's rows of the last of them.
    private var lastReal = Floats.none
    public let communicator: any Communicator
    private let reals: any MinibatchSource
    let latents: Latents
    let packing: Packing
    let statistics: StepStatistics
    /// This rank's shards in the groups that run through the networks together.
    let groups: [ShardGroup]
    /// The discriminator's batch in its own update, and the derivatives of a cost with respect to its logits.
    let bothHalves: FloatBuffer
    let slopes: FloatBuffer
    /// Where the objective needs sums over the whole minibatch.
    let minibatchSums: MinibatchSummation?
    let leCam: LeCamPass?
    let augmentation: AugmentationPass?
    private let penalties: PenaltyPass
    /// Where the examples have conditions.
    let conditions: ConditionPass?
    /// Where there is a third player.
    let encoding: EncoderPass?
    /// Where the generator's gradient goes through steps of the discriminator.
    private let unrolling: Unrolling?

    /// `reals` gives this rank's rows of minibatches of examples of `exampleShape`. Throws 78 where the networks, the
    /// examples and the shards do not fit each other. Collective.
    public init(
        _ game: Game, exampleShape: Shape, reals: any MinibatchSource, shards: ShardTable,
        communicator: any Communicator
    ) throws {
        self.game = game
        precondition(
            game.penaltyPlaces.count == game.penalties.count, "two penalties of one kind: \(game.penalties)")
        objective = game.objective
        self.exampleShape = exampleShape
        self.reals = reals
        self.shards = shards
        self.communicator = communicator
        k = game.discriminatorSteps
        let capacity = shards.mostRowsOfAShard(batch: game.batch)
        try Self.check(shards, batch: game.batch, packing: game.packing)
        try Self.checkConditions(game)
        groups = ShardGroup.all(
            of: shards, batch: game.batch, packing: game.packing, together: game.needsWholeMinibatches,
            penalties: game.penaltyPlaces)
        let together = groups[0].shards.count, judged = game.judged(exampleShape)
        packing = Packing(size: game.packing, example: judged, capacity: 2 * together * capacity)
        let copies = try communicator.groupsOfOneCopy {
            // Networks that do not fit each other are refused below.
            (try? game.sharedBytes(
                example: exampleShape, shards: shards, group: communicator.nodeGroup, copies: $0)) ?? 0
        }
        func training(_ capacity: Int) -> Player.Training {
            Player.Training(
                seed: game.seed, capacity: capacity, shards: together, table: shards, exchange: game.exchange,
                precision: game.precision, groups: copies, communicator)
        }
        // Shared memory goes first to the gradients, then to the players' state, last to an average.
        let ofGenerator = (game.player(.generator, input: .vector(game.latent.size)), training(capacity))
        let ofDiscriminator = (game.player(.discriminator, input: packing.shape), training(capacity / game.packing))
        let ofEncoder = game.encoder.map { _ in (game.player(.encoder, input: exampleShape), training(capacity)) }
        let gradients = try [ofGenerator, ofDiscriminator].map { try Player.gradients($0, $1) }
        let gradientsOfEncoder = try ofEncoder.map { try Player.gradients($0, $1) }
        generator = try Player(ofGenerator.0, gradients[0], ofGenerator.1)
        let unrollingSteps = game.updates.map(\.unrollingSteps).max() ?? 0
        // A direction in D's parameters is shared where these are, or neither is.
        var direction =
            unrollingSteps == 0
            ? nil : try SharedVectors(count: gradients[1].slot.count, number: 1, among: copies, communicator)
        discriminator = try Player(ofDiscriminator.0, gradients[1], ofDiscriminator.1, among: direction?.groups)
        if let shared = direction, shared.isShared, !discriminator.state.isShared {
            direction = try SharedVectors(
                count: shared.vectors[0].count, number: 1, among: communicator.everyRankAlone, communicator)
        }
        let encoder = try ofEncoder.map { try Player($0, gradientsOfEncoder!, $1) }
        encoding = encoder.map {
            EncoderPass(
                $0, game.encoder!.kind, example: exampleShape, codeSize: game.latent.size, rows: together * capacity)
        }
        if let average = game.average {
            // If all that matters more is shared too.
            let isShared = [generator, discriminator, encoder].allSatisfy { $0?.state.isShared ?? true }
            try generator.keepAverage(average, among: isShared ? copies : communicator.everyRankAlone, communicator)
        }
        let fewest = shards.fewestRowsOfAShard(batch: game.batch)
        try Self.check(generator.network, makes: exampleShape, from: fewest, of: game.batch)
        try Self.check(
            discriminator.network, makes: .vector(1), from: fewest / game.packing, of: game.batch / game.packing)
        if let encoder {
            try Self.check(encoder.network, codeSize: game.latent.size, from: fewest, of: game.batch)
        }
        latents = Latents(game.latent, capacity: together * capacity)
        statistics = StepStatistics(
            game, generator: generator, discriminator: discriminator, encoder: encoder, table: shards, communicator)
        minibatchSums = (game.objective as? any MinibatchObjective).map {
            MinibatchSummation($0, rows: game.packs, shards, communicator)
        }
        leCam = game.leCam.map { LeCamPass($0, rows: game.packs, shards, communicator) }
        augmentation = game.augmentation.map {
            AugmentationPass($0, game, example: exampleShape, rows: together * capacity)
        }
        let values = together * capacity * judged.count
        penalties = PenaltyPass(game, rows: together * capacity / game.packing, values: values)
        conditions = game.conditioning.map {
            ConditionPass($0, game, rows: together * capacity, halves: 2 + game.penaltyPlaces.parts)
        }
        bothHalves = FloatBuffer(count: (2 + game.penaltyPlaces.parts) * values)
        slopes = FloatBuffer(count: (2 + game.penaltyPlaces.parts) * together * capacity)
        let imageValues = shards.rows(batch: game.batch).count * exampleShape.count
        if let direction {
            unrolling = Unrolling(
                steps: unrollingSteps, discriminator, imageValues: imageValues, direction: direction)
        } else {
            unrolling = nil
        }
        for player in players { try player.begin() }
    }

    // MARK: - The step

    /// One alternation step; every rank calls it together and gets the same report.
    ///
    ///     Algorithm 1 (Goodfellow et al. 2014):
    ///         k times: a minibatch of real examples x and one of noise z;
    ///                  move D down the gradient of its cost on x and G(z)
    ///         once:    a minibatch of noise z;
    ///                  move G down the gradient of its cost on D(G(z))
    ///
    /// `stopVote`: whether this rank wants to stop, `checkpointVote`: whether it has the outcome of a checkpoint; one
    /// such vote is enough for all (``StepReport/stopRequested``, ``StepReport/checkpointFinished``). Where a figure
    /// of the report is not finite the state is not to be kept.
    public func step(stopVote: Bool = false, checkpointVote: Bool = false) throws -> StepReport {
        clock = PhaseClock()
        minibatchesTaken = 0
        if let now = game.objective.at(progress(update: stepsDone + 1)) { objective = now }
        statistics.begin()
        augmentation?.begin(at: progress(update: stepsDone + 1))
        for update in game.updates {
            if let unrolling { try perform(update, unrolled: unrolling) } else { try perform(update) }
        }
        var report = try timed(.communication) {
            try statistics.finish(
                step: stepsDone + 1, batch: batch, stopVote: stopVote, checkpointVote: checkpointVote)
        }
        report.parameters = onlyParameters
        report.augmentProbability = augmentation?.probability
        augmentation?.follow(signs: statistics.realSigns, step: stepsDone + 1)
        try writeTrace()
        stepsDone += 1
        return report
    }

    /// One update: the gradients of the players that move, summed over the shards of all ranks, then their moves.
    private func perform(_ update: Update) throws {
        trace?.begin(update)
        let taken = try game.needsReals(update) ? nextReal(update) : nil
        enter(update.moves(.discriminator) ? .discriminator : .generator)
        for group in groups {
            try timed(.compute) { try pass(update, taken.map { rows(group, of: $0) }, group) }
        }
        for role in update.players { try move(player(role), update.inner) }
    }

    /// Adds the gradients of a group's shards. `examples`: of data, where the update needs such.
    private func pass(_ update: Update, _ examples: Batch?, _ group: ShardGroup) throws {
        if case .adversarialAutoencoder(let cost) = encoding?.kind, update.reconstructs {
            return try reconstruct(examples!, by: cost, update, group)
        }
        let (real, fake) = try halves(update, examples, group)
        let logits =
            try update.moves(.discriminator) ? discriminatorPass(real: real!, fake: fake, update.inner, group) : nil
        if update.moves(.generator) || update.moves(.encoder) {
            try generatorPass(real: real, fake: fake, judged: logits, group)
        }
    }

    private func player(_ role: Player.Role) -> Player {
        switch role {
        case .generator: generator
        case .encoder: encoder!
        default: discriminator
        }
    }

    // MARK: - Its parts

    /// Bytes of one shard's statistics in a step (costs, batch statistics), of which every rank gets every shard's.
    public var bytesOfStatistics: Int { statistics.bytesOfShard }

    /// This rank's rows of the global minibatch of real examples that an update is of.
    func nextReal(_ update: Update) throws -> Floats {
        if game.takesNewReals(update, after: minibatchesTaken) {
            let number = minibatchesDone + minibatchesTaken
            minibatchesTaken += 1
            enter(.data)
            lastReal = try timed(.data) { try reals.minibatch(number) }
        }
        let real = lastReal
        trace?.real(
            update.moves(.discriminator) ? update.inner : nil, real, range: shards.rows(batch: batch),
            indices: reals.indices(minibatch: minibatchesDone + minibatchesTaken - 1), shape: exampleShape)
        if let conditions, let condition = game.conditioning?.condition {
            conditions.real = reals.conditions
            trace?.conditions(
                reals.conditions, of: condition, areReal: true,
                inner: update.moves(.discriminator) ? update.inner : nil, rows: shards.rows(batch: batch))
        }
        return real
    }

    func rows(_ group: ShardGroup, of real: Floats) -> Batch {
        let rows = ownRows(of: group)
        return Batch(
            real[rows.lowerBound * exampleShape.count ..< rows.upperBound * exampleShape.count], count: rows.count,
            shape: exampleShape)
    }

    /// The rows of a group among this rank's.
    func ownRows(of group: ShardGroup) -> Range<Int> {
        let first = group.rows.lowerBound - shards.rows(batch: batch).lowerBound
        return first ..< first + group.rows.count
    }

    /// G(z) for the rows of a group, with fresh noise.
    func generate(_ update: Update, _ group: ShardGroup) throws -> Batch {
        try generate(drawLatents(update, group), update, group)
    }

    /// Fresh latents for the rows of a group; valid until the next.
    func drawLatents(_ update: Update, _ group: ShardGroup) -> Batch {
        let noise = latents.fill(count: group.rows.count, noiseDraws(update, group))
        trace?.noise(noise, inner: update.moves(.discriminator) ? update.inner : nil, rows: group.rows)
        return noise
    }

    private func noiseDraws(_ update: Update, _ group: ShardGroup) -> Draws {
        draws(update.moves(.discriminator) ? .discriminatorNoise : .generatorNoise, update.inner, group.rows)
    }

    /// G of a group's latents.
    func generate(_ noise: Batch, _ update: Update, _ group: ShardGroup) throws -> Batch {
        let isDiscriminators = update.moves(.discriminator), inner = isDiscriminators ? update.inner : nil
        let draws = noiseDraws(update, group)
        let labels = conditions?.generate(ownRows(of: group), draws, hasReals: game.needsReals(update)) ?? .none
        if let condition = game.conditioning?.condition {
            trace?.conditions(labels, of: condition, areReal: false, inner: inner, rows: group.rows)
        }
        let images = try statistics.forward(
            generator: noise, number: statistics.forward(of: update), draws,
            isDiscriminators ? group.discriminatorNoise : group.generatorNoise,
            group, conditions: labels)
        trace?.masks(of: generator.network, inner: inner)
        return images
    }

    func draws(_ purpose: Purpose, _ inner: Int, _ rows: Range<Int>) -> Draws {
        Draws(seed: game.seed, purpose: purpose, step: stepsDone, inner: inner, firstSample: rows.lowerBound)
    }

    /// The discriminator's batch of both halves, the real one first.
    func bothHalves(real: Batch, fake: Batch) -> Batch {
        let half = packing.join(real, into: bothHalves.values)
        packing.join(fake, into: bothHalves.values[half.values.count ..< 2 * half.values.count])
        return Batch(bothHalves.values, count: 2 * half.count, shape: packing.shape)
    }

    /// Adds the gradient of the discriminator's cost on a group's real and generated examples; returns the logits of
    /// both.
    @discardableResult
    func discriminatorPass(real: Batch, fake: Batch, _ inner: Int, _ group: ShardGroup) throws -> Batch {
        let places = penalties.begin(at: progress(update: number(of: .discriminator, inner)))
        statistics.begin(places, inner: inner)
        let packs = penalise(bothHalves(real: real, fake: fake), places, inner, group), parts = group.parts(places)
        augment(packs, inner: inner, group)
        let logits = try statistics.forward(
            discriminator: packs, inner: inner, draws(.dropoutReal, inner, group.packs), parts, group,
            conditions: conditions?.judge(ownRows(of: group), more: places.parts) ?? .none)
        trace?.masks(of: discriminator.network, inner: inner)
        try minibatchSums?.sum(.discriminator, logits, group)
        try leCam?.update(
            logits, group, isFirst: stepsDone == 0 && inner == 0,
            at: progress(update: number(of: .discriminator, inner)))
        slopes.values[2 * group.packs.count ..< logits.count].fill(0)
        for (part, shard) in group.shards.enumerated() {
            let costs = discriminatorCosts(logits, part, group)
            statistics.add(cost: costs.real, .discriminator(inner: inner, .real), shard: shard)
            statistics.add(cost: costs.fake, .discriminator(inner: inner, .fake), shard: shard)
            if let leCam {
                let (real, fake) = group.halves(of: logits.values, part)
                let cost = leCam.add(real: real, fake: fake, to: group.halves(of: slopes.values, part))
                statistics.add(leCam: cost, inner: inner, shard: shard)
            }
            statistics.add(figuresOf: group.halves(of: logits.values, part), inner: inner, shard: shard)
        }
        try discriminator.backward(from: Batch(slopes.values, count: logits.count, shape: .vector(1))) {
            gradient in
            throughAugmentation(gradient, parts) { penalties.direct(gradient, parts, group, inner, statistics) }
        }
        return logits
    }

    /// The discriminator's batch with the rows that penalties look at beside its halves.
    private func penalise(_ halves: Batch, _ places: PenaltyPlaces, _ inner: Int, _ group: ShardGroup) -> Batch {
        guard places.parts > 0 else { return halves }
        let rows = group.packs.count
        penalties.fill(
            bothHalves.values[halves.values.count ..< bothHalves.values.count], real: halves[0 ..< rows],
            fake: halves[rows ..< 2 * rows], places
        ) {
            draws($0, inner, group.packs)
        } trace: {
            trace?.penaltyDraws($0, $1, dimensions: $2, inner: inner, packs: group.packs)
        }
        return Batch(bothHalves.values, count: (2 + places.parts) * rows, shape: packing.shape)
    }

    /// D's costs on both halves of a shard of the group, whose slopes it writes.
    func discriminatorCosts(_ logits: Batch, _ part: Int, _ group: ShardGroup) -> (real: Double, fake: Double) {
        let (real, fake) = group.halves(of: logits.values, part), slopes = group.halves(of: slopes.values, part)
        if let minibatchSums {
            return minibatchSums.objective.discriminator(real: real, fake: fake, minibatchSums.sums, into: slopes)
        }
        return objective.discriminator(real: real, fake: fake, of: game.packs, into: slopes)
    }

    /// Sums the shards' gradients over all ranks and moves the player's parameters by them.
    func move(_ player: Player, _ inner: Int) throws {
        let progress = progress(update: number(of: player.role, inner))
        let squaredNorm = try move(player, inner: inner, at: progress)
        statistics.record(player.role, squaredNorm: squaredNorm, rate: player.optimiser.rate(at: progress))
    }

    /// Moves the player's parameters; returns the squared norm of the gradient.
    func move(_ player: Player, by gradient: Floats, number: Int) throws -> Double {
        let progress = progress(update: number)
        return try timed(.optimiser) { try player.move(by: gradient, at: progress, batch: batch) }
    }

    /// The number of a player's update in this step, counted from 1 over the run.
    private func number(of role: Player.Role, _ inner: Int) -> Int {
        stepsDone * game.updates.count { $0.moves(role) } + inner + 1
    }

    /// Where the run stands at update `number` of a player.
    func progress(update number: Int) -> Progress {
        Progress(
            steps: stepsDone, epochs: reals.epoch(minibatch: minibatchesDone),
            examples: Double(minibatchesDone) * Double(batch), update: number)
    }
}
