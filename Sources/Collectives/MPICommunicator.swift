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

    private let collective: MPI_Comm
    private let allowsThreads: Bool
    private var channels: [MPIChannel] = []
    private var windows: [MPISharedMemory] = []

    /// MPI counts are 32-bit: longer calls are cut into pieces of this many elements.
    static let longestCount = 1 << 30

    /// `allowsThreads`: whether the library lets several threads call it at a time.
    init(_ source: MPI_Comm, allowsThreads: Bool) throws {
        let copy = try MPICommunicator.duplicate(source)
        let asStarted = try MPICommunicator.place(in: copy)
        let nodes = try MPICommunicator.nodes(of: copy, rank: asStarted.rank, size: asStarted.size)
        collective = try MPICommunicator.neighbouring(copy, nodes: nodes, rank: asStarted.rank)
        (rank, size) = try MPICommunicator.place(in: collective)
        self.nodes = try MPICommunicator.nodes(of: collective, rank: rank, size: size)
        self.allowsThreads = allowsThreads
        host = try MPICommunicator.processorName()
    }

    private static func place(in communicator: MPI_Comm) throws -> (rank: Int, size: Int) {
        var rank: Int32 = 0, size: Int32 = 0
        try mpi("MPI_Comm_rank", MPI_Comm_rank(communicator, &rank), "starting MPI")
        try mpi("MPI_Comm_size", MPI_Comm_size(communicator, &size), "starting MPI")
        return (Int(rank), Int(size))
    }

    /// The same ranks, numbered anew where a launcher has dealt them out (`mpirun --map-by node`, Slurm's
    /// `--distribution=cyclic`): those of a node follow each other, so that they can share memory. Rank 0 stays.
    private static func neighbouring(_ communicator: MPI_Comm, nodes: [Int], rank: Int) throws -> MPI_Comm {
        if nodes == nodes.sorted() { return communicator }
        // A node's number is the lowest of its ranks: MPI_Comm_split orders by the key, and by the rank where keys are
        // equal (MPI 3.1 §6.4.2).
        var ordered: MPI_Comm?, old: MPI_Comm? = communicator
        let activity = "putting the ranks of a node side by side"
        try mpi("MPI_Comm_split", MPI_Comm_split(communicator, 0, Int32(nodes[rank]), &ordered), activity)
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

    /// The ranks that can share memory, by MPI_COMM_TYPE_SHARED (MPI 3.1 §6.4.2): two nodes of a test may have one
    /// host name. Each node has the number of its lowest rank.
    private static func nodes(of communicator: MPI_Comm, rank: Int, size: Int) throws -> [Int] {
        var node: MPI_Comm?
        try mpi(
            "MPI_Comm_split_type",
            MPI_Comm_split_type(communicator, Int32(MPI_COMM_TYPE_SHARED), Int32(rank), MPI_INFO_NULL, &node),
            "finding the ranks of this node")
        var lowest = Int64(rank)
        try mpi("MPI_Bcast", MPI_Bcast(&lowest, 1, MPI_INT64_T, 0, node), "finding the ranks of this node")
        try mpi("MPI_Comm_free", MPI_Comm_free(&node), "finding the ranks of this node")
        var all = [Int64](repeating: 0, count: size)
        try mpi(
            "MPI_Allgather", MPI_Allgather(&lowest, 1, MPI_INT64_T, &all, 1, MPI_INT64_T, communicator),
            "finding the ranks of this node")
        return all.map { Int($0) }
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
