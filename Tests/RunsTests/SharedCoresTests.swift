import Collectives
import Testing

@testable import Runs

/// Invented nodes: what each rank's affinity mask allows, and which ranks share cores by it.
struct SharedCoresTests {
    private func find(_ masks: [[Int]], nodes: [Int]? = nil) -> [SharedCores] {
        SharedCores.find(
            among: masks.enumerated().map { rank, cores in
                let node = nodes?[rank] ?? 0
                return SharedCores.Rank(node: node, host: "node\(node)", cores: Set(cores))
            })
    }

    @Test(arguments: [
        [[0, 1], [0, 1]],  // not bound
        [[0], [1]],  // bound
        [[0], [0, 1]],  // one bound, the other free
        [[4, 5, 6, 7], [4, 5, 6, 7], [4, 5, 6, 7]],  // a scheduler's part of a node
        [[0, 1], [0, 1], [8, 9], [8, 9]],  // bound to the cores of a NUMA domain
    ])
    func aCoreForEachRank(_ masks: [[Int]]) {
        #expect(find(masks) == [] && SharedCores.warning(find(masks)) == nil)
    }

    @Test func moreRanksThanCores() throws {
        let found = find([[0, 1], [0, 1], [0, 1], [0, 1], [0, 1]])
        #expect(found == [SharedCores(host: "node0", ranks: [0, 1, 2, 3, 4], cores: [0, 1])])
        #expect(try #require(SharedCores.warning(found)).hasPrefix("5 ranks on node0 share 2 cores, "))
        // Each may choose between two of three cores.
        #expect(find([[0, 1], [1, 2], [0, 2], [0, 1]]).map(\.ranks) == [[0, 1, 2, 3]])
    }

    @Test func boundToTheSameCore() throws {
        let found = find([[3], [1], [3, 4, 5, 6], [3]])
        #expect(found == [SharedCores(host: "node0", ranks: [0, 3], cores: [3])])
        #expect(try #require(SharedCores.warning(found)).hasPrefix("ranks 0 and 3 on node0 share core 3, "))
        // Bound to the same domain of two cores, while another rank may go elsewhere.
        let three = find([[0, 1], [0, 1], [0, 1], [0, 1, 2, 3]])
        #expect(three == [SharedCores(host: "node0", ranks: [0, 1, 2], cores: [0, 1])])
    }

    @Test func nodesApart() throws {
        // The same numbers on another node are other cores.
        #expect(find([[0], [1], [0], [1]], nodes: [0, 0, 2, 2]) == [])
        let found = find([[0], [1], [5], [5], [7], [7]], nodes: [0, 0, 2, 2, 4, 4])
        #expect(found.map(\.ranks) == [[2, 3], [4, 5]] && found.map(\.host) == ["node2", "node4"])
        let warning = try #require(SharedCores.warning(found))
        #expect(warning.hasPrefix("ranks 2 and 3 on node2 share core 5 (and so on 1 more node), "))
    }

    @Test func coresOfThisMachine() throws {
        // Threads of this process have its mask: as many as its cores fit, one more does not.
        let cores = SharedCores.coresOfThisProcess()
        #expect(try ThreadCommunicator.run(size: cores.count) { try SharedCores.find($0) }.allSatisfy(\.isEmpty))
        let found = try ThreadCommunicator.run(size: cores.count + 1) { try SharedCores.find($0) }
        #expect(found.allSatisfy { $0.count == 1 && $0[0].cores == cores && $0[0].ranks.count == cores.count + 1 })
    }
}
