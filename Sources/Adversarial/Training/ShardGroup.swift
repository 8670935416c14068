import Collectives
import Nets

/// Shards of this rank that go through the networks together, layer by layer.
///
/// Usually one: a rank then needs memory for one shard and computes one after another. Where a layer normalises over the whole
/// minibatch, all shards of a rank: each layer of that kind waits for the sums of all of them.
struct ShardGroup {
    let shards: Range<Int>
    /// Their rows in the global minibatch.
    let rows: Range<Int>
    /// The rows of each shard, counted from the group's first.
    let parts: [Range<Int>]
    /// The same of the packs that the rows make for the discriminator.
    let packs: Range<Int>
    let packParts: [Range<Int>]

    private init(_ shards: Range<Int>, of table: ShardTable, batch: Int, packing: Int) {
        let each = shards.map { table.rows(of: $0, batch: batch) }
        let first = each[0].lowerBound
        self.shards = shards
        rows = first ..< each.last!.upperBound
        parts = each.map { $0.lowerBound - first ..< $0.upperBound - first }
        packs = rows.lowerBound / packing ..< rows.upperBound / packing
        packParts = parts.map { $0.lowerBound / packing ..< $0.upperBound / packing }
    }

    /// The groups that this rank computes, in the order of shards; all of one size.
    static func all(of table: ShardTable, batch: Int, packing: Int = 1, together: Bool) -> [ShardGroup] {
        if together { return [ShardGroup(table.mine, of: table, batch: batch, packing: packing)] }
        return table.mine.map { ShardGroup($0 ..< $0 + 1, of: table, batch: batch, packing: packing) }
    }
}

/// The numbers that one layer's parts of a minibatch share, summed over all shards of all ranks along the fixed tree.
final class LayerSums: SharedSums {
    private let sums: ShardSums
    private let firstShard: Int

    init(count: Int, table: ShardTable, _ communicator: any Communicator) {
        sums = ShardSums(count: count, table: table, communicator: communicator)
        firstShard = table.mine.lowerBound
    }

    subscript(part: Int, index: Int) -> Double {
        get { sums[shard: firstShard + part, index] }
        set { sums[shard: firstShard + part, index] = newValue }
    }

    var totals: [Double] { sums.totals }
    func sum() throws { try sums.sum() }
}
