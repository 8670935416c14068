import Kernels

/// A group of ranks that compute together. Every method but ``abort(_:)`` is collective: all ranks call it, in the
/// same order.
///
/// Three kinds: MPI (``MPICommunicator``), one process alone (``SoloCommunicator``), and threads of one process
/// (``ThreadCommunicator``, for tests). What is built on these methods (values of one rank, agreement, ordered sums)
/// is in extensions and classes that all three share.
public protocol Communicator: AnyObject {
    /// This rank, 0 ..< ``size``.
    var rank: Int { get }
    var size: Int { get }
    /// The host this rank runs on, for messages.
    var host: String { get }
    /// For each rank the lowest rank whose memory it can share: ranks with equal numbers are on one node.
    var nodes: [Int] { get }
    /// For each rank the lowest rank of its node that is bound to processors of the same NUMA domains: to both the same
    /// memory is near. Where ranks are not bound, or a node has one domain, the same as ``nodes``.
    var domains: [Int] { get }

    func barrier() throws
    /// Overwrites `bytes` on every rank with those of `root`; the same length everywhere.
    func broadcast(_ bytes: UnsafeMutableRawBufferPointer, from root: Int) throws
    /// Puts every rank's `mine` (of one length everywhere), in the order of ranks, into `all` on every rank.
    func gather(_ mine: UnsafeRawBufferPointer, into all: UnsafeMutableRawBufferPointer) throws
    /// Replaces `values` with their sum over the ranks, in an order the library chooses: MPI_Allreduce.
    func sum(_ values: Floats) throws
    /// A way for messages between pairs of ranks, apart from all else that this communicator carries.
    /// `tags`: how many tags its messages have, 0 ..< tags; the same everywhere.
    func channel(tags: Int) throws -> any Channel
    /// Zeroed memory of `count` values that all ranks in `group` (which contains this rank, and whose ranks are on
    /// one node) read and write. Every rank calls it, each with its group. Nil on every rank if any group could not
    /// have it: no room in /dev/shm or within the job's memory limit, or refused by the library. A page takes room, and
    /// belongs to the memory of a processor, only when it is written to: who is to use it does so at once.
    func sharedMemory(count: Int, group: Range<Int>) throws -> (any SharedMemory)?
    /// Ends every rank of the job with `code`. Does not return.
    func abort(_ code: Int32) -> Never
}

extension Communicator {
    public var domains: [Int] { nodes }

    /// The ranges of consecutive ranks on one node: those that can share memory.
    public var nodeGroups: [Range<Int>] { Self.runs(nodes) }
    /// That of this rank.
    public var nodeGroup: Range<Int> { nodeGroups.first { $0.contains(rank) }! }
    /// The ranges of consecutive ranks to which the same memory of one node is near.
    public var domainGroups: [Range<Int>] { Self.runs(domains) }

    /// Each rank by itself.
    public var everyRankAlone: [Range<Int>] { (0 ..< size).map { $0 ..< $0 + 1 } }

    /// The ranges of equal numbers.
    private static func runs(_ numbers: [Int]) -> [Range<Int>] {
        var runs: [Range<Int>] = []
        for rank in numbers.indices {
            if rank > 0, numbers[rank] == numbers[rank - 1] {
                runs[runs.count - 1] = runs[runs.count - 1].lowerBound ..< rank + 1
            } else {
                runs.append(rank ..< rank + 1)
            }
        }
        return runs
    }

    /// The ranks that are to have one copy of what all read at each step: those of a NUMA domain, so that nobody waits
    /// for memory of another, or those of a node where there is no room for a copy for each of its domains. `bytes`:
    /// what the ranks of this node then share in all, given the number of copies. Collective.
    public func groupsOfOneCopy(bytes: (_ copies: Int) -> Int) throws -> [Range<Int>] {
        let domains = domainGroups, nodes = nodeGroups, node = nodeGroup
        if domains == nodes { return nodes }
        // A rank that is alone in its domain, as all are, shares nothing with others.
        let areAlone = domains.allSatisfy { $0.count == 1 }
        let copies = areAlone ? 0 : domains.count { node.contains($0.lowerBound) }
        let hasRoom = SharedMemoryRoom().holds(bytes(copies))
        return try any(!hasRoom) ? nodes : domains
    }
}

/// One message of a ``Channel``: where it goes to or comes from, and the values.
public struct Message {
    public let peer: Int
    public let values: Floats
    public init(peer: Int, values: Floats) {
        self.peer = peer
        self.values = values
    }
}

/// Messages between pairs of ranks that are under way while the ranks do other things. It lives as long as its
/// communicator.
public protocol Channel: AnyObject {
    /// Whether one other thread may use the channel while the communicator's own goes on using that.
    var allowsThread: Bool { get }
    /// Begins to send and to receive. Each `outgoing` has exactly one matching `incoming` of its tag and equal length
    /// on the peer; several of one tag between the same pair match in their order. No rank is its own peer. The
    /// values stay as they are until ``isDone(_:)``, before which the tag is not begun again.
    func begin(_ tag: Int, outgoing: [Message], incoming: [Message]) throws
    /// Whether this rank's messages of `tag` are sent and received. Moves those of all tags along: nothing else need.
    func isDone(_ tag: Int) throws -> Bool
}

/// Memory that several ranks of one node read and write. It lives as long as its communicator.
public protocol SharedMemory: AnyObject {
    /// Aligned to 64 bytes, zeroed.
    var values: Floats { get }
    /// Waits for all ranks of the group; what each wrote before is seen by all after.
    func barrier() throws
    /// Tells the group how far this rank has come, by a number that only grows from 0.
    func announce(_ progress: Int)
    /// The least number that a rank of the group has announced; what each wrote before it did is seen by who has read
    /// it.
    var leastAnnounced: Int { get }
}
