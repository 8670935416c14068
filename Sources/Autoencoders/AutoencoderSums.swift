import Adversarial
import Collectives
import Kernels
import Nets

/// The sums of one step that shards add to and ranks share once at its end: the costs, the batch statistics of both
/// networks, so that running statistics too are those of the whole minibatch, and what the distribution of codes
/// follows.
final class AutoencoderSums {
    private enum Figure: Int, CaseIterable { case stop, checkpoint, reconstruction, divergence }

    private let table: ShardTable
    private let sums: ShardSums
    /// Of each network its first column, and room for the statistics of the parts of a batch, one after another.
    private let networks: [(player: Player, column: Int, statistics: FloatBuffer)]
    /// Where codes are points: with its first column.
    private let codes: (distribution: CodeDistribution, column: Int)?

    init(_ players: [Player], _ codes: CodeDistribution?, table: ShardTable, _ communicator: any Communicator) {
        self.table = table
        var columns = Figure.allCases.count
        networks = players.map { player in
            let network = player.network, column = columns
            columns += network.store.statistics.count
            return (player, column, FloatBuffer(count: network.shards * network.store.statistics.count))
        }
        self.codes = codes.map { ($0, columns) }
        columns += codes?.sumCount ?? 0
        sums = ShardSums(count: columns, table: table, communicator: communicator)
    }

    /// Runs a forward of player `number` in training and adds its batch statistics.
    func forward(
        _ number: Int, _ input: Batch, _ draws: Draws, _ parts: [BatchPart], _ group: ShardGroup
    ) throws -> Batch {
        let (player, column, memory) = networks[number], statistics = memory.values
        statistics.fill(0)
        let output = try player.network.forward(
            input, parameters: player.parameters, mode: .training(draws), parts: parts, batchStatistics: statistics)
        let count = player.network.store.statistics.count
        for (index, part) in parts.enumerated() {
            let shard = group.shards.lowerBound + part.shard
            for place in 0 ..< count {
                sums[shard: shard, column + place] += Double(statistics[index * count + place])
            }
        }
        return output
    }

    /// A shard's costs.
    func add(reconstruction: Double, divergence: Double, shard: Int) {
        sums[shard: shard, Figure.reconstruction.rawValue] += reconstruction
        sums[shard: shard, Figure.divergence.rawValue] += divergence
    }

    /// A shard's codes, which their distribution follows.
    func add(codes batch: Batch, shard: Int) {
        guard let codes else { return }
        codes.distribution.sum(batch) { sums[shard: shard, codes.column + $0] += $1 }
    }

    /// Sums over all shards, moves the running statistics and the distribution of codes, and writes the means over a
    /// minibatch of `batch` examples.
    func finish(_ report: inout AutoencoderReport, batch: Int, stopVote: Bool, checkpointVote: Bool) throws {
        if stopVote { sums[shard: table.mine.lowerBound, Figure.stop.rawValue] += 1 }
        if checkpointVote { sums[shard: table.mine.lowerBound, Figure.checkpoint.rawValue] += 1 }
        try sums.sum()
        for (player, column, memory) in networks {
            let store = player.network.store, statistics = memory.values[0 ..< store.statistics.count]
            for index in 0 ..< statistics.count { statistics[index] = Float(sums.totals[column + index]) }
            store.applyStatistics(statistics, samples: batch)
        }
        func total(_ figure: Figure) -> Double { sums.totals[figure.rawValue] }
        report.reconstruction = total(.reconstruction) / Double(batch)
        if let codes {
            codes.distribution.move(count: batch, step: report.step) { sums.totals[codes.column + $0] }
        } else {
            report.divergence = total(.divergence) / Double(batch)
        }
        report.stopRequested = total(.stop) > 0
        report.checkpointFinished = total(.checkpoint) > 0
    }
}
