import Kernels
import Support
import Testing
@testable import Collectives

@Suite struct AgreementTests {
    @Test func namesTheFirstRankThatDiffersFromMost() throws {
        for (values, rank) in [(["a", "a", "b", "a", "c"], 2), (["b", "a", "a"], 0), (["a", "b"], 1)] {
            let errors = try ThreadCommunicator.run(size: values.count, ranksPerNode: 1) { communicator in
                do {
                    try communicator.requireEqual(values[communicator.rank], "the configurations")
                    return ""
                } catch let error as AgreedFailure { return error.failure.message }
            }
            #expect(errors.allSatisfy { $0 == errors[0] })
            #expect(errors[0].hasPrefix("the configurations differ on rank \(rank) (host thread\(rank)): "))
        }
        try ThreadCommunicator.run(size: 3) { try $0.requireEqual(UInt64(7), "the parameters") }
    }

    /// Any one bit changed, two values exchanged, zeros appended: each another fingerprint. The same values at
    /// another address: the same.
    @Test func fingerprintsTellVectorsApart() {
        for count in [0, 1, 15, 16, 17, 100] {
            let values = FloatBuffer((0 ..< count).map { Float($0) * 0.37 - 3 })
            let original = fingerprint(of: values.values)
            let moved = FloatBuffer([0] + values.values.array)
            #expect(fingerprint(of: moved.values[1 ..< count + 1]) == original)
            let longer = FloatBuffer(values.values.array + [0])
            #expect(fingerprint(of: longer.values) != original)
            #expect(fingerprint(of: values.values, seed: 1) != original)
            for index in 0 ..< count {
                for bit in 0 ..< 32 {
                    let kept = values.values[index]
                    values.values[index] = Float(bitPattern: kept.bitPattern ^ 1 << UInt32(bit))
                    #expect(fingerprint(of: values.values) != original)
                    values.values[index] = kept
                }
            }
            if count > 16 {
                let (first, other) = (values.values[0], values.values[16])
                (values.values[0], values.values[16]) = (other, first)
                #expect(fingerprint(of: values.values) != original)
                (values.values[0], values.values[16]) = (-first, -other)
                #expect(fingerprint(of: values.values) != original)
            }
        }
    }

    @Test(arguments: [1, 2, 5, 8, 13]) func smallSumsAreTheSameOnAnyNumberOfRanks(shards: Int) throws {
        func totals(ranks: Int) throws -> [[Double]] {
            try ThreadCommunicator.run(size: ranks) { communicator in
                let table = try ShardTable(shards: shards, communicator: communicator)
                let sums = ShardSums(count: 3, table: table, communicator: communicator)
                var all: [Double] = []
                for turn in 1 ... 2 {
                    for shard in table.mine {
                        sums[shard: shard, 0] += 1 / Double(shard + turn)
                        sums[shard: shard, 1] += [0x1p53, 1, -0x1p53][shard % 3]
                        sums[shard: shard, 2] += 1
                    }
                    try sums.sum()
                    all += sums.totals
                }
                return all
            }
        }
        let alone = try totals(ranks: 1)[0]
        #expect(alone[2] == Double(shards) && alone[5] == Double(shards))
        #expect(abs(alone[0] - (1 ... shards).reduce(0) { $0 + 1 / Double($1) }) < 1e-12)
        for ranks in 1 ... min(shards, 8) {
            for result in try totals(ranks: ranks) {
                #expect(result.map { $0.bitPattern } == alone.map { $0.bitPattern })
            }
        }
    }
}
