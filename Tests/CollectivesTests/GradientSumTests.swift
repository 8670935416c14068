import Kernels
import Testing
@testable import Collectives

/// The sum of `vectors` along the perfect tree, written as its definition.
private func treeSum(_ vectors: [[Float]], _ range: Range<Int>? = nil) -> [Float] {
    var width = 1
    while width < vectors.count { width *= 2 }
    let range = range ?? 0 ..< width
    if range.count == 1 { return vectors[range.lowerBound] }
    let middle = (range.lowerBound + range.upperBound) / 2
    let left = treeSum(vectors, range.lowerBound ..< middle)
    if middle >= vectors.count { return left }
    let right = treeSum(vectors, middle ..< range.upperBound)
    return zip(left, right).map { $0 + $1 }
}

/// Values whose float32 sum depends on the order: large ones that cancel, small ones between.
private func crafted(shard: Int, count: Int) -> [Float] {
    (0 ..< count).map { index in
        switch (shard + index) % 5 {
        case 0: 16_777_216
        case 1: 1
        case 2: -16_777_216
        case 3: Float(shard * 31 + index % 97) / 7
        default: -0.1 * Float(index % 13)
        }
    }
}

/// When a rank says that the end of its last shard is final.
private enum Settling: CaseIterable { case never, atOnce, unevenly }

/// Two sums in a row (the second of negated vectors), so that nothing of a first may leak into a second.
private func sums(
    ranks: Int, ranksPerNode: Int?, shards: Int, count: Int, kind: GradientSum.Kind, piece: Int,
    settling: Settling = .never, precision: GradientSum.Precision = .float32, byParts: Bool = false,
    of vectors: @escaping @Sendable (_ shard: Int, _ count: Int) -> [Float] = crafted
) throws -> [[Float]] {
    try ThreadCommunicator.run(size: ranks, ranksPerNode: ranksPerNode) { communicator in
        let table = try ShardTable(shards: shards, communicator: communicator)
        let sum = try GradientSum(
            count: count, scale: 0.25, table: table, communicator: communicator, kind: kind, precision: precision,
            piece: piece)
        var results: [Float] = []
        for sign in [Float(1), -1] {
            for shard in table.mine {
                sum.beginShard()
                let values = vectors(shard, count)
                var end = count
                while end > 0 {
                    let start = settling == .unevenly ? max(0, end - 7 - 29 * (shard + 1)) : 0
                    for index in start ..< end {
                        sum.slot[index] = (sum.addsToSlot ? sum.slot[index] : 0) + sign * values[index]
                    }
                    if settling != .never { sum.settle(from: start) }
                    end = start
                }
                sum.endShard()
            }
            guard byParts else {
                results += try sum.finish().array
                continue
            }
            #expect(sum.sumsParts)
            try sum.meet()
            // Not in order, and of unequal lengths: as a rank may own them.
            let ends = [0, count / 5, count / 2, count]
            let parts = [2, 0, 1].map { (ends[$0], sum.part(ends[$0] ..< ends[$0 + 1]).array) }
            results += parts.sorted { ($0.0, $0.1.count) < ($1.0, $1.1.count) }.flatMap(\.1)
            try communicator.barrier()
        }
        return results
    }
}

private struct Broken: Error {}

private func bits(_ values: [Float]) -> [UInt32] { values.map { $0.bitPattern } }

@Suite struct GradientSumTests {
    /// All ranks 1 ... 8 of all shards 1 ... 16, in one node and in nodes of 1, 2 and 3 ranks, in pieces of 48 values
    /// that go when all is computed, or while the rest is.
    @Test(arguments: 1 ... 16) func sameBitsOnAnyNumberOfRanks(shards: Int) throws {
        for count in [1, 37, 261] {
            let expected = bits(
                [Float(1), -1].flatMap { sign in
                    treeSum((0 ..< shards).map { crafted(shard: $0, count: count).map { 0 + sign * $0 } }).map {
                        $0 * 0.25
                    }
                })
            for ranks in 1 ... min(8, shards) {
                for ranksPerNode in [nil, 1, 2, 3] as [Int?] {
                    for settling in ranksPerNode == nil ? [.never] : Settling.allCases {
                        let all = try sums(
                            ranks: ranks, ranksPerNode: ranksPerNode, shards: shards, count: count, kind: .ordered,
                            piece: 48, settling: settling)
                        for (rank, result) in all.enumerated() {
                            #expect(
                                bits(result) == expected,
                                """
                                V \(shards), \(ranks) ranks, \(ranksPerNode ?? ranks) a node, \(count) values, \
                                rank \(rank), settled \(settling)
                                """
                            )
                        }
                    }
                }
            }
        }
    }

    /// Ranks that share memory may sum each part that they want for themselves, to the same bits, step after step.
    @Test(arguments: [1, 2, 3, 5, 8], [1, 7, 16]) func sameBitsPartByPart(ranks: Int, shards: Int) throws {
        guard ranks <= shards else { return }
        // The last has parts of several blocks of VectorSum.
        for count in [1, 37, 261, 20_000] {
            let whole = try sums(ranks: 1, ranksPerNode: nil, shards: shards, count: count, kind: .ordered, piece: 48)
            let parts = try sums(
                ranks: ranks, ranksPerNode: nil, shards: shards, count: count, kind: .ordered, piece: 48, byParts: true)
            #expect(parts.allSatisfy { bits($0) == bits(whole[0]) }, "\(ranks) ranks, \(count) values")
        }
    }

    /// More ranks than a small node has, of one node and of uneven ones.
    @Test(arguments: [12, 17]) func sameBitsOnManyRanks(ranks: Int) throws {
        let (shards, count) = (19, 100)
        let alone = try sums(ranks: 1, ranksPerNode: nil, shards: shards, count: count, kind: .ordered, piece: 48)
        for ranksPerNode in [nil, 5, 9] as [Int?] {
            let all = try sums(
                ranks: ranks, ranksPerNode: ranksPerNode, shards: shards, count: count, kind: .ordered, piece: 48,
                settling: .unevenly)
            #expect(all.allSatisfy { bits($0) == bits(alone[0]) }, "\(ranks) ranks, \(ranksPerNode ?? ranks) a node")
        }
        let parts = try sums(
            ranks: ranks, ranksPerNode: nil, shards: shards, count: count, kind: .ordered, piece: 48, byParts: true)
        #expect(parts.allSatisfy { bits($0) == bits(alone[0]) })
    }

    /// Not where messages are needed.
    @Test func partsNeedSharedMemory() throws {
        for (ranksPerNode, kind) in [(1, GradientSum.Kind.ordered), (2, .ordered), (3, .orderedMessages), (3, .mpi)] {
            try ThreadCommunicator.run(size: 3, ranksPerNode: ranksPerNode) { communicator in
                let table = try ShardTable(shards: 3, communicator: communicator)
                let sum = try GradientSum(count: 9, table: table, communicator: communicator, kind: kind)
                #expect(!sum.sumsParts)
            }
        }
    }

    @Test func messagesAloneGiveTheBitsOfSharedMemory() throws {
        for ranks in 2 ... 5 {
            let shared = try sums(ranks: ranks, ranksPerNode: nil, shards: 7, count: 1001, kind: .ordered, piece: 64)
            let messages = try sums(
                ranks: ranks, ranksPerNode: nil, shards: 7, count: 1001, kind: .orderedMessages, piece: 64)
            #expect(shared.map(bits) == messages.map(bits))
        }
    }

    /// What must change the bits does: another order of shards, another number of them. Otherwise the tests above
    /// could not fail.
    @Test func anotherTreeChangesTheBits() {
        let vectors = (0 ..< 8).map { crafted(shard: $0, count: 261) }
        let sum = bits(treeSum(vectors))
        #expect(sum != bits(treeSum([vectors[1], vectors[2], vectors[0]] + vectors[3...])))
        let oneByOne = vectors.dropFirst().reduce(vectors[0]) { zip($0, $1).map { $0 + $1 } }
        #expect(sum != bits(oneByOne))
    }

    @Test func libraryOrderAgreesToRounding() throws {
        let shards = 5, count = 100
        let vectors = (0 ..< shards).map { shard in (0 ..< count).map { Float(shard + 1) / Float($0 + 3) } }
        let results = try ThreadCommunicator.run(size: 3) { communicator in
            let table = try ShardTable(shards: shards, communicator: communicator)
            let sum = try GradientSum(count: count, table: table, communicator: communicator, kind: .mpi)
            for shard in table.mine {
                sum.beginShard()
                for index in 0 ..< count {
                    sum.slot[index] = (sum.addsToSlot ? sum.slot[index] : 0) + vectors[shard][index]
                }
                sum.endShard()
            }
            return try sum.finish().array
        }
        for (result, expected) in zip(results[0], treeSum(vectors)) {
            #expect(abs(result - expected) <= 1e-6 * abs(expected))
        }
        #expect(results[0] == results[2])
    }

    /// At a power of two of ranks the messages carry no more than an ordinary allreduce's: 2·n·(p−1)/p.
    @Test func messagesCarryNoMoreThanAnAllreduce() throws {
        for ranks in [2, 4, 8] {
            for shards in [ranks, 2 * ranks] {
                let sent = try ThreadCommunicator.run(size: ranks) { communicator in
                    try GradientSum(
                        count: 4096, table: ShardTable(shards: shards, communicator: communicator),
                        communicator: communicator,
                        kind: .orderedMessages, piece: 512
                    ).valuesSent
                }
                #expect(sent == [Int](repeating: 2 * 4096 * (ranks - 1) / ranks, count: ranks))
            }
        }
    }

    /// Two ranks of one shard each: the owner of a value adds its own vector's and the other's as rounded, then all
    /// have that sum rounded.
    @Test func bfloat16RoundsWhatTravels() throws {
        let count = 1001
        let vectors = (0 ..< 2).map { shard in (0 ..< count).map { Float(shard + 1) / Float($0 + 3) - 0.01 } }
        func rounded(_ value: Float) -> Float { Float(bitPattern: UInt32(BFloat16.rounded(value)) << 16) }
        let results = try ThreadCommunicator.run(size: 2, ranksPerNode: 1) { communicator in
            let table = try ShardTable(shards: 2, communicator: communicator)
            let sum = try GradientSum(
                count: count, table: table, communicator: communicator, precision: .bfloat16, piece: 128)
            sum.beginShard()
            for index in 0 ..< count { sum.slot[index] = vectors[communicator.rank][index] }
            sum.endShard()
            return try sum.finish().array
        }
        let plan = MessagePlan(groups: [0 ..< 1, 1 ..< 2], rank: 0, ranks: 2, count: count, piece: 128)
        let ownedByFirst = (0 ..< plan.pieces).map { plan.slice($0, of: 0) }
        let expected = (0 ..< count).map { index in
            let owner = ownedByFirst.contains { $0.contains(index) } ? 0 : 1
            return rounded(vectors[owner][index] + rounded(vectors[1 - owner][index]))
        }
        #expect(results.map(bits) == [bits(expected), bits(expected)])
    }

    /// Odd numbers of ranks and nodes, of which some fold before they send: all ranks have the same bits, near to
    /// those of float32.
    /// The same bits on all ranks, and no error but that of each rounding: at most 2⁻⁹ of a partial sum, which of
    /// values of one sign is a part of the whole, in each of the messages that a value goes through.
    @Test func bfloat16IsTheSameOnAllRanks() throws {
        let positive: @Sendable (Int, Int) -> [Float] = { shard, count in
            (0 ..< count).map { 1 + Float((shard * 31 + $0 * 17) % 97) / 13 }
        }
        for (ranks, ranksPerNode, shards) in [(3, 1, 5), (5, 2, 16), (8, 3, 11)] {
            let all = try sums(
                ranks: ranks, ranksPerNode: ranksPerNode, shards: shards, count: 261, kind: .ordered, piece: 48,
                settling: .unevenly, precision: .bfloat16, of: positive)
            let exact = try sums(
                ranks: 1, ranksPerNode: nil, shards: shards, count: 261, kind: .ordered, piece: 48, of: positive)[0]
            for result in all { #expect(bits(result) == bits(all[0])) }
            #expect(bits(all[0]) != bits(exact))
            // Three nodes: a partial sum is sent at most twice on the way to where it ends, and the whole once back.
            for (value, reference) in zip(all[0], exact) {
                #expect(abs(value - reference) <= 3.1 / 512 * abs(reference), "\(value) for \(reference)")
            }
        }
    }

    /// A vector's pieces and slices cover it once, whatever its length.
    @Test func piecesAndSlicesCoverTheVector() {
        for count in [1, 15, 16, 17, 47, 48, 49, 261, 4096] {
            for ranks in 1 ... 8 {
                let plan = MessagePlan(groups: [0 ..< ranks], rank: 0, ranks: ranks, count: count, piece: 48)
                var covered = count
                for number in 0 ..< plan.pieces {
                    #expect(plan.range(of: number).upperBound == covered)
                    covered = plan.range(of: number).lowerBound
                    #expect(
                        plan.pieces(from: covered) == number + 1
                            && (covered + 1 >= count || plan.pieces(from: covered + 1) == number))
                    var end = covered
                    for rank in 0 ..< ranks {
                        let slice = plan.slice(number, of: rank)
                        #expect(slice.lowerBound == end && slice.count <= plan.longestSlice)
                        end = slice.upperBound
                    }
                    #expect(end == plan.range(of: number).upperBound)
                }
                #expect(covered == 0)
            }
        }
    }

    /// Where the library allows one thread only the exchange waits for the whole vector, says so, and gives the same
    /// bits.
    @Test func withoutThreadsTheExchangeWaits() throws {
        let results = try ThreadCommunicator.run(size: 5, ranksPerNode: 2, channelsAllowThreads: false) {
            communicator in
            let table = try ShardTable(shards: 7, communicator: communicator)
            let sum = try GradientSum(count: 261, scale: 0.25, table: table, communicator: communicator, piece: 48)
            #expect(sum.warning?.contains("MPI_THREAD_MULTIPLE") == true)
            for shard in table.mine {
                sum.beginShard()
                for (index, value) in crafted(shard: shard, count: 261).enumerated() { sum.slot[index] = value }
                sum.settle(from: 100)
                sum.endShard()
            }
            return try sum.finish().array
        }
        let expected = treeSum((0 ..< 7).map { crafted(shard: $0, count: 261) }).map { $0 * 0.25 }
        for result in results { #expect(bits(result) == bits(expected)) }
    }

    /// One rank fails while the others' messages wait for it: none waits for ever, and no thread is left in the sum.
    @Test func aRankThatFailsEndsTheOthersExchange() {
        #expect(throws: Broken.self) {
            try ThreadCommunicator.run(size: 3, ranksPerNode: 1) { communicator in
                let sum = try GradientSum(
                    count: 1000, table: ShardTable(shards: 3, communicator: communicator), communicator: communicator,
                    piece: 48)
                sum.beginShard()
                sum.settle(from: 500)
                if communicator.rank == 1 { throw Broken() }
                sum.endShard()
                _ = try sum.finish()
            }
        }
    }

    @Test func aRankOfOneShardNeedsTheSlotAlone() {
        for shards in 1 ... 16 {
            let tree = SumTree(shards: shards)
            for shard in 0 ..< shards {
                let fold = LocalFold(tree, shards: shard ..< shard + 1)
                #expect(fold.buffers == 1 && fold.actions == [[]])
            }
        }
        #expect(LocalFold(SumTree(shards: 8), shards: 0 ..< 8).buffers == 4)
        #expect(LocalFold(SumTree(shards: 64), shards: 0 ..< 64).buffers == 7)
    }

    @Test func rangesDecomposeIntoTheLargestNodes() {
        let tree = SumTree(shards: 8)
        let ranges = [0 ..< 2, 2 ..< 5, 5 ..< 8].map { tree.nodes(covering: $0).map { tree.shards(of: $0) } }
        #expect(ranges == [[0 ..< 2], [2 ..< 4, 4 ..< 5], [5 ..< 6, 6 ..< 8]])
        let odd = SumTree(shards: 5)
        #expect(odd.nodes(covering: 4 ..< 5).map { odd.shards(of: $0) } == [4 ..< 5])
        #expect(odd.nodes(covering: 0 ..< 5) == [odd.root])
    }
}
