import Kernels

/// Sums the ranks' partial vectors along the ``SumTree``: reduce-scatter by the owner of a slice, then allgather.
///
/// Every rank owns a slice of the vector and folds it. Ranks that share memory (a group: consecutive ranks of one node) read each other's
/// vectors there and write the result to one vector that all of them use. Between groups go messages, in segments: for each slice
/// of a rank elsewhere, one rank of the group folds the group's part of the tree and sends it to the owner, and later gets the result.
/// A group of one rank has no shared memory and sends its partial vectors as they are. With p groups of one rank, p a
/// power of two, a rank sends 2·n·(p−1)/p values, as an ordinary allreduce does.
final class OrderedExchange {
    /// This rank's buffers; the first is the slot, where shards are computed.
    private(set) var buffers: [Floats] = []
    let fold: LocalFold
    /// How many values this rank sends to others in one reduction.
    private(set) var valuesSent = 0

    private let communicator: any Communicator
    private let table: ShardTable
    private let tree: SumTree
    private let count: Int
    private let groups: [Range<Int>]
    private let group: Range<Int>
    private let memory: (any SharedMemory)?
    private let plain: FloatBuffer?
    private let messages: FloatBuffer
    private var rounds: [Round] = []
    private var result = Floats.none
    private let groupSum: VectorSum
    private let finalSum: VectorSum

    /// The sums and messages of one segment of every rank's slice.
    private struct Round {
        var staged: [(sources: [Floats], targets: [Floats])] = []
        var outgoing: [Message] = []
        var incoming: [Message] = []
        var sources: [Floats] = []
        var target: Floats?
    }

    /// `groups`: the ranks that share memory, in order. Returns nil on every rank if the memory cannot be had.
    init?(count: Int, table: ShardTable, communicator: any Communicator, groups: [Range<Int>], segment: Int) throws {
        self.communicator = communicator
        self.table = table
        self.count = count
        self.groups = groups
        let tree = SumTree(shards: table.shards)
        self.tree = tree
        let group = groups.first { $0.contains(communicator.rank) }!
        self.group = group
        fold = LocalFold(tree, shards: table.mine)

        let folds = group.map { LocalFold(tree, shards: table.shards(of: $0)) }
        let stride = (count + 1023) / 1024 * 1024 + 64  // the vectors' cache lines do not all fall into the same sets
        let sharedResult = group.count > 1 ? stride : 0
        let total = sharedResult + folds.reduce(0) { $0 + $1.buffers * stride }
        if groups.contains(where: { $0.count > 1 }) {
            guard let memory = try communicator.sharedMemory(count: total, group: group) else { return nil }
            self.memory = memory
            plain = nil
        } else {
            memory = nil
            plain = FloatBuffer(count: total)
        }
        let values = memory?.values ?? plain!.values

        var partials: [Floats] = [], offset = sharedResult
        for (index, fold) in folds.enumerated() {
            let all = (0 ..< fold.buffers).map { values[offset + $0 * stride ..< offset + $0 * stride + count] }
            if group.lowerBound + index == communicator.rank { buffers = all }
            partials += fold.partials.map { all[$0.buffer] }
            offset += fold.buffers * stride
        }
        result = group.count > 1 ? values[0 ..< count] : buffers[0]

        func nodes(_ group: Range<Int>) -> [SumTree.Node] { tree.nodes(covering: OrderedExchange.shards(of: group, table)) }
        let mine = folds.flatMap { $0.partials.map { $0.node } }
        groupSum = VectorSum(tree, from: mine, to: nodes(group))
        finalSum = VectorSum(tree, from: groups.flatMap { $0 == group ? mine : nodes($0) }, to: [tree.root])

        let segment = groups.count == 1 ? count : segment
        let plan = MessagePlan(groups: groups, rank: communicator.rank, ranks: communicator.size, count: count, segment: segment,
                               partials: groups.map { nodes($0).count }, stages: mine.count != nodes(group).count)
        messages = FloatBuffer(count: plan.bufferValues)
        rounds = planRounds(plan, partials: partials)
        valuesSent = rounds.reduce(0) { $0 + $1.outgoing.reduce(0) { $0 + $1.values.count } }
        try touch()
    }

    /// The pages of shared memory belong to the processor that touches them first: each rank touches what it will write.
    private func touch() throws {
        for buffer in buffers { buffer.fill(0) }
        for round in rounds { round.target?.fill(0) }
        try memory?.barrier()
    }

    private static func shards(of group: Range<Int>, _ table: ShardTable) -> Range<Int> {
        table.shards(of: group.lowerBound).lowerBound ..< table.shards(of: group.upperBound - 1).upperBound
    }

    private func planRounds(_ plan: MessagePlan, partials: [Floats]) -> [Round] {
        let memory = messages.values
        var rounds: [Round] = []
        for number in 0 ... plan.rounds {
            var round = Round(), place = 0
            func take(_ count: Int) -> Floats {
                defer { place += plan.segment }
                return memory[place ..< place + count]
            }
            for peer in plan.peers {
                let theirs = plan.segment(number, of: peer), mine = plan.segment(number, of: communicator.rank)
                if plan.sendsPartials(to: peer), !theirs.isEmpty {
                    let sources = partials.map { $0[theirs] }
                    let targets = plan.stages ? (0 ..< groupSum.results).map { _ in take(theirs.count) } : sources
                    if plan.stages { round.staged.append((sources, targets)) }
                    round.outgoing += targets.map { Message(peer: peer, values: $0) }
                }
                if plan.receivesPartials(from: peer), !mine.isEmpty {
                    let targets = (0 ..< plan.partials[plan.groupIndex(of: peer)]).map { _ in take(mine.count) }
                    round.incoming += targets.map { Message(peer: peer, values: $0) }
                }
                let theirsBefore = plan.segment(number - 1, of: peer), mineBefore = plan.segment(number - 1, of: communicator.rank)
                if plan.receivesPartials(from: peer), !mineBefore.isEmpty {
                    round.outgoing.append(Message(peer: peer, values: result[mineBefore]))
                }
                if plan.sendsPartials(to: peer), !theirsBefore.isEmpty {
                    round.incoming.append(Message(peer: peer, values: result[theirsBefore]))
                }
            }
            let mine = plan.segment(number, of: communicator.rank)
            if !mine.isEmpty {
                round.target = result[mine]
                for (index, other) in groups.enumerated() {
                    if other == group { round.sources += partials.map { $0[mine] }; continue }
                    let peer = plan.correspondent(of: communicator.rank, in: other)
                    round.sources += round.incoming.filter { $0.peer == peer }.prefix(plan.partials[index]).map { $0.values }
                }
            }
            rounds.append(round)
        }
        return rounds
    }

    /// The sum of all shards times `factor`, the same bits on every rank. Collective.
    ///
    /// Where memory is shared the ranks of a node all get the same vector: it is to be read only, and stays as it is until
    /// all of them have called `reduce` again.
    func reduce(factor: Float) throws -> Floats {
        try memory?.barrier()
        for round in rounds {
            for (sources, targets) in round.staged { groupSum(sources, into: targets, factor: 1) }
            if groups.count > 1 { try communicator.exchange(outgoing: round.outgoing, incoming: round.incoming) }
            if let target = round.target { finalSum(round.sources, into: [target], factor: factor) }
        }
        try memory?.barrier()
        return result
    }
}
