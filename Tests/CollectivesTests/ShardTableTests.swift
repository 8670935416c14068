import Support
import Testing
@testable import Collectives

@Suite struct ShardTableTests {
    @Test func everyRowIsInOneShardWhoeverOwnsIt() throws {
        for shards in 1 ... 9 {
            for ranks in 1 ... shards {
                let table = try ShardTable(shards: shards, ranks: ranks, rank: 0)
                for batch in [shards, shards + 1, 3 * shards - 1, 128 + shards] {
                    var rows: [Int] = []
                    for rank in 0 ..< ranks {
                        let mine = try ShardTable(shards: shards, ranks: ranks, rank: rank)
                        let ofShards = mine.mine.flatMap { Array(mine.rows(of: $0, batch: batch)) }
                        #expect(ofShards == Array(mine.rows(batch: batch)))
                        #expect(mine.mine.count <= table.mostShardsOfARank)
                        rows += ofShards
                    }
                    #expect(rows == Array(0 ..< batch))
                    let sizes = (0 ..< shards).map { table.rows(of: $0, batch: batch).count }
                    #expect(sizes.max()! - sizes.min()! <= 1 && sizes.min()! >= 1)
                    #expect(sizes.max()! == table.mostRowsOfAShard(batch: batch))
                    #expect(
                        table.description(batch: batch).hasSuffix("all \(batch) rows are in exactly one shard each"))
                }
            }
        }
    }

    @Test func printsWhoComputesWhat() throws {
        let table = try ShardTable(shards: 3, ranks: 2, rank: 0)
        #expect(
            table.description(batch: 7) == """
                rank 0: shard 0: rows 0-1
                rank 1: shard 1: rows 2-3, shard 2: rows 4-6
                all 7 rows are in exactly one shard each
                """)
    }

    @Test func refusesWhatCannotBeDivided() throws {
        #expect {
            try ShardTable(shards: 4, ranks: 5, rank: 0)
        } throws: {
            "\($0)".contains("4 shards and cannot use 5 ranks") && Failure.of($0).code == .badConfiguration
        }
        #expect {
            try ShardTable(shards: 4, ranks: 2, rank: 0).check(batch: 3)
        } throws: {
            "\($0)".contains("3 samples cannot be divided among 4 shards") && Failure.of($0).code == .badConfiguration
        }
    }
}
