import CMPI
import Kernels

/// Nonblocking messages (MPI 3.1 §3.7) over a communicator of their own.
///
/// Long ones are cut so short that the library sends each at once. A longer one would first be announced and asked
/// for, and on a busy wire both notes would wait behind what is queued there: the wire then idles although all are
/// ready to send.
final class MPIChannel: Channel {
    let allowsThread: Bool
    private let communicator: MPI_Comm
    private let rank: Int
    private let size: Int
    private var requests: [[MPI_Request?]]
    /// Values in a message: under 64 KiB with its header, Open MPI's btl_tcp_eager_limit.
    private static let longest = 15 * 1024

    init(_ communicator: MPI_Comm, rank: Int, size: Int, tags: Int, allowsThread: Bool) {
        self.communicator = communicator
        self.rank = rank
        self.size = size
        self.allowsThread = allowsThread
        requests = Array(repeating: [], count: tags)
    }

    func begin(_ tag: Int, outgoing: [Message], incoming: [Message]) throws {
        requests[tag].removeAll(keepingCapacity: true)
        for message in incoming {
            try forEachPiece(of: message) { piece in
                var request: MPI_Request? = MPI_REQUEST_NULL
                try mpi(
                    "MPI_Irecv",
                    MPI_Irecv(
                        piece.base, Int32(piece.count), MPI_FLOAT, Int32(message.peer), Int32(tag), communicator,
                        &request),
                    "receiving from rank \(message.peer)")
                requests[tag].append(request)
            }
        }
        for message in outgoing {
            try forEachPiece(of: message) { piece in
                var request: MPI_Request? = MPI_REQUEST_NULL
                try mpi(
                    "MPI_Isend",
                    MPI_Isend(
                        piece.base, Int32(piece.count), MPI_FLOAT, Int32(message.peer), Int32(tag), communicator,
                        &request),
                    "sending to rank \(message.peer)")
                requests[tag].append(request)
            }
        }
    }

    func isDone(_ tag: Int) throws -> Bool {
        var done: Int32 = 0
        try mpi(
            "MPI_Testall", MPI_Testall(Int32(requests[tag].count), &requests[tag], &done, MPI_STATUSES_IGNORE),
            "exchanging messages with other ranks")
        return done != 0
    }

    private func forEachPiece(of message: Message, _ body: (Floats) throws -> Void) rethrows {
        precondition(
            message.peer != rank && message.peer >= 0 && message.peer < size,
            "rank \(rank) of \(size) exchanges with \(message.peer)")
        var offset = 0
        while offset < message.values.count {
            let count = min(message.values.count - offset, MPIChannel.longest)
            try body(message.values[offset ..< offset + count])
            offset += count
        }
    }

    /// Before MPI_Finalize. Collective.
    func free() throws {
        var communicator: MPI_Comm? = communicator
        try mpi("MPI_Comm_free", MPI_Comm_free(&communicator), "ending MPI")
    }
}
