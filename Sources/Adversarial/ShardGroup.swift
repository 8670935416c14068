import Collectives
import Kernels
import Nets

/// Shards of this rank that run through the networks together, layer by layer.
///
/// Usually one: a rank then needs memory for one shard and computes one after another. Where a layer normalises over
/// the whole minibatch, all shards of a rank: each layer of that kind waits for the sums of all of them.
package struct ShardGroup {
    package let shards: Range<Int>
    /// Their rows in the global minibatch, and the packs that these make for the discriminator.
    package let rows: Range<Int>
    let packs: Range<Int>
    /// The generator's batch in the discriminator's update and in its own: a part a shard.
    let discriminatorNoise, generatorNoise: [BatchPart]
    /// The discriminator's batch in its own update: the packs of real examples of each shard, then those of generated
    /// ones.
    let bothHalves: [BatchPart]
    /// The same where penalties are taken in some places, with the rows that these need after both halves.
    private let penalised: [[BatchPart]]
    /// Its batch in the generator's update: generated examples alone, or real ones before them where the objective is
    /// relativistic.
    let generatedHalf, generatorHalves: [BatchPart]
    /// The encoder's batch of examples, and the generator's of their codes.
    let encoding, reconstruction: [BatchPart]

    /// The parts of ``bothHalves`` that are generated, and their rows.
    var fakeParts: Range<Int> { shards.count ..< 2 * shards.count }
    var fakePacks: Range<Int> { packs.count ..< 2 * packs.count }

    /// The discriminator's batch in its own update where penalties are taken at `places`.
    func parts(_ places: PenaltyPlaces) -> [BatchPart] { places.isEmpty ? bothHalves : penalised[places.rawValue] }

    /// Those of a buffer of a value a row of D's batch that belong to both halves of a shard of the group.
    func halves(of values: Floats, _ part: Int) -> (real: Floats, fake: Floats) {
        (values[bothHalves[part].rows], values[bothHalves[shards.count + part].rows])
    }

    /// `together`: whether all shards of a rank are one group. Then a shard's halves do not lie beside each other, or
    /// only on some numbers of ranks, and run through every layer apart.
    private init(
        _ shards: Range<Int>, of table: ShardTable, batch: Int, packing: Int, together: Bool, penalties: PenaltyPlaces
    ) {
        let each = shards.map { table.rows(of: $0, batch: batch) }
        let rows = each[0].lowerBound ..< each.last!.upperBound
        let packs = rows.lowerBound / packing ..< rows.upperBound / packing
        func parts(
            _ purpose: Purpose, size: Int = 1, half: Int = 0, after start: Int = 0, isPenalised: Bool = false
        ) -> [BatchPart] {
            each.enumerated().map { shard, rows in
                let mine = rows.lowerBound / size ..< rows.upperBound / size
                let first = start - each[0].lowerBound / size
                return BatchPart(
                    rows: first + mine.lowerBound ..< first + mine.upperBound, firstSample: mine.lowerBound,
                    purpose: purpose, shard: shard, half: half, isPenalised: isPenalised,
                    joinsPrevious: half > 0 && !together)
            }
        }
        (self.shards, self.rows, self.packs) = (shards, rows, packs)
        discriminatorNoise = parts(.discriminatorNoise)
        generatorNoise = parts(.generatorNoise)
        bothHalves =
            parts(.dropoutReal, size: packing) + parts(.dropoutFake, size: packing, half: 1, after: packs.count)
        penalised =
            penalties.isEmpty
            ? []
            : (0 ..< 16).map { PenaltyPlaces(rawValue: $0) }.map { places in
                var all = parts(.dropoutReal, size: packing, isPenalised: places.contains(.real))
                all += parts(
                    .dropoutFake, size: packing, half: 1, after: packs.count, isPenalised: places.contains(.fake))
                for (place, purpose) in [(PenaltyPlaces.between, Purpose.dropoutBetween), (.around, .dropoutAround)] {
                    guard places.contains(place) else { continue }
                    let half = all.count / shards.count
                    all += parts(
                        purpose, size: packing, half: half, after: half * packs.count, isPenalised: true)
                }
                return all
            }
        (encoding, reconstruction) = (parts(.dropoutEncoder), parts(.dropoutDecoder))
        generatedHalf = parts(.dropoutGenerator, size: packing)
        generatorHalves =
            parts(.dropoutReal, size: packing) + parts(.dropoutGenerator, size: packing, half: 1, after: packs.count)
    }

    /// A part a shard, of a batch of the group's rows.
    package func parts(for purpose: Purpose) -> [BatchPart] {
        generatorNoise.map {
            BatchPart(rows: $0.rows, firstSample: $0.firstSample, purpose: purpose, shard: $0.shard)
        }
    }

    /// The groups that this rank computes, in the order of shards; all of one size.
    package static func all(of table: ShardTable, batch: Int, together: Bool) -> [ShardGroup] {
        all(of: table, batch: batch, packing: 1, together: together, penalties: [])
    }

    /// The same of a game.
    static func all(
        of table: ShardTable, batch: Int, packing: Int, together: Bool, penalties: PenaltyPlaces
    ) -> [ShardGroup] {
        (together ? [table.mine] : table.mine.map { $0 ..< $0 + 1 }).map {
            ShardGroup(
                $0, of: table, batch: batch, packing: packing, together: together, penalties: penalties)
        }
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
