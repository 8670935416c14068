/// The fixed binary tree along which shards are summed: the perfect tree over the next power of two, absent leaves
/// skipped.
///
/// Node i of level l covers shards i·2ˡ ..< (i+1)·2ˡ, as far as there are any. Its sum is left child + right child,
/// or the left child alone where the right one is empty. Whoever evaluates part of it, in whatever order, adds the
/// same pairs: so the bits of the sum depend on the number of shards and not on the number of ranks. (ReproRed and
/// RAxML-NG sum so for the same reason.)
struct SumTree: Equatable {
    let shards: Int

    struct Node: Equatable {
        var level: Int
        var index: Int
    }

    func shards(of node: Node) -> Range<Int> {
        min(node.index << node.level, shards) ..< min((node.index + 1) << node.level, shards)
    }

    var root: Node {
        var level = 0
        while 1 << level < shards { level += 1 }
        return Node(level: level, index: 0)
    }

    /// The largest nodes that together cover `range`, in order: at most 2·log₂ V.
    func nodes(covering range: Range<Int>) -> [Node] {
        var nodes: [Node] = []
        var position = range.lowerBound
        while position < range.upperBound {
            var node = Node(level: 0, index: position)
            while node.index % 2 == 0, node.level < root.level {
                let parent = Node(level: node.level + 1, index: node.index / 2)
                if shards(of: parent).upperBound > range.upperBound { break }
                node = parent
            }
            nodes.append(node)
            position = shards(of: node).upperBound
        }
        return nodes
    }

    /// A value in a sum under way: one of the given ones, a block of scratch memory, or a result.
    enum Place: Equatable { case source(Int), scratch(Int), result(Int) }

    /// `target` = `left` + `right`, or `left` alone.
    struct Step: Equatable {
        var target: Place
        var left: Place
        var right: Place?
    }

    /// The additions that make `targets` of `sources` (each list in order, the same shards), and how many scratch
    /// blocks they need.
    func steps(from sources: [Node], to targets: [Node]) -> (steps: [Step], scratch: Int) {
        var steps: [Step] = [], scratch = 0
        /// Where the value of `node` is, once its steps are done; scratch blocks from `free` on are not in use.
        func evaluate(_ node: Node, free: Int, into target: Place?) -> Place {
            if let source = sources.firstIndex(where: { shards(of: $0) == shards(of: node) }) { return .source(source) }
            precondition(node.level > 0, "no source holds shard \(node.index)")
            let leftNode = Node(level: node.level - 1, index: 2 * node.index)
            let rightNode = Node(level: node.level - 1, index: 2 * node.index + 1)
            let left = evaluate(leftNode, free: free, into: nil)
            if shards(of: rightNode).isEmpty { return left }
            var next = free
            if case .scratch = left { next += 1 }
            let right = evaluate(rightNode, free: next, into: nil)
            let place = target ?? .scratch(free)
            if target == nil { scratch = max(scratch, free + 1) }
            steps.append(Step(target: place, left: left, right: right))
            return place
        }
        for (number, node) in targets.enumerated() {
            var place = evaluate(node, free: 0, into: .result(number))
            // A node whose right child is absent is its left child's value.
            if place != .result(number) {
                if case .scratch = place, !steps.isEmpty, steps[steps.count - 1].target == place {
                    steps[steps.count - 1].target = .result(number)
                    place = .result(number)
                } else {
                    steps.append(Step(target: .result(number), left: place, right: nil))
                }
            }
        }
        return (steps, scratch)
    }
}
