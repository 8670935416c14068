import Kernels

/// Sums a vector over all shards of a step: each rank's backward passes write ``slot``, shard after shard; ``finish()``
/// gives every rank the sum over all shards of all ranks.
///
///     for shard in table.mine {
///         gradients.beginShard()
///         …                           // backward writes the slot, or adds where `addsToSlot`
///         gradients.settle(from: …)   // if wanted, where all is added: that is exchanged while the rest is computed
///         gradients.endShard()
///     }
///     let sum = try gradients.finish()
///
/// Ordered, the bits of the sum depend on the shards' vectors and their number only, not on the number of ranks,
/// nodes or processors, nor on the MPI library. All memory is taken by `init`; a step allocates none.
public final class GradientSum {
    /// How numbers travel between nodes.
    public enum Precision: String, Codable, CaseIterable, Sendable {
        case float32
        /// Partial sums and results are rounded to bfloat16 for each message, and added in float32: half the bytes.
        /// The sum then depends on which ranks are on one node; it is still the same on all of them.
        case bfloat16
    }

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
    private let scale: Float
    private let partMemory: FloatBuffer
    private let part: [Floats]
    private var shardsDone = 0
    private var inShard = false
    /// From where on the last shard is final and folded.
    private var settled: Int

    /// For sums of vectors of `count` values, times `scale`. Collective. `piece`: how many values go to the other
    /// nodes together; nil for messages long enough for the wire and short enough to begin early.
    public init(
        count: Int, scale: Float = 1, table: ShardTable, communicator: any Communicator, kind: Kind = .ordered,
        precision: Precision = .float32, piece: Int? = nil
    ) throws {
        precondition(count >= 1, "a sum of vectors of \(count) values")
        precondition(piece ?? 16 > 0 && (piece ?? 16) % 16 == 0, "pieces of \(piece ?? 0) values")
        precondition(kind != .mpi || precision == .float32, "MPI_Allreduce in \(precision.rawValue)")
        precondition(
            table.ranks == communicator.size && table.rank == communicator.rank,
            "the shard table is another communicator's")
        self.communicator = communicator
        self.kind = kind
        self.table = table
        self.scale = scale
        settled = count
        partMemory = FloatBuffer(count: min(count, Self.mostValuesOfPart))
        part = [partMemory.values]
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
            try OrderedExchange(
                count: count, table: table, communicator: communicator, groups: groups,
                piece: piece ?? MessagePlan.defaultPiece(ranks: communicator.size), factor: scale,
                packs: precision == .bfloat16)
        }
        var exchange = try make(kind == .ordered ? communicator.nodeGroups : communicator.everyRankAlone)
        if exchange == nil {
            exchange = try make(communicator.everyRankAlone)
            warning =
                "no shared memory for the gradients (is /dev/shm full?): the ranks of a node exchange messages, "
                + "which is slower and gives the same result"
        } else if exchange!.waitsForAll {
            warning =
                "the MPI library has no MPI_THREAD_MULTIPLE: "
                + "gradients travel between nodes only when all are computed, which is slower and gives the same result"
        } else {
            warning = nil
        }
        self.exchange = exchange
        slot = exchange!.buffers[0]
    }

    /// How many values of shared memory the ranks of `group` want for an ordered sum of vectors of `count` values.
    public static func sharedCount(_ count: Int, table: ShardTable, group: Range<Int>) -> Int {
        group.count > 1 ? OrderedExchange.sharedCount(count, table: table, group: group) : 0
    }

    /// Before the next of this rank's shards, in their order.
    public func beginShard() {
        precondition(
            !inShard && shardsDone < table.mine.count,
            "shard \(shardsDone) of \(table.mine.count) was not ended, or is one too many")
        inShard = true
    }

    /// Whether the slot holds a sum that the shard at hand is to be added to; otherwise its first gradient overwrites
    /// what is there.
    public var addsToSlot: Bool { exchange == nil && shardsDone > 0 }

    /// Within a shard: the slot is final from value `start` on. In this rank's last shard the sum over the ranks
    /// begins there.
    public func settle(from start: Int) {
        precondition(inShard, "no shard was begun")
        guard shardsDone == table.mine.count - 1, start < settled, let exchange else { return }
        fold(start ..< settled)
        settled = start
        exchange.announce(from: start)
    }

    /// After a shard's last addition to the slot.
    public func endShard() {
        precondition(inShard, "no shard was begun")
        settle(from: 0)
        fold(0 ..< settled)
        settled = slot.count
        inShard = false
        shardsDone += 1
    }

    // MARK: - The sum

    /// Adds the part `range` of the shard at hand to those before it that the tree adds it to.
    private func fold(_ range: Range<Int>) {
        guard let exchange else { return }
        for action in exchange.fold.actions[shardsDone] {
            let target = exchange.buffers[action.target][range], source = exchange.buffers[action.source][range]
            if action.copies {
                target.copy(from: source)
            } else {
                add(target.base, source.base, into: target.base, count: target.count)
            }
        }
    }

    /// After the last of this rank's shards: `scale` times the sum over all shards, on every rank. Collective.
    ///
    /// Read it only (the ranks of a node may share its memory), and no longer than to the next `beginShard`.
    public func finish() throws -> Floats {
        endStep()
        if let exchange { return try exchange.reduce() }
        try communicator.sum(slot)
        if scale != 1 { Collectives.scale(slot.base, by: scale, into: slot.base, count: slot.count) }
        return slot
    }

    private func endStep() {
        precondition(
            !inShard && shardsDone == table.mine.count,
            "\(shardsDone) of this rank's \(table.mine.count) shards are done")
        shardsDone = 0
    }

    /// Values of a part: of so many its sum, the parameters and their moments stay in the second-level cache.
    public static let mostValuesOfPart = 1 << 14

    /// Whether a rank can sum any part of the vector by itself: all ranks share memory.
    public var sumsParts: Bool { exchange?.hasAllPartials ?? false }

    /// In place of ``finish()`` where ``sumsParts``, for who uses each value of the sum on one rank only: waits for the
    /// shards of all ranks, after which ``part(_:)`` gives the parts that this rank wants. None may begin a shard
    /// before all have theirs. Collective.
    public func meet() throws {
        endStep()
        try exchange!.meet()
    }

    /// The bits of ``finish()`` in `range`, of at most ``mostValuesOfPart`` values; valid until the next call.
    public func part(_ range: Range<Int>) -> Floats {
        exchange!.sum(range, into: part)
        return part[0][0 ..< range.count]
    }
}
