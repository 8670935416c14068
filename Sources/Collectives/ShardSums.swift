/// Sums a few numbers over all shards (losses, counts, batch statistics, norms), in Double along the ``SumTree``: the
/// same bits on any number of ranks. One MPI_Allgather; every rank folds the same tree. For up to some thousand
/// numbers.
///
///     sums[shard: shard, 0] += loss       // for each shard of this rank
///     try sums.sum()
///     sums.totals[0] / Double(batch)
public final class ShardSums {
    /// The sums over all shards, since the last ``sum()``.
    public private(set) var totals: [Double]
    private let table: ShardTable
    private let communicator: any Communicator
    private var mine: [Double]
    private var all: [Double]

    /// For `count` numbers a shard.
    public init(count: Int, table: ShardTable, communicator: any Communicator) {
        precondition(
            table.ranks == communicator.size && table.rank == communicator.rank,
            "the shard table is another communicator's")
        self.table = table
        self.communicator = communicator
        totals = [Double](repeating: 0, count: count)
        mine = [Double](repeating: 0, count: count * table.mostShardsOfARank)
        all = [Double](repeating: 0, count: count * table.mostShardsOfARank * table.ranks)
    }

    /// Number `index` of `shard`, one of this rank's. Zero again after ``sum()``.
    public subscript(shard shard: Int, index: Int) -> Double {
        get { mine[place(shard, index)] }
        set { mine[place(shard, index)] = newValue }
    }

    private func place(_ shard: Int, _ index: Int) -> Int {
        precondition(table.mine.contains(shard), "shard \(shard) is not one of this rank's, \(table.mine)")
        precondition(index >= 0 && index < totals.count, "number \(index) of \(totals.count)")
        return (shard - table.mine.lowerBound) * totals.count + index
    }

    /// Fills ``totals`` on every rank and begins anew. Collective.
    public func sum() throws {
        let count = totals.count
        try mine.withUnsafeBytes { mine in
            try all.withUnsafeMutableBytes { try communicator.gather(mine, into: $0) }
        }
        // A rank with fewer shards than others leaves its last places unused: close the gaps.
        var shard = 0
        for rank in 0 ..< table.ranks {
            for local in 0 ..< table.shards(of: rank).count {
                let source = (rank * table.mostShardsOfARank + local) * count
                for index in 0 ..< count { all[shard * count + index] = all[source + index] }
                shard += 1
            }
        }
        var width = 1
        while width < table.shards {
            for left in stride(from: 0, to: table.shards - width, by: 2 * width) {
                for index in 0 ..< count { all[left * count + index] += all[(left + width) * count + index] }
            }
            width *= 2
        }
        for index in 0 ..< count { totals[index] = all[index] }
        for index in mine.indices { mine[index] = 0 }
    }
}
