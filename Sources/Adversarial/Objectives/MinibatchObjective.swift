import Collectives
import Kernels
import Nets

/// An objective whose costs need sums over all rows of the global minibatch, those of other ranks too: between forward
/// and backward they are taken along the fixed tree, so that they have the same bits on any number of ranks.
public protocol MinibatchObjective: Objective {
    /// How often two numbers are summed, one of the reals and one of the generated.
    var rounds: Int { get }
    /// A shard's part in the sums of round `round`, given those of the rounds before.
    func terms(
        _ round: Int, of player: Player.Role, real: Floats, fake: Floats, _ sums: MinibatchSums
    ) -> (real: Double, fake: Double)
    /// The costs and slopes of a shard's rows, as ``Objective`` has them, given all sums.
    func discriminator(
        real: Floats, fake: Floats, _ sums: MinibatchSums, into slopes: (real: Floats, fake: Floats)
    ) -> (real: Double, fake: Double)
    func generator(real: Floats, fake: Floats, _ sums: MinibatchSums, into slopes: Floats) -> Double
}

/// Sums over all rows of the global minibatch, of each round one of the reals and one of the generated.
public struct MinibatchSums {
    /// Rows of the global minibatch.
    public let rows: Int
    var real = SIMD4<Double>(), fake = SIMD4<Double>()
    /// Rounds that there are at most.
    static let rounds = 4

    init(rows: Int) { self.rows = rows }

    /// Round `round`'s, divided by the number of rows.
    public func mean(_ round: Int) -> (real: Double, fake: Double) {
        (real[round] / Double(rows), fake[round] / Double(rows))
    }
}

extension MinibatchObjective {
    /// For rows that are the whole minibatch.
    public func discriminator(
        real: Floats, fake: Floats, of rows: Int, into slopes: (real: Floats, fake: Floats)
    ) -> (real: Double, fake: Double) {
        discriminator(real: real, fake: fake, sums(.discriminator, real, fake, rows), into: slopes)
    }

    public func generator(real: Floats?, fake: Floats, of rows: Int, into slopes: Floats) -> Double {
        generator(real: real!, fake: fake, sums(.generator, real!, fake, rows), into: slopes)
    }

    private func sums(_ player: Player.Role, _ real: Floats, _ fake: Floats, _ rows: Int) -> MinibatchSums {
        precondition(real.count == rows && fake.count == rows, "\(real.count) rows of a minibatch of \(rows)")
        var sums = MinibatchSums(rows: rows)
        for round in 0 ..< rounds {
            (sums.real[round], sums.fake[round]) = terms(round, of: player, real: real, fake: fake, sums)
        }
        return sums
    }
}

/// Takes an objective's sums over the shards of all ranks.
final class MinibatchSummation {
    let objective: any MinibatchObjective
    /// Of the pass at hand.
    private(set) var sums: MinibatchSums
    private let shardSums: ShardSums

    init(_ objective: any MinibatchObjective, rows: Int, _ table: ShardTable, _ communicator: any Communicator) {
        self.objective = objective
        sums = MinibatchSums(rows: rows)
        shardSums = ShardSums(count: 2, table: table, communicator: communicator)
    }

    /// The sums for the logits of both halves of this rank's shards. Collective.
    func sum(_ player: Player.Role, _ logits: Batch, _ group: ShardGroup) throws {
        sums = MinibatchSums(rows: sums.rows)
        for round in 0 ..< objective.rounds {
            for (part, shard) in group.shards.enumerated() {
                let (real, fake) = group.halves(of: logits.values, part)
                let terms = objective.terms(round, of: player, real: real, fake: fake, sums)
                shardSums[shard: shard, 0] = terms.real
                shardSums[shard: shard, 1] = terms.fake
            }
            try shardSums.sum()
            (sums.real[round], sums.fake[round]) = (shardSums.totals[0], shardSums.totals[1])
        }
    }
}
