import Testing
@testable import Collectives

@Suite struct ExchangeTrafficTests {
    /// What is counted is what a node sends in the exchange, on nodes of all sizes, also where the last has fewer ranks
    /// and where a node's vectors are not one node of the tree.
    @Test(arguments: 1 ... 9) func isWhatTheExchangeSends(ranks: Int) throws {
        for ranksOfNode in 1 ... 4 {
            for count in [1, 37, 261, 1000] {
                let sent = try ThreadCommunicator.run(size: ranks, ranksPerNode: ranksOfNode) { communicator in
                    try GradientSum(
                        count: count, table: ShardTable(shards: ranks, communicator: communicator),
                        communicator: communicator, piece: 96
                    ).valuesSent
                }
                let ofNodes = stride(from: 0, to: ranks, by: ranksOfNode).map { first in
                    sent[first ..< min(first + ranksOfNode, ranks)].reduce(0, +)
                }
                let traffic = ExchangeTraffic(count: count, ranks: ranks, ranksOfNode: ranksOfNode, piece: 96)
                let counted = traffic.pieces.reduce(0) { $0 + $1.values }
                #expect(ofNodes.contains(counted), "\(count) values, \(ranks) ranks in nodes of \(ranksOfNode)")
                #expect(traffic.pieces.map(\.start) == traffic.pieces.map(\.start).sorted(by: >))
            }
        }
    }

    @Test func aNodeOfThreeSendsTwoVectorsToEachOther() {
        let traffic = ExchangeTraffic(count: 6 * 16, ranks: 6, ranksOfNode: 3)
        // Shards 0 and 1, and 2: to each of three others, and three times its own slices' results.
        #expect(traffic.partials == 2 && traffic.pieces.count == 1)
        #expect(traffic.pieces[0].values == 2 * 3 * 16 + 3 * 16 && traffic.pieces[0].messages == 3)
        #expect(ExchangeTraffic(count: 96, ranks: 6, ranksOfNode: 6).pieces.isEmpty)
    }
}
