/// What the nodes send each other in one ordered sum, counted by the plan that the exchange itself follows: for models
/// of the time it takes.
public struct ExchangeTraffic {
    /// A part of the vector that travels as soon as it is final.
    public struct Piece {
        /// The value that it begins with.
        public let start: Int
        /// How many values the ranks of a node send together, of a node with the most partial vectors. Slices of a
        /// vector of few cache lines differ, and another node may send more of them.
        public let values: Int
        /// How many messages a rank sends.
        public let messages: Int
    }

    /// In the order in which they travel, from the vector's end; none where there is one node.
    public let pieces: [Piece]
    /// How many partial vectors a node's ranks sum theirs to: one where they are 2, 4, 8 …, few elsewhere.
    public let partials: Int

    /// In the sum of vectors of `count` values, one shard a rank, with `ranksOfNode` consecutive ranks on each node but
    /// the last, which may have fewer.
    public init(count: Int, ranks: Int, ranksOfNode: Int) {
        self.init(count: count, ranks: ranks, ranksOfNode: ranksOfNode, piece: MessagePlan.defaultPiece(ranks: ranks))
    }

    init(count: Int, ranks: Int, ranksOfNode: Int, piece: Int) {
        let groups = stride(from: 0, to: ranks, by: ranksOfNode).map { $0 ..< min($0 + ranksOfNode, ranks) }
        let tree = SumTree(shards: ranks)
        let (group, partials) = groups.map { ($0, tree.nodes(covering: $0).count) }
            .max { ($0.1, $0.0.count) < ($1.1, $1.0.count) }!
        self.partials = partials
        guard groups.count > 1 else {
            pieces = []
            return
        }
        let plans = group.map { MessagePlan(groups: groups, rank: $0, ranks: ranks, count: count, piece: piece) }
        pieces = (0 ..< plans[0].pieces).map { number in
            let sent = plans.map { $0.sent(number, partials: partials) }
            return Piece(
                start: plans[0].range(of: number).lowerBound, values: sent.reduce(0) { $0 + $1.values },
                messages: sent.map(\.messages).max()!)
        }
    }
}
