import Glibc
import Kernels

/// Sums the ranks' partial vectors along the ``SumTree``: reduce-scatter by the owner of a slice, then allgather.
///
/// Every rank owns a slice of the vector and folds it. Ranks that share memory (a group: consecutive ranks of one
/// node) read each other's vectors there and write the result to one vector that all of them use. Between groups go
/// messages, piece by piece of the vector (see ``PipelinedExchange``): for each slice of a rank elsewhere, one rank
/// of the group folds the group's part of the tree and sends it to the owner, and later gets the result. A group of
/// one rank has no shared memory and sends its partial vectors as they are. With p groups of one rank, p a power of
/// two, a rank sends 2·n·(p−1)/p values, as an ordinary allreduce does.
///
/// Messages travel while the rank still computes, by a ``CommunicationThread``, where the communicator allows it.
final class OrderedExchange {
    /// This rank's buffers; the first is the slot, where shards are computed.
    private(set) var buffers: [Floats] = []
    let fold: LocalFold
    /// How many values this rank sends to others in one reduction.
    var valuesSent: Int { pipeline?.valuesSent ?? 0 }
    /// Whether messages have to wait until the rank has computed all.
    var waitsForAll: Bool { pipeline != nil && communicationThread == nil && plan.pieces > 1 }

    private let tree: SumTree
    private let plan: MessagePlan
    private let memory: (any SharedMemory)?
    private let plain: FloatBuffer?
    private let messages: FloatBuffer
    private let result: Floats
    private let factor: Float
    /// Where there is one group: what all ranks have folded, and this rank's slice of the result.
    private var alone: (sum: VectorSum, partials: [Floats], slice: Range<Int>, target: [Floats])?
    private var pipeline: PipelinedExchange?
    private var communicationThread: CommunicationThread?
    private var reductions = 0
    private var announced = 0

    /// `groups`: the ranks that share memory, in order. `piece`: the values in a piece. The sum is multiplied by
    /// `factor`; `packs`: messages are of ``BFloat16``. Returns nil on every rank if the memory cannot be had.
    init?(
        count: Int, table: ShardTable, communicator: any Communicator, groups: [Range<Int>], piece: Int, factor: Float,
        packs: Bool
    ) throws {
        let tree = SumTree(shards: table.shards)
        self.tree = tree
        self.factor = factor
        let group = groups.first { $0.contains(communicator.rank) }!
        plan = MessagePlan(
            groups: groups, rank: communicator.rank, ranks: communicator.size, count: count,
            piece: groups.count == 1 ? (count + 15) / 16 * 16 : piece)
        fold = LocalFold(tree, shards: table.mine)

        let folds = group.map { LocalFold(tree, shards: table.shards(of: $0)) }
        let stride = Self.stride(count), sharedResult = group.count > 1 ? stride : 0
        let total = Self.sharedCount(count, table: table, group: group)
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
        if let memory {
            // Each rank touches what it writes first, and at once: room is taken only then, and looked for again.
            let place = communicator.rank - group.lowerBound
            for buffer in buffers { buffer.fill(0) }
            if group.count > 1 {
                result[count * place / group.count ..< count * (place + 1) / group.count].fill(0)
            }
            try memory.barrier()
        }

        let nodes = groups.map {
            tree.nodes(
                covering: table.shards(of: $0.lowerBound).lowerBound ..< table.shards(of: $0.upperBound - 1).upperBound)
        }
        let mine = folds.flatMap { $0.partials.map { $0.node } }
        let place = plan.groupIndex(of: communicator.rank)
        let finalSum = VectorSum(tree, from: groups.indices.flatMap { $0 == place ? mine : nodes[$0] }, to: [tree.root])
        if groups.count == 1 {
            messages = FloatBuffer(count: 0)
            let slice = plan.slice(0, of: communicator.rank)
            alone = (finalSum, partials, slice, [result[slice]])
        } else {
            let layout = MessageLayout(
                plan, partials: nodes.map(\.count), stages: mine.count != nodes[place].count, packs: packs)
            messages = FloatBuffer(count: PipelinedExchange.window * layout.places)
            let channel = try communicator.channel(tags: 2 * plan.pieces)
            let pieces = (0 ..< plan.pieces).map { number in
                let start = number % PipelinedExchange.window * layout.places
                return layout.piece(
                    number, vectors: partials, result: result, memory: messages.values[start ..< start + layout.places])
            }
            let pipeline = PipelinedExchange(
                pieces, over: channel, memory: group.count > 1 ? memory : nil,
                groupSum: VectorSum(tree, from: mine, to: nodes[place]), finalSum: finalSum, factor: factor)
            self.pipeline = pipeline
            // One piece goes when all is computed: the main thread itself is then quickest.
            if channel.allowsThread, plan.pieces > 1 {
                communicationThread = try CommunicationThread { try pipeline.carry(pause: $0) }
            }
        }
        try touch()
    }

    /// From one vector to the next: their cache lines do not all fall into the same sets.
    private static func stride(_ count: Int) -> Int { (count + 1023) / 1024 * 1024 + 64 }

    /// The values of the vectors of a group: what each of its ranks folds, and what they all get.
    static func sharedCount(_ count: Int, table: ShardTable, group: Range<Int>) -> Int {
        let tree = SumTree(shards: table.shards)
        let buffers = group.reduce(0) { $0 + LocalFold(tree, shards: table.shards(of: $1)).buffers }
        return (buffers + (group.count > 1 ? 1 : 0)) * stride(count)
    }

    /// Nobody may still write to the memory, or read it, when it goes.
    deinit {
        communicationThread = nil
        pipeline = nil
    }

    /// The pages of shared memory belong to the processor that touches them first: each rank touches what it will
    /// write.
    private func touch() throws {
        for buffer in buffers { buffer.fill(0) }
        for number in 0 ..< plan.pieces { result[plan.slice(number, of: plan.rank)].fill(0) }
        try memory?.barrier()
    }

    /// This rank's partial vectors are final from value `start` on: what can be sent is.
    func announce(from start: Int) {
        guard let pipeline else { return }
        let pieces = plan.pieces(from: start)
        guard pieces > announced else { return }
        pipeline.announce(reductions * plan.pieces + pieces)
        if announced == 0 { communicationThread?.begin() }
        announced = pieces
    }

    /// The sum of all shards times `factor`, the same bits on every rank, when this rank's partial vectors are final.
    /// Collective.
    ///
    /// Where memory is shared the ranks of a node all get the same vector: it is to be read only, and stays as it is
    /// until all of them have announced or called `reduce` again.
    func reduce() throws -> Floats {
        if let pipeline {
            announce(from: 0)
            if let communicationThread {
                try communicationThread.wait()
            } else {
                try pipeline.carry {
                    sched_yield(); return true
                }
            }
            (announced, reductions) = (0, reductions + 1)
        } else {
            try memory?.barrier()
            if let alone, !alone.slice.isEmpty {
                alone.sum(alone.partials, in: alone.slice, into: alone.target, factor: factor)
            }
        }
        try memory?.barrier()
        return result
    }

    // MARK: - Part by part

    /// Whether each rank reads all others' vectors.
    var hasAllPartials: Bool { alone != nil }

    /// Waits for all ranks, in place of ``reduce()``: none changes its vectors until all have called ``sum(_:into:)``
    /// for the last time.
    func meet() throws { try memory?.barrier() }

    /// Writes the values of the sum in `range` to the beginning of `target`, one vector.
    func sum(_ range: Range<Int>, into target: [Floats]) {
        alone!.sum(alone!.partials, in: range, into: target, factor: factor)
    }
}
