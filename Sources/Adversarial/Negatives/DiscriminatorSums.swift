import Collectives
import Kernels
import Nets

/// The sums of one step of a discriminator without a generator that shards add to and ranks share once at its end, with
/// the batch statistics of both halves, so that running statistics are those of the whole minibatch.
final class DiscriminatorSums {
    private enum Figure: Int, CaseIterable { case stop, checkpoint, rise }
    private enum OfHalf: Int, CaseIterable { case cost, logit, probability, value }

    private let settings: DiscriminatorTraining
    private let table: ShardTable
    private let sums: ShardSums
    private let player: Player
    /// For the parts of a batch, one after another.
    private let statistics: FloatBuffer
    private var network: Network { player.network }

    init(_ settings: DiscriminatorTraining, _ player: Player, table: ShardTable, _ communicator: any Communicator) {
        (self.settings, self.player, self.table) = (settings, player, table)
        let network = player.network, count = network.store.statistics.count
        statistics = FloatBuffer(count: network.shards * network.halves * count)
        sums = ShardSums(
            count: Figure.allCases.count + 2 * (OfHalf.allCases.count + count), table: table,
            communicator: communicator)
    }

    private func column(_ half: Pass.Half, _ figure: OfHalf) -> Int {
        Figure.allCases.count + half.rawValue * OfHalf.allCases.count + figure.rawValue
    }

    private func statisticsColumn(_ half: Pass.Half) -> Int {
        Figure.allCases.count + 2 * OfHalf.allCases.count + half.rawValue * network.store.statistics.count
    }

    /// Runs a forward in training on both halves of a group's rows and adds its batch statistics.
    func forward(_ rows: Batch, _ draws: Draws, _ group: ShardGroup) throws -> Batch {
        let parts = group.bothHalves, statistics = statistics.values, count = network.store.statistics.count
        statistics.fill(0)
        let logits = try network.forward(
            rows, parameters: player.parameters, mode: .training(draws), parts: parts, batchStatistics: statistics)
        for (index, part) in parts.enumerated() {
            let shard = group.shards.lowerBound + part.shard
            let column = statisticsColumn(part.half == 0 ? .real : .fake)
            for place in 0 ..< count {
                sums[shard: shard, column + place] += Double(statistics[index * count + place])
            }
        }
        return logits
    }

    /// A shard's costs, and what its logits say.
    func add(_ costs: (real: Double, fake: Double), _ logits: (real: Floats, fake: Floats), shard: Int) {
        let figures = LogitFigures(logits)
        add(costs.real, logits.real, figures.real, .real, shard)
        add(costs.fake, logits.fake, figures.fake, .fake, shard)
    }

    private func add(_ cost: Double, _ logits: Floats, _ sum: Double, _ half: Pass.Half, _ shard: Int) {
        let odds = LogOddsFigures(logits, isReal: half == .real)
        sums[shard: shard, column(half, .cost)] += cost
        sums[shard: shard, column(half, .logit)] += sum
        sums[shard: shard, column(half, .probability)] += odds.probability
        sums[shard: shard, column(half, .value)] += odds.value
    }

    /// What the logits of a shard's negatives have risen by.
    func add(rise: Double, shard: Int) { sums[shard: shard, Figure.rise.rawValue] += rise }

    /// Sums over all shards, moves the running statistics, and writes the means over a minibatch; `roundEnded`: whether
    /// the negatives were replaced.
    func finish(
        _ report: inout DiscriminatorReport, roundEnded: Bool, stopVote: Bool, checkpointVote: Bool
    ) throws {
        if stopVote { sums[shard: table.mine.lowerBound, Figure.stop.rawValue] += 1 }
        if checkpointVote { sums[shard: table.mine.lowerBound, Figure.checkpoint.rawValue] += 1 }
        try sums.sum()
        applyStatistics(.real)
        applyStatistics(.fake)
        func mean(_ half: Pass.Half, _ figure: OfHalf) -> Double {
            sums.totals[column(half, figure)] / Double(settings.batch)
        }
        report.weight = settings.objective.weight
        (report.lossReal, report.lossFake) = (mean(.real, .cost), mean(.fake, .cost))
        (report.logitReal, report.logitFake) = (mean(.real, .logit), mean(.fake, .logit))
        if settings.objective.isLogOdds {
            report.logOdds = .init(
                dReal: mean(.real, .probability), dFake: mean(.fake, .probability),
                value: mean(.real, .value) + mean(.fake, .value))
        }
        if roundEnded { report.ascentRise = sums.totals[Figure.rise.rawValue] / Double(settings.negatives) }
        report.stopRequested = sums.totals[Figure.stop.rawValue] > 0
        report.checkpointFinished = sums.totals[Figure.checkpoint.rawValue] > 0
    }

    private func applyStatistics(_ half: Pass.Half) {
        let column = statisticsColumn(half), statistics = statistics.values[0 ..< network.store.statistics.count]
        for index in 0 ..< statistics.count { statistics[index] = Float(sums.totals[column + index]) }
        network.store.applyStatistics(statistics, samples: settings.batch)
    }
}
