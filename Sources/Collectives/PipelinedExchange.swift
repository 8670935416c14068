import Glibc
import Kernels
import Synchronization

/// Carries the pieces of an ``OrderedExchange`` between the groups: each is on its way as soon as all ranks of the
/// group have it, and some are so at a time, so that the wire is never idle for want of the next.
///
/// The thread that calls ``carry(pause:)`` may be another than the one that calls ``announce(_:)``.
final class PipelinedExchange: @unchecked Sendable {
    /// Where the values of a message are, and where the message itself is if it is packed.
    struct PieceMessage {
        let peer: Int
        let values: Floats
        let packed: Floats?

        var message: Message { Message(peer: peer, values: packed ?? values) }
    }

    /// The sums and messages of one piece.
    struct Piece {
        /// What the group folds before it sends.
        var staged: [(sources: [Floats], targets: [Floats])] = []
        var partialsOut: [PieceMessage] = []
        var partialsIn: [PieceMessage] = []
        /// What this rank folds: its slice of the piece, if that is not empty.
        var sources: [Floats] = []
        var target: Floats?
        var packedTarget: Floats?
        var resultsOut: [PieceMessage] = []
        var resultsIn: [PieceMessage] = []
    }

    /// How many pieces are under way at most: one whose partial sums travel, one whose results do, and one that waits
    /// for its turn.
    static let window = 3

    private let pieces: [Piece]
    /// The messages of each piece as the channel wants them.
    private let messages: [(partialsOut: [Message], partialsIn: [Message], resultsOut: [Message], resultsIn: [Message])]
    private let channel: any Channel
    private let memory: (any SharedMemory)?
    private let groupSum: VectorSum
    private let finalSum: VectorSum
    private let factor: Float
    private let announced = Atomic<Int>(0)
    private var reductions = 0

    init(
        _ pieces: [Piece], over channel: any Channel, memory: (any SharedMemory)?, groupSum: VectorSum,
        finalSum: VectorSum, factor: Float
    ) {
        self.pieces = pieces
        self.channel = channel
        self.memory = memory
        self.groupSum = groupSum
        self.finalSum = finalSum
        self.factor = factor
        messages = pieces.map {
            (
                $0.partialsOut.map(\.message), $0.partialsIn.map(\.message), $0.resultsOut.map(\.message),
                $0.resultsIn.map(\.message)
            )
        }
    }

    /// How many values this rank sends in one reduction.
    var valuesSent: Int {
        pieces.reduce(0) { sum, piece in (piece.partialsOut + piece.resultsOut).reduce(sum) { $0 + $1.values.count } }
    }

    /// This rank's part of `count` pieces, all reductions together, is final.
    func announce(_ count: Int) {
        if let memory { memory.announce(count) } else { announced.store(count, ordering: .releasing) }
    }

    private var piecesThatAllHave: Int {
        (memory?.leastAnnounced ?? announced.load(ordering: .acquiring)) - reductions * pieces.count
    }

    /// One reduction. `pause` is called where there is nothing to do but to wait; false gives the work up.
    func carry(pause: () -> Bool) throws {
        var begun = 0, folded = 0, done = 0
        while done < pieces.count {
            var isIdle = true
            if begun < pieces.count, begun < done + PipelinedExchange.window, begun < piecesThatAllHave {
                try begin(begun)
                begun += 1
                isIdle = false
            }
            if folded < begun, try channel.isDone(2 * folded) {
                try fold(folded)
                folded += 1
                isIdle = false
            }
            if done < folded, try channel.isDone(2 * done + 1) {
                for message in pieces[done].resultsIn { unpack(message) }
                done += 1
                isIdle = false
            }
            if isIdle, !pause() { return }
        }
        reductions += 1
    }

    private func begin(_ number: Int) throws {
        for (sources, targets) in pieces[number].staged { groupSum(sources, into: targets, factor: 1) }
        for message in pieces[number].partialsOut {
            if let packed = message.packed { BFloat16.pack(message.values, into: packed) }
        }
        try channel.begin(2 * number, outgoing: messages[number].partialsOut, incoming: messages[number].partialsIn)
    }

    private func fold(_ number: Int) throws {
        let piece = pieces[number]
        for message in piece.partialsIn { unpack(message) }
        if let target = piece.target {
            finalSum(piece.sources, into: [target], factor: factor)
            if let packed = piece.packedTarget {
                // The owner too goes on with what the others get.
                BFloat16.pack(target, into: packed)
                BFloat16.unpack(packed, into: target)
            }
        }
        try channel.begin(2 * number + 1, outgoing: messages[number].resultsOut, incoming: messages[number].resultsIn)
    }

    private func unpack(_ message: PieceMessage) {
        if let packed = message.packed { BFloat16.unpack(packed, into: message.values) }
    }
}
