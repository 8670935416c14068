import Support

/// Which shards each rank owns, and which rows of a global minibatch each shard holds.
///
/// Shards, not ranks, are the unit of work (V of them): rank r of p owns shards r·V/p ..< (r+1)·V/p, and shard v of a
/// global minibatch of B samples is rows v·B/V ..< (v+1)·B/V (divisions rounded down). So a rank's shards, and their
/// rows, are contiguous, shards differ by at most one sample, and what a shard holds does not depend on the number of
/// ranks.
public struct ShardTable: Sendable, Equatable {
    /// V, the number of shards.
    public let shards: Int
    /// p, the number of ranks.
    public let ranks: Int
    /// This rank.
    public let rank: Int

    /// Throws 78 if there are fewer shards than ranks: a rank would have nothing to do.
    public init(shards: Int, ranks: Int, rank: Int) throws(Failure) {
        precondition(ranks >= 1 && rank >= 0 && rank < ranks, "rank \(rank) of \(ranks)")
        guard shards >= ranks else {
            throw Failure(
                .badConfiguration, "configuration: the run has \(shards) shards and cannot use \(ranks) ranks",
                remedy: "Start at most \(shards), or begin a new run with more shards (exchange.shards).")
        }
        self.shards = shards
        self.ranks = ranks
        self.rank = rank
    }

    public init(shards: Int, communicator: any Communicator) throws(Failure) {
        try self.init(shards: shards, ranks: communicator.size, rank: communicator.rank)
    }

    /// The shards of this rank.
    public var mine: Range<Int> { shards(of: rank) }

    /// The shards of `rank`.
    public func shards(of rank: Int) -> Range<Int> { rank * shards / ranks ..< (rank + 1) * shards / ranks }

    /// The largest number of shards that any rank owns.
    public var mostShardsOfARank: Int { (shards + ranks - 1) / ranks }

    /// Throws 78 if a minibatch of `batch` samples would leave a shard without any.
    public func check(batch: Int) throws(Failure) {
        guard batch >= shards else {
            throw Failure(
                .badConfiguration,
                "configuration: a minibatch of \(batch) samples cannot be divided among \(shards) shards",
                remedy: "Make it at least \(shards) (training.batch), or use fewer shards (exchange.shards).")
        }
    }

    /// The rows of `shard` in a global minibatch of `batch` samples.
    public func rows(of shard: Int, batch: Int) -> Range<Int> {
        precondition(shard >= 0 && shard < shards, "shard \(shard) of \(shards)")
        return shard * batch / shards ..< (shard + 1) * batch / shards
    }

    /// The rows of this rank, those of its shards together.
    public func rows(batch: Int) -> Range<Int> {
        rows(of: mine.lowerBound, batch: batch).lowerBound ..< rows(of: mine.upperBound - 1, batch: batch).upperBound
    }

    /// The largest number of samples in a shard: what a network is built for.
    public func mostRowsOfAShard(batch: Int) -> Int { (batch + shards - 1) / shards }

    /// The smallest number of samples in a shard.
    public func fewestRowsOfAShard(batch: Int) -> Int { batch / shards }

    /// Who computes which rows, a line a rank, and that every row of the minibatch is in exactly one shard, counted
    /// here.
    public func description(batch: Int) -> String {
        var timesCovered = [Int](repeating: 0, count: batch)
        var lines: [String] = []
        for rank in 0 ..< ranks {
            let parts = shards(of: rank).map { shard in
                let rows = rows(of: shard, batch: batch)
                for row in rows { timesCovered[row] += 1 }
                return "shard \(shard): \(text(rows))"
            }
            lines.append("rank \(rank): \(parts.joined(separator: ", "))")
        }
        let once = timesCovered.count { $0 == 1 }
        precondition(once == batch, "of \(batch) rows only \(once) are in exactly one shard")
        lines.append("all \(batch) rows are in exactly one shard each")
        return lines.joined(separator: "\n")
    }

    private func text(_ rows: Range<Int>) -> String {
        rows.isEmpty
            ? "no rows" : rows.count == 1 ? "row \(rows.lowerBound)" : "rows \(rows.lowerBound)-\(rows.upperBound - 1)"
    }
}
