import Collectives
import Kernels
import Nets

/// Shards of this rank that run through the networks together, layer by layer.
///
/// Usually one: a rank then needs memory for one shard and computes one after another. Where a layer normalises over
/// the whole minibatch, all shards of a rank: each layer of that kind waits for the sums of all of them.
struct ShardGroup {
    let shards: Range<Int>
    /// Their rows in the global minibatch, and the packs that these make for the discriminator.
    let rows: Range<Int>
    let packs: Range<Int>
    /// The generator's batch in the discriminator's update and in its own: a part a shard.
    let discriminatorNoise, generatorNoise: [BatchPart]
    /// The discriminator's batch in its own update: the packs of real examples of each shard, then those of generated
    /// ones.
    let bothHalves: [BatchPart]
    /// Its batch in the generator's update: generated examples alone, or real ones before them where the objective is
    /// relativistic.
    let generatedHalf, generatorHalves: [BatchPart]

    /// The part of ``bothHalves`` that are real, and generated.
    var realParts: Range<Int> { 0 ..< shards.count }
    var fakeParts: Range<Int> { shards.count ..< 2 * shards.count }

    /// Those of a buffer of a value a row of D's batch that belong to both halves of a shard of the group.
    func halves(of values: Floats, _ part: Int) -> (real: Floats, fake: Floats) {
        (values[bothHalves[part].rows], values[bothHalves[shards.count + part].rows])
    }

    private init(_ shards: Range<Int>, of table: ShardTable, batch: Int, packing: Int) {
        let each = shards.map { table.rows(of: $0, batch: batch) }
        let rows = each[0].lowerBound ..< each.last!.upperBound
        let packs = rows.lowerBound / packing ..< rows.upperBound / packing
        func parts(_ purpose: Purpose, size: Int = 1, half: Int = 0, after start: Int = 0) -> [BatchPart] {
            each.enumerated().map { shard, rows in
                let mine = rows.lowerBound / size ..< rows.upperBound / size
                let first = start - each[0].lowerBound / size
                return BatchPart(
                    rows: first + mine.lowerBound ..< first + mine.upperBound, firstSample: mine.lowerBound,
                    purpose: purpose,
                    shard: shard, half: half)
            }
        }
        (self.shards, self.rows, self.packs) = (shards, rows, packs)
        discriminatorNoise = parts(.discriminatorNoise)
        generatorNoise = parts(.generatorNoise)
        bothHalves =
            parts(.dropoutReal, size: packing) + parts(.dropoutFake, size: packing, half: 1, after: packs.count)
        generatedHalf = parts(.dropoutGenerator, size: packing)
        generatorHalves =
            parts(.dropoutReal, size: packing) + parts(.dropoutGenerator, size: packing, half: 1, after: packs.count)
    }

    /// The groups that this rank computes, in the order of shards; all of one size.
    static func all(of table: ShardTable, batch: Int, packing: Int = 1, together: Bool) -> [ShardGroup] {
        if together { return [ShardGroup(table.mine, of: table, batch: batch, packing: packing)] }
        return table.mine.map { ShardGroup($0 ..< $0 + 1, of: table, batch: batch, packing: packing) }
    }
}

/// The numbers that the shards of a minibatch share in one layer, summed over all shards of all ranks along the fixed
/// tree.
public final class LayerSums: SharedSums {
    private let sums: ShardSums
    private let firstShard: Int

    public init(count: Int, table: ShardTable, _ communicator: any Communicator) {
        sums = ShardSums(count: count, table: table, communicator: communicator)
        firstShard = table.mine.lowerBound
    }

    public subscript(shard: Int, index: Int) -> Double {
        get { sums[shard: firstShard + shard, index] }
        set { sums[shard: firstShard + shard, index] = newValue }
    }

    public var totals: [Double] { sums.totals }
    public func sum() throws { try sums.sum() }
}
