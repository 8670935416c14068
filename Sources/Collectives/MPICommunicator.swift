import CMPI
import Glibc
import Kernels

/// The ranks of an MPI communicator. Only the thread that made the ``MPISession`` uses it; a channel of it may be
/// another's.
///
/// It works on duplicates (MPI_Comm_dup), so that its messages never meet those of anybody else: one for collectives,
/// one for each channel.
public final class MPICommunicator: Communicator {
    public let rank: Int
    public let size: Int
    public let host: String
    public let nodes: [Int]
    public let domains: [Int]

    private let collective: MPI_Comm
    private let allowsThreads: Bool
    private var channels: [MPIChannel] = []
    private var windows: [MPISharedMemory] = []

    /// MPI counts are 32-bit: longer calls are cut into pieces of this many elements.
    static let longestCount = 1 << 30

    /// `allowsThreads`: whether the library lets several threads call it at a time.
    init(_ source: MPI_Comm, allowsThreads: Bool) throws {
        let copy = try MPICommunicator.duplicate(source)
        collective = try MPICommunicator.neighbouring(copy)
        (rank, size) = try MPICommunicator.place(in: collective)
        let places = try MPICommunicator.memory(of: collective)
        (nodes, domains) = (places.map(\.node), places.map(\.domain))
        self.allowsThreads = allowsThreads
        host = try MPICommunicator.processorName()
    }

    private static func place(in communicator: MPI_Comm) throws -> (rank: Int, size: Int) {
        var rank: Int32 = 0, size: Int32 = 0
        try mpi("MPI_Comm_rank", MPI_Comm_rank(communicator, &rank), "starting MPI")
        try mpi("MPI_Comm_size", MPI_Comm_size(communicator, &size), "starting MPI")
        return (Int(rank), Int(size))
    }

    /// The same ranks, numbered anew where a launcher has dealt them out (`mpirun --map-by node` or `numa`, Slurm's
    /// `--distribution=cyclic`): those of a node follow each other, and among them those of a NUMA domain, so that they
    /// can share memory. Rank 0 stays.
    private static func neighbouring(_ communicator: MPI_Comm) throws -> MPI_Comm {
        let places = try memory(of: communicator), rank = try place(in: communicator).rank
        let order = places.indices.sorted {
            (places[$0].node, places[$0].domain, $0) < (places[$1].node, places[$1].domain, $1)
        }
        if order == Array(places.indices) { return communicator }
        var ordered: MPI_Comm?, old: MPI_Comm? = communicator
        let activity = "putting the ranks of a node side by side"
        // By the key (MPI 3.1 §6.4.2).
        let key = Int32(order.firstIndex(of: rank)!)
        try mpi("MPI_Comm_split", MPI_Comm_split(communicator, 0, key, &ordered), activity)
        try mpi("MPI_Comm_set_errhandler", MPI_Comm_set_errhandler(ordered, MPI_ERRORS_RETURN), activity)
        try mpi("MPI_Comm_free", MPI_Comm_free(&old), activity)
        return ordered!
    }

    private static func duplicate(_ source: MPI_Comm) throws -> MPI_Comm {
        var copy: MPI_Comm?
        try mpi("MPI_Comm_dup", MPI_Comm_dup(source, &copy), "starting MPI")
        try mpi("MPI_Comm_set_errhandler", MPI_Comm_set_errhandler(copy, MPI_ERRORS_RETURN), "starting MPI")
        return copy!
    }

    private static func processorName() throws -> String {
        var buffer = [CChar](repeating: 0, count: Int(MPI_MAX_PROCESSOR_NAME) + 1)
        var length: Int32 = 0
        try mpi("MPI_Get_processor_name", MPI_Get_processor_name(&buffer, &length), "asking for the host's name")
        return String(decoding: buffer.prefix(Int(length)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// For each rank the lowest that can share its memory, by MPI_COMM_TYPE_SHARED (MPI 3.1 §6.4.2), for two nodes of a
    /// test may have one host name; and the lowest of those bound to the same NUMA domains.
    private static func memory(of communicator: MPI_Comm) throws -> [(node: Int, domain: Int)] {
        let activity = "finding the ranks of this node", (rank, size) = try place(in: communicator)
        var node: MPI_Comm?
        try mpi(
            "MPI_Comm_split_type",
            MPI_Comm_split_type(communicator, Int32(MPI_COMM_TYPE_SHARED), Int32(rank), MPI_INFO_NULL, &node), activity)
        let mine = NUMADomains().set, place = try place(in: node!)
        var numbers = [Int64](repeating: 0, count: place.size), number = Int64(rank)
        try mpi(
            "MPI_Allgather", MPI_Allgather(&number, 1, MPI_INT64_T, &numbers, 1, MPI_INT64_T, node), activity)
        var sets = [UInt64](repeating: 0, count: place.size * mine.count)
        try mpi(
            "MPI_Allgather",
            MPI_Allgather(mine, Int32(8 * mine.count), MPI_BYTE, &sets, Int32(8 * mine.count), MPI_BYTE, node), activity
        )
        try mpi("MPI_Comm_free", MPI_Comm_free(&node), activity)
        let near = numbers.indices.first { sets[$0 * mine.count ..< ($0 + 1) * mine.count].elementsEqual(mine) }!
        let found = [numbers[0], numbers[near]]
        var all = [Int64](repeating: 0, count: 2 * size)
        try mpi("MPI_Allgather", MPI_Allgather(found, 2, MPI_INT64_T, &all, 2, MPI_INT64_T, communicator), activity)
        return (0 ..< size).map { (Int(all[2 * $0]), Int(all[2 * $0 + 1])) }
    }

    public func barrier() throws {
        try mpi("MPI_Barrier", MPI_Barrier(collective), "waiting for all ranks")
    }

    public func broadcast(_ bytes: UnsafeMutableRawBufferPointer, from root: Int) throws {
        precondition(root >= 0 && root < size, "broadcast from rank \(root) of \(size)")
        var offset = 0
        while offset < bytes.count {
            let count = min(bytes.count - offset, MPICommunicator.longestCount)
            try mpi(
                "MPI_Bcast", MPI_Bcast(bytes.baseAddress! + offset, Int32(count), MPI_BYTE, Int32(root), collective),
                "broadcasting \(bytes.count) bytes from rank \(root)")
            offset += count
        }
    }

    public func gather(_ mine: UnsafeRawBufferPointer, into all: UnsafeMutableRawBufferPointer) throws {
        precondition(
            all.count == mine.count * size, "gathering \(mine.count) bytes of each of \(size) ranks into \(all.count)")
        if mine.isEmpty { return }
        if mine.count <= MPICommunicator.longestCount {
            try mpi(
                "MPI_Allgather",
                MPI_Allgather(
                    mine.baseAddress, Int32(mine.count), MPI_BYTE,
                    all.baseAddress, Int32(mine.count), MPI_BYTE, collective),
                "gathering \(mine.count) bytes of each rank")
            return
        }
        for root in 0 ..< size {
            let part = UnsafeMutableRawBufferPointer(rebasing: all[root * mine.count ..< (root + 1) * mine.count])
            if root == rank { part.copyMemory(from: mine) }
            try broadcast(part, from: root)
        }
    }

    public func sum(_ values: Floats) throws {
        var offset = 0
        while offset < values.count {
            let count = min(values.count - offset, MPICommunicator.longestCount)
            try mpi(
                "MPI_Allreduce",
                MPI_Allreduce(MPI_IN_PLACE, values.base + offset, Int32(count), MPI_FLOAT, MPI_SUM, collective),
                "summing \(values.count) values over the ranks")
            offset += count
        }
    }

    public func channel(tags: Int) throws -> any Channel {
        let channel = MPIChannel(
            try MPICommunicator.duplicate(collective), rank: rank, size: size, tags: tags, allowsThread: allowsThreads)
        channels.append(channel)
        return channel
    }

    public func sharedMemory(count: Int, group: Range<Int>) throws -> (any SharedMemory)? {
        let memory = try MPISharedMemory.make(count: count, group: group, of: collective, communicator: self)
        if let memory { windows.append(memory) }
        return memory
    }

    public func abort(_ code: Int32) -> Never {
        MPI_Abort(collective, code)
        // MPI_Abort should not return; if it does, an exit without MPI_Finalize makes the launcher end the job.
        _exit(code)
    }

    /// Before MPI_Finalize: gives back what MPI made for this communicator. Collective.
    func freeAll() throws {
        for window in windows { try window.free() }
        windows = []
        for channel in channels { try channel.free() }
        channels = []
        var communicator: MPI_Comm? = collective
        try mpi("MPI_Comm_free", MPI_Comm_free(&communicator), "ending MPI")
    }
}
