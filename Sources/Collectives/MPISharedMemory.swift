import CLinux
import CMPI
import Glibc
import Kernels
import Synchronization

/// A window of MPI_Win_allocate_shared (MPI 3.1 §11.2.3) over some ranks of one node, with a barrier inside it.
///
/// The memory is all the lowest rank's, so that it is contiguous. The library's memory model is the unified one; a
/// passive epoch is open for the window's whole life (MPI_Win_lock_all), and the barrier's atomics with MPI_Win_sync
/// order what lies between.
final class MPISharedMemory: SharedMemory {
    let values: Floats
    private var window: MPI_Win
    private let node: MPI_Comm
    private let group: Range<Int>
    private let arrived: UnsafeMutablePointer<Atomic<UInt64>>
    private let round: UnsafeMutablePointer<Atomic<UInt32>>
    /// What each rank of the group has announced.
    private let announced: [UnsafeMutablePointer<Atomic<Int>>]
    private let mine: Int
    /// How long to wait awake: where every rank has a processor, a short wait is cheapest so.
    private let spins: Int

    /// Before the values: the two counters of the barrier and one of each rank, each where no neighbour's cache line
    /// is.
    private static func headerBytes(_ group: Range<Int>) -> Int { 256 + 128 * group.count }

    /// Collective over `parent`: see ``Communicator/sharedMemory(count:group:)``.
    static func make(
        count: Int, group: Range<Int>, of parent: MPI_Comm, communicator: MPICommunicator
    ) throws -> MPISharedMemory? {
        let activity = "making shared memory for \(group.count) ranks"
        var node: MPI_Comm?
        try mpi(
            "MPI_Comm_split", MPI_Comm_split(parent, Int32(group.lowerBound), Int32(communicator.rank), &node), activity
        )
        try mpi("MPI_Comm_set_errhandler", MPI_Comm_set_errhandler(node, MPI_ERRORS_RETURN), activity)
        let bytes = headerBytes(group) + 64 + count * MemoryLayout<Float>.stride
        let isFirst = communicator.rank == group.lowerBound
        // Other groups of this node take theirs at the same time.
        let taken = try communicator.gather(isFirst ? bytes : 0)[communicator.nodeGroup].reduce(0, +)
        if try communicator.any(isFirst && !SharedMemoryRoom().holds(taken)) {
            try mpi("MPI_Comm_free", MPI_Comm_free(&node), activity)
            return nil
        }
        var base: UnsafeMutableRawPointer?
        var window: MPI_Win?
        let code = withUnsafeMutablePointer(to: &base) {
            MPI_Win_allocate_shared(MPI_Aint(isFirst ? bytes : 0), 1, MPI_INFO_NULL, node, $0, &window)
        }
        if try communicator.any(code != MPI_SUCCESS) {
            if code == MPI_SUCCESS { try mpi("MPI_Win_free", MPI_Win_free(&window), activity) }
            try mpi("MPI_Comm_free", MPI_Comm_free(&node), activity)
            return nil
        }
        // A rank may be bound to one processor: what counts is how many the ranks of the group have together.
        var processors = [UInt64](repeating: 0, count: 128)
        let all = try communicator.gather(bytes: availableProcessors().flatMap { withUnsafeBytes(of: $0, Array.init) })
        for rank in group {
            all[rank].withUnsafeBytes { set in
                for word in 0 ..< 128 {
                    processors[word] |= set.loadUnaligned(fromByteOffset: 8 * word, as: UInt64.self)
                }
            }
        }
        let enough = processors.reduce(0) { $0 + $1.nonzeroBitCount } >= group.count
        return try MPISharedMemory(
            count: count, group: group, node: node!, window: window!, mine: communicator.rank - group.lowerBound,
            spins: enough ? 4000 : 50)
    }

    private init(count: Int, group: Range<Int>, node: MPI_Comm, window: MPI_Win, mine: Int, spins: Int) throws {
        let activity = "making shared memory for \(group.count) ranks"
        var size: MPI_Aint = 0
        var unit: Int32 = 0
        var start: UnsafeMutableRawPointer?
        try withUnsafeMutablePointer(to: &start) {
            try mpi("MPI_Win_shared_query", MPI_Win_shared_query(window, 0, &size, &unit, $0), activity)
        }
        let base = start!.alignedUp(toMultipleOf: 64)
        arrived = base.bindMemory(to: Atomic<UInt64>.self, capacity: 1)
        round = (base + 128).bindMemory(to: Atomic<UInt32>.self, capacity: 1)
        announced = group.indices.map {
            (base + 256 + 128 * ($0 - group.lowerBound)).bindMemory(to: Atomic<Int>.self, capacity: 1)
        }
        self.mine = mine
        values = Floats(
            (base + MPISharedMemory.headerBytes(group)).bindMemory(to: Float.self, capacity: count), count: count)
        self.window = window
        self.node = node
        self.group = group
        self.spins = spins
        try mpi("MPI_Win_lock_all", MPI_Win_lock_all(MPI_MODE_NOCHECK, window), activity)
        // What several processes share is a new file, whose pages are zero: each is to belong to the processor that
        // uses it, so that nobody touches them here.
        if mine == 0 {
            let isFile = group.count > 1
            memset(base, 0, MPISharedMemory.headerBytes(group) + (isFile ? 0 : count * MemoryLayout<Float>.stride))
        }
        try mpi("MPI_Win_sync", MPI_Win_sync(window), activity)
        try mpi("MPI_Barrier", MPI_Barrier(node), activity)
        try mpi("MPI_Win_sync", MPI_Win_sync(window), activity)
    }

    /// The last rank to arrive starts the next round; the others wait awake for a while, then asleep on the round's
    /// number.
    func barrier() throws {
        try mpi("MPI_Win_sync", MPI_Win_sync(window), "waiting for ranks of this node")
        let current = round.pointee.load(ordering: .acquiring)
        let count = arrived.pointee.wrappingAdd(1, ordering: .acquiringAndReleasing).newValue
        let word = UnsafeMutableRawPointer(round).assumingMemoryBound(to: UInt32.self)
        if count % UInt64(group.count) == 0 {
            round.pointee.wrappingAdd(1, ordering: .releasing)
            linux_futex_wake_all(word)
        } else {
            var remaining = spins
            while round.pointee.load(ordering: .acquiring) == current {
                if remaining > 0 { remaining -= 1; linux_pause() } else { linux_futex_wait(word, current) }
            }
        }
        try mpi("MPI_Win_sync", MPI_Win_sync(window), "waiting for ranks of this node")
    }

    func announce(_ progress: Int) { announced[mine].pointee.store(progress, ordering: .releasing) }

    var leastAnnounced: Int {
        var least = Int.max
        for counter in announced { least = min(least, counter.pointee.load(ordering: .acquiring)) }
        return least
    }

    /// Collective over the group, before MPI_Finalize.
    func free() throws {
        try mpi("MPI_Win_unlock_all", MPI_Win_unlock_all(window), "giving back shared memory")
        var window: MPI_Win? = window
        try mpi("MPI_Win_free", MPI_Win_free(&window), "giving back shared memory")
        var node: MPI_Comm? = node
        try mpi("MPI_Comm_free", MPI_Comm_free(&node), "giving back shared memory")
    }
}
