import Collectives

/// The examples of a dataset in double, each rank with those of its shards: shard v holds the rows v·N/V ..< (v+1)·N/V.
public struct ShardedRows {
    /// N, of all ranks.
    public let count: Int
    public let dimension: Int
    public let table: ShardTable
    /// This rank's, [rows, dimension].
    private let values: [Double]

    /// `values`: rows ``ShardTable/rows(batch:)`` of the dataset.
    public init(_ values: [Double], count: Int, dimension: Int, table: ShardTable) {
        precondition(values.count == table.rows(batch: count).count * dimension, "other rows than this rank's")
        (self.values, self.count, self.dimension, self.table) = (values, count, dimension, table)
    }

    /// The rows of one of this rank's shards.
    func rows(of shard: Int) -> ArraySlice<Double> {
        let first = table.rows(batch: count).lowerBound, rows = table.rows(of: shard, batch: count)
        return values[(rows.lowerBound - first) * dimension ..< (rows.upperBound - first) * dimension]
    }

    /// Calls `body` with neighbouring rows of a shard and their number, at most `rows` at a time, in order.
    func forEachBlock(of shard: Int, rows most: Int, _ body: (ArraySlice<Double>, Int) -> Void) {
        let all = rows(of: shard)
        var start = all.startIndex
        while start < all.endIndex {
            let end = min(start + most * dimension, all.endIndex)
            body(all[start ..< end], (end - start) / dimension)
            start = end
        }
    }

    /// The same examples, each made another by `change` of a block of rows.
    func mapped(dimension: Int, _ change: (ArraySlice<Double>, Int) -> [Double]) -> ShardedRows {
        var made: [Double] = []
        made.reserveCapacity(values.count / self.dimension * dimension)
        for shard in table.mine { forEachBlock(of: shard, rows: 512) { made += change($0, $1) } }
        return ShardedRows(made, count: count, dimension: dimension, table: table)
    }
}
