import Kernels

/// A group of ranks that compute together. Every method but ``abort(_:)`` is collective: all ranks call it, in the same order.
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

    func barrier() throws
    /// Overwrites `bytes` on every rank with those of `root`; the same length everywhere.
    func broadcast(_ bytes: UnsafeMutableRawBufferPointer, from root: Int) throws
    /// Puts every rank's `mine` (of one length everywhere), in the order of ranks, into `all` on every rank.
    func gather(_ mine: UnsafeRawBufferPointer, into all: UnsafeMutableRawBufferPointer) throws
    /// Replaces `values` with their sum over the ranks, in an order the library chooses: MPI_Allreduce.
    func sum(_ values: Floats) throws
    /// Sends and receives between pairs; completes when all of this rank's have. Each `outgoing` has exactly one matching
    /// `incoming` of equal length on the peer; several between the same pair match in their order. No rank is its own peer.
    func exchange(outgoing: [Message], incoming: [Message]) throws
    /// Zeroed memory of `count` values that all ranks in `group` (which contains this rank, and whose ranks are on one node)
    /// read and write. Every rank calls it, each with its group. Nil on every rank if any group could not have it:
    /// no room in /dev/shm, or refused by the library.
    func sharedMemory(count: Int, group: Range<Int>) throws -> (any SharedMemory)?
    /// Ends every rank of the job with `code`. Does not return.
    func abort(_ code: Int32) -> Never
}

/// One message of ``Communicator/exchange(outgoing:incoming:)``: where it goes to or comes from, and the values.
public struct Message {
    public let peer: Int
    public let values: Floats
    public init(peer: Int, values: Floats) {
        self.peer = peer
        self.values = values
    }
}

/// Memory that several ranks of one node read and write. It lives as long as its communicator.
public protocol SharedMemory: AnyObject {
    /// Aligned to 64 bytes, zeroed.
    var values: Floats { get }
    /// Waits for all ranks of the group; what each wrote before is seen by all after.
    func barrier() throws
}
