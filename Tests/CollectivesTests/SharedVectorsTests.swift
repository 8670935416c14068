import Kernels
import Support
import Testing
@testable import Collectives

@Suite struct SharedVectorsTests {
    private static let count = 3 * SharedVectors.block + 100

    /// What each rank makes of its parts all see, in their group; a rank alone makes all.
    @Test(arguments: [(1, 1), (3, 3), (5, 2), (4, 1)]) func changesAreSeenByTheGroup(
        size: Int, ranksPerNode: Int
    ) throws {
        try ThreadCommunicator.run(size: size, ranksPerNode: ranksPerNode) { communicator in
            for groups in [communicator.nodeGroups, communicator.everyRankAlone] {
                let vectors = try SharedVectors(count: Self.count, number: 2, among: groups, communicator)
                #expect(vectors.isShared == groups.contains { $0.count > 1 })
                #expect(vectors.groups == groups && vectors.group == groups.first { $0.contains(communicator.rank) })
                for turn in 1 ... 3 {
                    let sum = try vectors.changeSumming { number, range in
                        for index in range { vectors.vectors[1].values[index] += Float(index % 7 * turn) }
                        return Double(number) + 1 / Double(number + 2)
                    }
                    // In this order on any number of ranks.
                    var expected = 0.0
                    for number in 0 ..< 4 { expected += Double(number) + 1 / Double(number + 2) }
                    #expect(sum == expected)
                }
                let values = vectors.vectors[1].values
                for index in 0 ..< Self.count where values[index] != Float(index % 7 * 6) {
                    Issue.record("value \(index) is \(values[index])")
                }
                #expect(vectors.vectors[0].values.array.allSatisfy { $0 == 0 })
                try vectors.requireUndisturbed(communicator, "the vectors")
                try communicator.barrier()
            }
        }
    }

    /// Every part has one owner, neighbours of equal weight neighbouring ones; heavy ones are spread.
    @Test func owners() {
        #expect(SharedVectors.owners([4, 4, 4, 4, 4, 4, 1], ranks: 3) == [0, 0, 0, 1, 1, 2, 2])
        #expect(SharedVectors.owners([1, 9, 2, 8, 3], ranks: 2) == [0, 0, 0, 1, 1])
        #expect(SharedVectors.owners([5], ranks: 4) == [0])
        #expect(SharedVectors.owners([], ranks: 4) == [])
    }

    /// The vectors of one rank come to all nodes.
    @Test(arguments: [1, 2, 5]) func sharing(ranksPerNode: Int) throws {
        try ThreadCommunicator.run(size: 5, ranksPerNode: ranksPerNode) { communicator in
            let vectors = try SharedVectors(count: Self.count, number: 2, among: communicator.nodeGroups, communicator)
            if communicator.rank == 3 {
                for vector in vectors.vectors {
                    for index in 0 ..< Self.count { vector.values[index] = Float(index) + 0.5 }
                }
            }
            try vectors.share(from: 3, communicator)
            for vector in vectors.vectors {
                #expect((0 ..< Self.count).allSatisfy { vector.values[$0] == Float($0) + 0.5 })
            }
            try vectors.requireUndisturbed(communicator, "the vectors")
            let fingerprint = try vectors.fingerprint(communicator)
            try communicator.requireEqual(fingerprint, "the fingerprints")
            #expect((fingerprint == 0) == (ranksPerNode == 5))
            // Another node, or rank, that has something else.
            if communicator.rank == vectors.group.lowerBound, vectors.group.contains(4) {
                vectors.vectors[1].values[7] = 3
            }
            try communicator.barrier()
            let others = try communicator.gather(vectors.fingerprint(communicator))
            let last = communicator.nodes[4]
            #expect((0 ..< last).allSatisfy { others[$0] == others[0] } && (last == 0 || others[last] != others[0]))
        }
    }

    /// A flipped bit is found, whichever it is, by whomever it belongs to, before and after its part was changed again.
    @Test func flippedBits() throws {
        let findings = try ThreadCommunicator.run(size: 3) { communicator -> [String] in
            let vectors = try SharedVectors(count: Self.count, number: 2, among: communicator.nodeGroups, communicator)
            func change() throws {
                vectors.change { _, range in
                    for index in range {
                        for vector in vectors.vectors {
                            vector.values[index] = 1.5 * vector.values[index] + Float(index % 3)
                        }
                    }
                }
                try vectors.barrier()
            }
            func finding() throws -> String {
                do {
                    try vectors.requireUndisturbed(communicator, "the vectors")
                    return "nothing"
                } catch {
                    return Failure.of(error).message
                }
            }
            try change()
            var findings = [try finding()]
            let places = [(0, 3), (1, SharedVectors.block + 9), (0, Self.count - 1)]
            for (turn, (vector, place)) in places.enumerated() {
                for bit in [0, 17, 31] {
                    let values = vectors.vectors[vector].values
                    try communicator.barrier()
                    if communicator.rank == 2 {
                        values[place] = Float(bitPattern: values[place].bitPattern ^ 1 << UInt32(bit))
                    }
                    try communicator.barrier()
                    if turn > 0 { for _ in 0 ..< 3 { try change() } }
                    findings.append(try finding())
                    try vectors.settle()
                }
            }
            return findings + [try finding()]
        }
        #expect(findings[0] == findings[1] && findings[0] == findings[2])
        #expect(findings[0].first == "nothing" && findings[0].last == "nothing")
        for (number, finding) in findings[0].dropFirst().dropLast().enumerated() {
            let owner = [0, 0, 2][number / 3]
            #expect(finding == "the vectors are not what rank \(owner) (host thread0) has made of them")
        }
    }
}
