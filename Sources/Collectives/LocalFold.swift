import Kernels

/// How one rank folds the vectors of its shards, which it computes one after another into the same slot, along the
/// ``SumTree``.
///
/// A binary counter: after each shard but the last, the slot is added to the vector of its left sibling if that is
/// there (and the sum to its sibling, and so on), or else copied to a free buffer; after the last shard the sums go
/// into the slot. A rank of s shards so needs about 1 + log₂ s buffers, and a rank of one shard needs the slot alone
/// and moves nothing.
struct LocalFold {
    /// buffer `target` += buffer `source`, or = where `copies`. Buffer 0 is the slot.
    struct Action: Equatable {
        let target: Int
        let source: Int
        let copies: Bool
    }

    /// What remains when all shards are done: the sum of a node, and the buffer that holds it.
    struct Partial: Equatable {
        let node: SumTree.Node
        let buffer: Int
    }

    /// For each shard of the rank, what to do when it is finished.
    private(set) var actions: [[Action]] = []
    /// In the order of shards.
    private(set) var partials: [Partial] = []
    /// How many buffers are needed, the slot among them.
    private(set) var buffers = 1

    init(_ tree: SumTree, shards: Range<Int>) {
        for shard in shards {
            let isLast = shard == shards.upperBound - 1
            actions.append(isLast ? LocalFold.finish(shard, tree, &partials) : push(shard))
        }
        let nodes = partials.map { tree.shards(of: $0.node) }
        precondition(
            nodes == tree.nodes(covering: shards).map { tree.shards(of: $0) },
            "the partial sums are not the largest nodes")
    }

    private mutating func push(_ shard: Int) -> [Action] {
        var actions: [Action] = []
        var current = Partial(node: SumTree.Node(level: 0, index: shard), buffer: 0)
        while let left = partials.last, left.isLeftSibling(of: current) {
            actions.append(Action(target: left.buffer, source: current.buffer, copies: false))
            current = Partial(node: current.parent, buffer: left.buffer)
            partials.removeLast()
        }
        if current.buffer == 0 {
            current = Partial(node: current.node, buffer: partials.count + 1)
            actions.append(Action(target: current.buffer, source: 0, copies: true))
            buffers = max(buffers, current.buffer + 1)
        }
        partials.append(current)
        return actions
    }

    private static func finish(_ shard: Int, _ tree: SumTree, _ partials: inout [Partial]) -> [Action] {
        var actions: [Action] = []
        var current = Partial(node: SumTree.Node(level: 0, index: shard), buffer: 0)
        while current.node != tree.root {
            let right = SumTree.Node(level: current.node.level, index: current.node.index + 1)
            if current.node.index % 2 == 0, tree.shards(of: right).isEmpty {
                current = Partial(node: current.parent, buffer: 0)
            } else if let left = partials.last, left.isLeftSibling(of: current) {
                actions.append(Action(target: 0, source: left.buffer, copies: false))
                current = Partial(node: current.parent, buffer: 0)
                partials.removeLast()
            } else {
                break
            }
        }
        partials.append(current)
        return actions
    }
}

extension LocalFold.Partial {
    fileprivate func isLeftSibling(of other: LocalFold.Partial) -> Bool {
        node.level == other.node.level && node.index % 2 == 0 && other.node.index == node.index + 1
    }

    fileprivate var parent: SumTree.Node { SumTree.Node(level: node.level + 1, index: node.index / 2) }
}
