import Collectives
import Kernels
import Nets

/// A training pass of the discriminator within a step.
enum Pass {
    enum Half: Int { case real, fake }

    /// On one half of inner step `inner`.
    case discriminatorStep(inner: Int, Half)
    case generatorStep

    var inner: Int {
        if case .discriminatorStep(let inner, _) = self { inner } else { 0 }
    }

    var dropout: Purpose {
        switch self {
        case .discriminatorStep(_, .real): .dropoutReal
        case .discriminatorStep(_, .fake): .dropoutFake
        case .generatorStep: .dropoutGenerator
        }
    }
}

/// The sums of one step that shards add to and ranks share once at its end: costs, beliefs, and the batch statistics of
/// every training pass, so that running statistics too are those of the whole minibatch.
final class StepLedger {
    private enum Figure: Int, CaseIterable { case cost, belief, value }

    private final class Page {
        let sums: ShardSums
        /// Which forwards of G and which passes of D there were: a simultaneous update has no forward of the generator's own.
        var generatorRan: [Bool]
        var discriminatorRan: [Bool]

        init(_ sums: ShardSums, generators: Int, passes: Int) {
            self.sums = sums
            generatorRan = [Bool](repeating: false, count: generators)
            discriminatorRan = [Bool](repeating: false, count: passes)
        }
    }

    private let k: Int
    private let table: ShardTable
    private let generator: Network
    private let discriminator: Network
    /// The step's page, and one for what is put down of the next step already.
    private let pages: [Page]
    private var writing = 0
    private var hasTurned = false
    /// The page of the step that was last finished.
    private var closed: Page
    /// For the shards of a group, one after another.
    private let generatorStatistics: FloatBuffer
    private let discriminatorStatistics: FloatBuffer
    private var report = StepReport()
    /// Decisions of D in a pass over the minibatch.
    private var packs = 1
    /// Bytes of one shard's sums, of which every rank gets every shard's.
    var bytesOfShard: Int { closed.sums.totals.count * MemoryLayout<Double>.size }

    init(discriminatorSteps: Int, generator: Network, discriminator: Network, table: ShardTable, _ communicator: any Communicator) {
        k = discriminatorSteps
        self.table = table
        self.generator = generator
        self.discriminator = discriminator
        generatorStatistics = FloatBuffer(count: generator.parts * generator.store.statistics.count)
        discriminatorStatistics = FloatBuffer(count: discriminator.parts * discriminator.store.statistics.count)
        let passes = 2 * discriminatorSteps + 1
        let figures = Vote.allCases.count + passes * Figure.allCases.count
        let statistics = (discriminatorSteps + 1) * generator.store.statistics.count + passes * discriminator.store.statistics.count
        pages = (0 ..< 2).map { _ in
            Page(ShardSums(count: figures + statistics, table: table, communicator: communicator), generators: discriminatorSteps + 1, passes: passes)
        }
        closed = pages[0]
    }

    // MARK: - Columns: the votes, then each pass's figures, then the statistics of G by forward and of D by pass

    private enum Vote: Int, CaseIterable { case stop, checkpoint }

    private var passes: Int { 2 * k + 1 }

    private func number(_ pass: Pass) -> Int {
        switch pass {
        case .discriminatorStep(let inner, let half): 2 * inner + half.rawValue
        case .generatorStep: 2 * k
        }
    }

    private func column(_ pass: Pass, _ figure: Figure) -> Int { Vote.allCases.count + number(pass) * Figure.allCases.count + figure.rawValue }

    private func generatorColumn(_ forward: Int) -> Int { Vote.allCases.count + passes * Figure.allCases.count + forward * generator.store.statistics.count }

    private func discriminatorColumn(_ pass: Int) -> Int { generatorColumn(k + 1) + pass * discriminator.store.statistics.count }

    // MARK: - Adding

    func begin() { report = StepReport() }

    /// What comes is the next step's.
    func turnPage() {
        precondition(!hasTurned, "the step before is not finished")
        hasTurned = true
        writing = 1 - writing
    }

    /// Runs a forward of the generator, the one of inner step `inner` or of its own step, with its batch statistics put down.
    func forward(generator input: Batch, inner: Int?, _ draws: Draws, _ group: ShardGroup) throws -> Batch {
        pages[writing].generatorRan[inner ?? k] = true
        return try forward(generator, input, draws, generatorStatistics.values, group, group.parts, column: generatorColumn(inner ?? k))
    }

    /// Runs a forward of the discriminator, on packs, with its batch statistics put down.
    func forward(discriminator input: Batch, _ pass: Pass, _ draws: Draws, _ group: ShardGroup) throws -> Batch {
        pages[writing].discriminatorRan[number(pass)] = true
        return try forward(discriminator, input, draws, discriminatorStatistics.values, group, group.packParts, column: discriminatorColumn(number(pass)))
    }

    private func forward(_ network: Network, _ input: Batch, _ draws: Draws, _ statistics: Floats, _ group: ShardGroup, _ parts: [Range<Int>], column: Int) throws -> Batch {
        statistics.fill(0)
        let output = try network.forward(input, mode: .training(draws), parts: parts, batchStatistics: statistics)
        let count = network.store.statistics.count, sums = pages[writing].sums
        for (part, shard) in group.shards.enumerated() {
            for index in 0 ..< count { sums[shard: shard, column + index] += Double(statistics[part * count + index]) }
        }
        return output
    }

    /// The sum of a shard's costs in a pass, of D's beliefs σ(s), and of its term of V(D, G).
    func record(_ pass: Pass, shard: Int, cost: Double, belief: Double, value: Double) {
        let sums = pages[writing].sums
        sums[shard: shard, column(pass, .cost)] += cost
        sums[shard: shard, column(pass, .belief)] += belief
        sums[shard: shard, column(pass, .value)] += value
    }

    /// What an update of a player saw and used: the same on every rank already.
    func record(_ role: Player.Role, squaredNorm: Double, rate: Double) {
        if role == .generator {
            (report.gradientNormGenerator, report.rateGenerator) = (squaredNorm.squareRoot(), rate)
        } else {
            (report.gradientNormDiscriminator, report.rateDiscriminator) = (squaredNorm.squareRoot(), rate)
        }
    }

    // MARK: - Closing

    /// Sums over all shards, moves the running statistics pass by pass, and returns the means over a minibatch of `batch` examples in `packs`.
    func finish(step: Int, batch: Int, packs: Int, weight: Double, stopVote: Bool, checkpointVote: Bool) throws -> StepReport {
        if !hasTurned { turnPage() }
        hasTurned = false
        closed = pages[1 - writing]
        if stopVote { closed.sums[shard: table.mine.lowerBound, Vote.stop.rawValue] += 1 }
        if checkpointVote { closed.sums[shard: table.mine.lowerBound, Vote.checkpoint.rawValue] += 1 }
        try closed.sums.sum()
        for forward in 0 ... k where closed.generatorRan[forward] {
            apply(generator, generatorStatistics.values, from: generatorColumn(forward), batch)
            closed.generatorRan[forward] = false
        }
        for pass in 0 ..< passes where closed.discriminatorRan[pass] {
            apply(discriminator, discriminatorStatistics.values, from: discriminatorColumn(pass), packs)
            closed.discriminatorRan[pass] = false
        }
        self.packs = packs
        let real = Pass.discriminatorStep(inner: k - 1, .real), fake = Pass.discriminatorStep(inner: k - 1, .fake)
        report.step = step
        report.lossReal = mean(real, .cost)
        report.lossFake = mean(fake, .cost)
        report.lossDiscriminator = weight * (report.lossReal + report.lossFake)
        report.lossGenerator = mean(.generatorStep, .cost)
        report.dReal = mean(real, .belief)
        report.dFake = mean(fake, .belief)
        report.value = mean(real, .value) + mean(fake, .value)
        report.stopRequested = closed.sums.totals[Vote.stop.rawValue] > 0
        report.checkpointFinished = closed.sums.totals[Vote.checkpoint.rawValue] > 0
        return report
    }

    /// The mean cost of a pass over the minibatch of the step that was last finished.
    func cost(_ pass: Pass) -> Double { mean(pass, .cost) }

    private func mean(_ pass: Pass, _ figure: Figure) -> Double { closed.sums.totals[column(pass, figure)] / Double(packs) }

    private func apply(_ network: Network, _ statistics: Floats, from column: Int, _ samples: Int) {
        let statistics = statistics[0 ..< network.store.statistics.count]
        for index in 0 ..< statistics.count { statistics[index] = Float(closed.sums.totals[column + index]) }
        network.store.applyStatistics(statistics, samples: samples)
    }
}
