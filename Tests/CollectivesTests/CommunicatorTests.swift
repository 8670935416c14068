import Kernels
import Support
import Testing
@testable import Collectives

private struct Broken: Error, Equatable { let rank: Int }

@Suite struct CommunicatorTests {
    private func everything(_ communicator: any Communicator) throws {
        let rank = communicator.rank, size = communicator.size
        try communicator.barrier()
        #expect(try communicator.gather(rank * 7) == (0 ..< size).map { $0 * 7 })
        #expect(try communicator.gather(0.5 * Double(rank)) == (0 ..< size).map { 0.5 * Double($0) })
        #expect(
            try communicator.gather(String(repeating: "é", count: rank))
                == (0 ..< size).map { String(repeating: "é", count: $0) })
        for root in 0 ..< size {
            #expect(try communicator.broadcast(rank == root ? "of \(root)" : "", from: root) == "of \(root)")
            #expect(try communicator.broadcast(UInt64(rank), from: root) == UInt64(root))
            #expect(try communicator.broadcast(bytes: rank == root ? [] : [1], from: root) == [])
        }
        #expect(try communicator.maximum(-rank) == 0)
        #expect(try communicator.any(rank == size - 1))
        #expect(try !communicator.any(false))
        let values = FloatBuffer([1, Float(rank), -2])
        try communicator.sum(values.values)
        #expect(values.values.array == [Float(size), Float(size * (size - 1) / 2), Float(-2 * size)])
        #expect(try communicator.agreed { rank } == rank)
    }

    @Test func soloDoesEverything() throws { try everything(SoloCommunicator()) }

    @Test(arguments: [1, 2, 3, 8]) func threadsDoEverything(size: Int) throws {
        try ThreadCommunicator.run(size: size) { try self.everything($0) }
    }

    @Test func threadsShareHostsByNode() throws {
        let nodes = try ThreadCommunicator.run(size: 5, ranksPerNode: 2) { $0.nodes }
        #expect(nodes.allSatisfy { $0 == [0, 0, 2, 2, 4] })
    }

    /// Ranks of one node that are bound near different memory are to have a copy each, where there is room for them.
    @Test func groupsOfOneCopy() throws {
        let groups = try ThreadCommunicator.run(size: 7, ranksPerNode: 5, ranksPerDomain: 2) { communicator in
            #expect(communicator.nodeGroups == [0 ..< 5, 5 ..< 7])
            #expect(communicator.domainGroups == [0 ..< 2, 2 ..< 4, 4 ..< 5, 5 ..< 7])
            var copies = 0
            let wide = try communicator.groupsOfOneCopy {
                copies = $0
                return 1 << 10
            }
            #expect(copies == (communicator.rank < 5 ? 3 : 1))
            // The last rank alone lacks room.
            let narrow = try communicator.groupsOfOneCopy { _ in communicator.rank == 6 ? 1 << 60 : 1 << 10 }
            return [wide, narrow]
        }
        #expect(groups.allSatisfy { $0 == [[0 ..< 2, 2 ..< 4, 4 ..< 5, 5 ..< 7], [0 ..< 5, 5 ..< 7]] })
    }

    /// The error is that of the rank that threw; the others, which wait for it, end too.
    @Test func oneThreadThrows() {
        #expect(throws: Broken(rank: 2)) {
            try ThreadCommunicator.run(size: 4) { communicator in
                try communicator.barrier()
                if communicator.rank == 2 { throw Broken(rank: 2) }
                while true { try communicator.barrier() }
            }
        }
    }

    /// All ranks throw the same, which names the rank unless it is the same everywhere.
    @Test func whatFailsOnOneRankIsThrownOnAll() throws {
        for (culprits, message) in [([1], "rank 1: Broken(rank: 0)"), ([0, 1, 2], "Broken(rank: 0)")] {
            let messages = try ThreadCommunicator.run(size: 3) { communicator in
                do {
                    try communicator.agreed { if culprits.contains(communicator.rank) { throw Broken(rank: 0) } }
                    return ""
                } catch let error as AgreedFailure { return error.failure.message }
            }
            #expect(messages == [message, message, message])
        }
    }

    /// Rank 0 alone decides, and what it throws is thrown on all with its exit code.
    @Test func rankZeroDecides() throws {
        struct Decision: Codable, Equatable { let text: String, number: Int? }
        let decided = try ThreadCommunicator.run(size: 3) { communicator in
            try communicator.decidedByRoot { Decision(text: "é\n", number: communicator.rank == 0 ? 7 : nil) }
        }
        #expect(decided == Array(repeating: Decision(text: "é\n", number: 7), count: 3))
        let codes = try ThreadCommunicator.run(size: 2) { communicator in
            do {
                return try communicator.decidedByRoot { () throws -> ExitCode in
                    throw Failure(.diverged, "", remedy: "")
                }
            } catch let error as AgreedFailure { return error.failure.code }
        }
        #expect(codes == [.diverged, .diverged])
    }
}
