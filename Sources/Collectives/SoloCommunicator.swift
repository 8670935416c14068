import Glibc
import Kernels
import Support

/// One process alone: every collective is done at once.
public final class SoloCommunicator: Communicator {
    public let rank = 0
    public let size = 1
    public var host: String { hostName }
    public let nodes = [0]

    public init() {}

    public func barrier() {}

    public func broadcast(_ bytes: UnsafeMutableRawBufferPointer, from root: Int) {
        precondition(root == 0, "broadcast from rank \(root) of 1")
    }

    public func gather(_ mine: UnsafeRawBufferPointer, into all: UnsafeMutableRawBufferPointer) {
        precondition(all.count == mine.count, "gathering \(mine.count) bytes of one rank into \(all.count)")
        all.copyMemory(from: mine)
    }

    public func sum(_ values: Floats) {}

    public func channel(tags: Int) -> any Channel {
        preconditionFailure("a rank alone has nobody to exchange messages with")
    }

    public func sharedMemory(count: Int, group: Range<Int>) -> (any SharedMemory)? {
        SoloMemory(count: count)
    }

    public func abort(_ code: Int32) -> Never { exit(code) }
}

private final class SoloMemory: SharedMemory {
    private let buffer: FloatBuffer
    private(set) var leastAnnounced = 0
    init(count: Int) { buffer = FloatBuffer(count: count) }
    var values: Floats { buffer.values }
    func barrier() {}
    func announce(_ progress: Int) { leastAnnounced = progress }
}
