import Collectives
import Kernels
import Nets

/// A pass over the minibatch in training of which costs and batch statistics are kept.
enum Pass {
    enum Half: Int { case real, fake }

    /// One half of the discriminator's update `inner`.
    case discriminator(inner: Int, Half)
    /// The update of who plays against the discriminator: the generated half, which has its cost, and the real one that
    /// a relativistic cost is of, or an encoder's of pairs.
    case generator(Half)
}

/// The sums of one step that shards add to and ranks share once at its end: costs, what logits say, and the batch
/// statistics of every pass in training, so that running statistics too are those of the whole minibatch.
final class StepStatistics {
    private enum Figure: Int, CaseIterable { case cost, probability, value, logit, ranked, sign }
    private enum Vote: Int, CaseIterable { case stop, checkpoint }

    private let k: Int
    private let objective: any Objective
    private let table: ShardTable
    private let players: (generator: Player, discriminator: Player, encoder: Player?)
    private let encoderKind: Encoder.Kind?
    /// Whether the generator's update has logits of both halves.
    private let judgesReals: Bool
    private var generator: Network { players.generator.network }
    private var discriminator: Network { players.discriminator.network }
    private let sums: ShardSums
    /// The forwards of G and of E and the passes of D that a step has, in their order: a simultaneous update has no
    /// forward of the generator's own.
    private var generatorForwards: [Int] = []
    private var encoderForwards: [Int] = []
    private var discriminatorPasses: [Int] = []
    /// For the parts of a batch, one after another.
    private let generatorStatistics: FloatBuffer
    private let discriminatorStatistics: FloatBuffer
    private let encoderStatistics: FloatBuffer
    private var report = StepReport()
    /// Rows that D judges in a pass over the minibatch.
    private let packs: Int
    private let leCam: Bool
    private let augments: Bool
    /// Of an update of D: LeCam's cost, then the cost of a penalty, ‖g‖ and ‖g‖² at each place that there is.
    private let penaltyColumns: Int
    /// Where each update of D in the step is penalised.
    private var placesRan: [PenaltyPlaces]
    /// The last ones taken in each place: one that is taken at some updates only is not at every step that is logged.
    private var penalties: [StepReport.PenaltyFigures?]
    /// Passes over the minibatch in a step at most, of each half.
    private let passes: Int
    /// Bytes of one shard's sums, of which every rank gets every shard's.
    var bytesOfShard: Int { sums.totals.count * MemoryLayout<Double>.size }

    init(
        _ game: Game, generator generatorPlayer: Player, discriminator discriminatorPlayer: Player, encoder: Player?,
        table: ShardTable, _ communicator: any Communicator
    ) {
        k = game.discriminatorSteps
        objective = game.objective
        packs = game.packs
        self.table = table
        players = (generatorPlayer, discriminatorPlayer, encoder)
        (encoderKind, judgesReals) = (game.encoder?.kind, game.judgesReals)
        let (generator, discriminator) = (generatorPlayer.network, discriminatorPlayer.network)
        generatorStatistics = FloatBuffer(count: generator.shards * generator.store.statistics.count)
        discriminatorStatistics = FloatBuffer(
            count: discriminator.shards * discriminator.halves * discriminator.store.statistics.count)
        encoderStatistics = FloatBuffer(
            count: encoder.map { $0.network.shards * $0.network.store.statistics.count } ?? 0)
        passes = 2 * k + (judgesReals ? 2 : 1)
        leCam = game.leCam != nil
        augments = game.augmentation != nil
        penaltyColumns = (leCam ? 1 : 0) + (game.penalties.isEmpty ? 0 : 3 * PenaltyPlaces.all)
        let figures = Vote.allCases.count + passes * Figure.allCases.count + k * penaltyColumns + 1
        let ofMakers = generator.store.statistics.count + (encoder?.network.store.statistics.count ?? 0)
        let statistics = (k + 2) * ofMakers + passes * discriminator.store.statistics.count
        sums = ShardSums(count: figures + statistics, table: table, communicator: communicator)
        placesRan = [PenaltyPlaces](repeating: [], count: k)
        penalties = [StepReport.PenaltyFigures?](repeating: nil, count: PenaltyPlaces.all)
        for update in game.updates {
            if game.generates(update) { generatorForwards.append(forward(of: update)) }
            if game.encoder != nil { encoderForwards.append(forward(of: update)) }
            guard !update.reconstructs else { continue }
            let halves: [Pass] =
                update.moves(.discriminator)
                ? [.discriminator(inner: update.inner, .real), .discriminator(inner: update.inner, .fake)]
                : judgesReals ? [.generator(.real), .generator(.fake)] : [.generator(.fake)]
            discriminatorPasses += halves.map(number)
        }
    }

    // MARK: - Columns: the votes, each pass's figures, penalties, the reconstruction, then the statistics of G and of E
    // by forward and of D by pass

    /// The number of the forward of G or E of an update: of each of D's, of their own, of the reconstruction.
    func forward(of update: Update) -> Int {
        update.moves(.discriminator) ? update.inner : update.reconstructs ? k + 1 : k
    }

    private func number(_ pass: Pass) -> Int {
        switch pass {
        case .discriminator(let inner, let half): 2 * inner + half.rawValue
        case .generator(let half): 2 * k + (judgesReals ? half.rawValue : 0)
        }
    }

    private func column(_ pass: Pass, _ figure: Figure) -> Int {
        Vote.allCases.count + number(pass) * Figure.allCases.count + figure.rawValue
    }

    private func penaltyColumn(_ inner: Int, _ column: Int) -> Int {
        Vote.allCases.count + passes * Figure.allCases.count + inner * penaltyColumns + column
    }

    private func penaltyColumn(_ inner: Int, _ place: PenaltyPlaces) -> Int {
        penaltyColumn(inner, penaltyColumns - 3 * (PenaltyPlaces.all - place.rawValue.trailingZeroBitCount))
    }

    private var reconstructionColumn: Int { penaltyColumn(k, 0) }

    private func generatorColumn(_ forward: Int) -> Int {
        reconstructionColumn + 1 + forward * generator.store.statistics.count
    }

    private func encoderColumn(_ forward: Int) -> Int {
        generatorColumn(k + 2) + forward * (players.encoder?.network.store.statistics.count ?? 0)
    }

    private func discriminatorColumn(_ pass: Int) -> Int {
        encoderColumn(k + 2) + pass * discriminator.store.statistics.count
    }

    // MARK: - Adding

    func begin() { report = StepReport() }

    /// Runs a forward of the generator, number `number` (``forward(of:)``), and adds its batch statistics.
    func forward(
        generator noise: Batch, number: Int, _ draws: Draws, _ parts: [BatchPart], _ group: ShardGroup,
        conditions: Floats
    ) throws -> Batch {
        let statistics = generatorStatistics.values
        statistics.fill(0)
        let output = try generator.forward(
            noise, parameters: players.generator.parameters, mode: .training(draws), parts: parts,
            batchStatistics: statistics, conditions: conditions)
        for index in parts.indices {
            add(
                statistics, index, of: generator, shard: group.shards.lowerBound + parts[index].shard,
                column: generatorColumn(number))
        }
        return output
    }

    /// The same of the encoder.
    func forward(
        encoder examples: Batch, number: Int, _ draws: Draws, _ parts: [BatchPart], _ group: ShardGroup
    ) throws -> Batch {
        let encoder = players.encoder!, statistics = encoderStatistics.values
        statistics.fill(0)
        let output = try encoder.network.forward(
            examples, parameters: encoder.parameters, mode: .training(draws), parts: parts,
            batchStatistics: statistics)
        for index in parts.indices {
            add(
                statistics, index, of: encoder.network, shard: group.shards.lowerBound + parts[index].shard,
                column: encoderColumn(number))
        }
        return output
    }

    /// Runs a forward of the discriminator, on both halves of inner step `inner` or for the generator's update (nil),
    /// and adds its batch statistics.
    func forward(
        discriminator packs: Batch, inner: Int?, _ draws: Draws, _ parts: [BatchPart], _ group: ShardGroup,
        conditions: Floats
    ) throws -> Batch {
        let statistics = discriminatorStatistics.values
        statistics.fill(0)
        let output = try discriminator.forward(
            packs, parameters: players.discriminator.parameters, mode: .training(draws), parts: parts,
            batchStatistics: statistics, conditions: conditions)
        for index in parts.indices {
            let part = parts[index], half = part.purpose == .dropoutReal ? Pass.Half.real : .fake
            let pass = number(inner.map { .discriminator(inner: $0, half) } ?? .generator(half))
            add(
                statistics, index, of: discriminator, shard: group.shards.lowerBound + part.shard,
                column: discriminatorColumn(pass))
        }
        return output
    }

    private func add(_ statistics: Floats, _ part: Int, of network: Network, shard: Int, column: Int) {
        let count = network.store.statistics.count
        for index in 0 ..< count { sums[shard: shard, column + index] += Double(statistics[part * count + index]) }
    }

    /// The sum of a shard's costs in a pass.
    func add(cost: Double, _ pass: Pass, shard: Int) { sums[shard: shard, column(pass, .cost)] += cost }

    /// The sum of a shard's costs of reconstructions.
    func add(reconstruction cost: Double, shard: Int) { sums[shard: shard, reconstructionColumn] += cost }

    /// What the logits of both halves of a shard say in the discriminator's update `inner`.
    func add(figuresOf logits: (real: Floats, fake: Floats), inner: Int, shard: Int) {
        let real = Pass.discriminator(inner: inner, .real), fake = Pass.discriminator(inner: inner, .fake)
        let figures = LogitFigures(logits)
        sums[shard: shard, column(real, .logit)] += figures.real
        sums[shard: shard, column(fake, .logit)] += figures.fake
        sums[shard: shard, column(real, .ranked)] += figures.ranked
        sums[shard: shard, column(real, .sign)] += figures.signs
        guard objective.isLogOdds else { return }
        for (pass, logits, isReal) in [(real, logits.real, true), (fake, logits.fake, false)] {
            let odds = LogOddsFigures(logits, isReal: isReal)
            sums[shard: shard, column(pass, .probability)] += odds.probability
            sums[shard: shard, column(pass, .value)] += odds.value
        }
    }

    /// A row's cost of a penalty at a place, without the factor of one that is taken at some updates only, and ‖g‖².
    func add(penalty cost: Double, squaredNorm: Double, at place: PenaltyPlaces, inner: Int, shard: Int) {
        let column = penaltyColumn(inner, place)
        sums[shard: shard, column] += cost
        sums[shard: shard, column + 1] += squaredNorm.squareRoot()
        sums[shard: shard, column + 2] += squaredNorm
    }

    /// Where an update of D is penalised.
    func begin(_ places: PenaltyPlaces, inner: Int) { placesRan[inner] = places }

    /// The sum of a shard's costs.
    func add(leCam cost: Double, inner: Int, shard: Int) { sums[shard: shard, penaltyColumn(inner, 0)] += cost }

    /// What an update of a player saw and used: the same on every rank already.
    func record(_ role: Player.Role, squaredNorm: Double, rate: Double) {
        switch role {
        case .generator: (report.gradientNormGenerator, report.rateGenerator) = (squaredNorm.squareRoot(), rate)
        case .encoder: (report.gradientNormEncoder, report.rateEncoder) = (squaredNorm.squareRoot(), rate)
        default: (report.gradientNormDiscriminator, report.rateDiscriminator) = (squaredNorm.squareRoot(), rate)
        }
    }

    // MARK: - Closing

    /// Sums over all shards, moves the running statistics pass by pass, and returns the means over a minibatch of
    /// `batch` examples.
    func finish(step: Int, batch: Int, stopVote: Bool, checkpointVote: Bool) throws -> StepReport {
        if stopVote { sums[shard: table.mine.lowerBound, Vote.stop.rawValue] += 1 }
        if checkpointVote { sums[shard: table.mine.lowerBound, Vote.checkpoint.rawValue] += 1 }
        try sums.sum()
        for forward in generatorForwards {
            apply(generator, generatorStatistics.values, from: generatorColumn(forward), batch)
        }
        for forward in encoderForwards {
            apply(players.encoder!.network, encoderStatistics.values, from: encoderColumn(forward), batch)
        }
        for pass in discriminatorPasses {
            apply(discriminator, discriminatorStatistics.values, from: discriminatorColumn(pass), packs)
        }
        let real = Pass.discriminator(inner: k - 1, .real), fake = Pass.discriminator(inner: k - 1, .fake)
        report.step = step
        report.lossDiscriminator = objective.weight * (mean(real, .cost) + mean(fake, .cost))
        if !objective.isRelativistic { (report.lossReal, report.lossFake) = (mean(real, .cost), mean(fake, .cost)) }
        (report.lossGenerator, report.lossEncoder) = costsOfOthers
        if case .adversarialAutoencoder = encoderKind { report.judgesCodes = true }
        report.logitReal = mean(real, .logit)
        report.logitFake = mean(fake, .logit)
        report.pairsRanked = mean(real, .ranked)
        if objective.isLogOdds {
            report.logOdds = .init(
                dReal: mean(real, .probability), dFake: mean(fake, .probability),
                value: mean(real, .value) + mean(fake, .value))
        }
        if augments, objective.signMeansReal { report.realSign = realSigns / Double(k * packs) }
        reportPenalties()
        report.stopRequested = sums.totals[Vote.stop.rawValue] > 0
        report.checkpointFinished = sums.totals[Vote.checkpoint.rawValue] > 0
        return report
    }

    /// The mean costs of G and E over the minibatch, each its own.
    var costsOfOthers: (generator: Double, encoder: Double?) {
        switch encoderKind {
        case nil: (mean(.generator(.fake), .cost), nil)
        case .bidirectional: (mean(.generator(.fake), .cost), mean(.generator(.real), .cost))
        case .adversarialAutoencoder:
            (sums.totals[reconstructionColumn] / Double(packs), mean(.generator(.fake), .cost))
        }
    }

    /// Every rank knows alike where each update of D was penalised.
    private func reportPenalties() {
        for number in penalties.indices {
            let place = PenaltyPlaces(rawValue: 1 << number)
            guard let inner = placesRan.lastIndex(where: { $0.contains(place) }) else { continue }
            penalties[number] = penalty(place, inner: inner)
        }
        (report.penaltyReal, report.penaltyFake) = (penalties[0], penalties[1])
        (report.penaltyBetween, report.penaltyAround) = (penalties[2], penalties[3])
        report.leCam = leCam(inner: k - 1)
    }

    /// Of an update of D of the step that was last finished.
    func penalty(_ place: PenaltyPlaces, inner: Int) -> StepReport.PenaltyFigures? {
        guard placesRan[inner].contains(place) else { return nil }
        let column = penaltyColumn(inner, place), rows = Double(packs)
        return .init(
            cost: sums.totals[column] / rows, norm: sums.totals[column + 1] / rows,
            squaredNorm: sums.totals[column + 2] / rows)
    }

    /// The sum of sign(s_x) over all updates of D of the step that was last finished.
    var realSigns: Double {
        (0 ..< k).reduce(0) { $0 + sums.totals[column(.discriminator(inner: $1, .real), .sign)] }
    }

    func leCam(inner: Int) -> Double? { leCam ? sums.totals[penaltyColumn(inner, 0)] / Double(packs) : nil }

    /// The mean cost of a pass over the minibatch of the step that was last finished.
    func cost(_ pass: Pass) -> Double { mean(pass, .cost) }

    private func mean(_ pass: Pass, _ figure: Figure) -> Double { sums.totals[column(pass, figure)] / Double(packs) }

    private func apply(_ network: Network, _ statistics: Floats, from column: Int, _ samples: Int) {
        let statistics = statistics[0 ..< network.store.statistics.count]
        for index in 0 ..< statistics.count { statistics[index] = Float(sums.totals[column + index]) }
        network.store.applyStatistics(statistics, samples: samples)
    }
}
