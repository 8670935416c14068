import Kernels

/// Sums a vector over all shards of a step: each rank's backward passes write ``slot``, shard after shard; ``finish(scale:)``
/// gives every rank the sum over all shards of all ranks.
///
///     for shard in table.mine {
///         gradients.beginShard()
///         …                           // backward writes the slot, or adds where `addsToSlot`
///         gradients.endShard()
///     }
///     let mean = try gradients.finish(scale: 1 / Float(batch))
///
/// Ordered, the bits of the sum depend on the shards' vectors and their number only, not on the number of ranks, nodes or
/// processors, nor on the MPI library. All memory is taken by `init`; a step allocates none.
public final class GradientSum {
    public enum Kind: String, Codable, CaseIterable, Sendable {
        /// Along a fixed tree over the shards; through shared memory within a node, by messages between nodes.
        case ordered
        /// Along the same tree to the same bits, by messages alone.
        case orderedMessages = "ordered-messages"
        /// In the order in which MPI_Allreduce sums: depends on the number of ranks and on the library.
        case mpi
    }

    /// Where the gradient of a shard is summed up: the same memory for every shard and step. It belongs to this object.
    public let slot: Floats
    public let kind: Kind
    public let table: ShardTable
    /// Why the sum is slower than it could be, in a sentence; nil if it is not.
    public let warning: String?
    /// How many values this rank sends to others by messages in one ordered sum.
    public var valuesSent: Int { exchange?.valuesSent ?? 0 }

    private let communicator: any Communicator
    private let exchange: OrderedExchange?
    private let plain: FloatBuffer?
    private var shardsDone = 0
    private var inShard = false

    /// For vectors of `count` values. Collective. `segment`: the length of the messages between nodes, in values.
    public init(count: Int, table: ShardTable, communicator: any Communicator, kind: Kind = .ordered, segment: Int = 1 << 18) throws {
        precondition(count >= 1, "a sum of vectors of \(count) values")
        precondition(table.ranks == communicator.size && table.rank == communicator.rank, "the shard table is another communicator's")
        self.communicator = communicator
        self.kind = kind
        self.table = table
        if kind == .mpi {
            exchange = nil
            let plain = FloatBuffer(count: count)
            self.plain = plain
            slot = plain.values
            warning = nil
            return
        }
        plain = nil
        func make(_ groups: [Range<Int>]) throws -> OrderedExchange? {
            try OrderedExchange(count: count, table: table, communicator: communicator, groups: groups, segment: segment)
        }
        let alone = (0 ..< communicator.size).map { $0 ..< $0 + 1 }
        var exchange = try make(kind == .ordered ? GradientSum.runsOfEqual(communicator.nodes) : alone)
        warning = exchange == nil ? "no shared memory for the gradients (is /dev/shm full?): the ranks of a node exchange messages, "
            + "which is slower and gives the same result" : nil
        if exchange == nil { exchange = try make(alone) }
        self.exchange = exchange
        slot = exchange!.buffers[0]
    }

    /// The ranges of consecutive ranks on one node.
    static func runsOfEqual(_ nodes: [Int]) -> [Range<Int>] {
        var runs: [Range<Int>] = []
        for rank in nodes.indices {
            if rank > 0, nodes[rank] == nodes[rank - 1] {
                runs[runs.count - 1] = runs[runs.count - 1].lowerBound ..< rank + 1
            } else {
                runs.append(rank ..< rank + 1)
            }
        }
        return runs
    }

    /// Before the next of this rank's shards, in their order.
    public func beginShard() {
        precondition(!inShard && shardsDone < table.mine.count, "shard \(shardsDone) of \(table.mine.count) was not ended, or is one too many")
        inShard = true
    }

    /// Whether the slot holds a sum that the shard at hand is to be added to; otherwise its first gradient overwrites what is there.
    public var addsToSlot: Bool { exchange == nil && shardsDone > 0 }

    /// After a shard's last addition to the slot.
    public func endShard() {
        precondition(inShard, "no shard was begun")
        inShard = false
        if let exchange {
            for action in exchange.fold.actions[shardsDone] {
                let target = exchange.buffers[action.target], source = exchange.buffers[action.source]
                if action.copies {
                    target.copy(from: source)
                } else {
                    add(target.base, source.base, into: target.base, count: target.count)
                }
            }
        }
        shardsDone += 1
    }

    /// After the last of this rank's shards: `scale` times the sum over all shards, on every rank. Collective.
    ///
    /// Read it only (the ranks of a node may share its memory), and no longer than to the next `beginShard`.
    public func finish(scale factor: Float = 1) throws -> Floats {
        precondition(!inShard && shardsDone == table.mine.count, "\(shardsDone) of this rank's \(table.mine.count) shards are done")
        shardsDone = 0
        if let exchange { return try exchange.reduce(factor: factor) }
        try communicator.sum(slot)
        if factor != 1 { scale(slot.base, by: factor, into: slot.base, count: slot.count) }
        return slot
    }
}
