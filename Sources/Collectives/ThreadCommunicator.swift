import Glibc
import Kernels
import Support

/// Ranks that are threads of one process: the tests' way to run several ranks without a launcher.
///
/// If one rank's body throws, the others get a ``RankFailure`` from their next collective call, and none waits for
/// ever.
public final class ThreadCommunicator: Communicator, @unchecked Sendable {
    public let rank: Int
    public let size: Int
    public var host: String { "thread\(nodes[rank])" }
    public let nodes: [Int]
    public let domains: [Int]
    private let channelsAllowThreads: Bool
    private let rendezvous: Rendezvous

    private init(rank: Int, nodes: [Int], domains: [Int], channelsAllowThreads: Bool, rendezvous: Rendezvous) {
        self.rank = rank
        size = nodes.count
        (self.nodes, self.domains) = (nodes, domains)
        self.channelsAllowThreads = channelsAllowThreads
        self.rendezvous = rendezvous
    }

    /// Runs `body` once a rank, each in a thread of its own, and gives what they returned, in the order of ranks; or
    /// throws the error of the rank that failed first. `ranksPerNode`: only so many consecutive ranks share memory
    /// (all, if not given), of which so many are in a NUMA domain. `channelsAllowThreads`: what their channels say.
    @discardableResult
    public static func run<Value>(
        size: Int, ranksPerNode: Int? = nil, ranksPerDomain: Int? = nil, channelsAllowThreads: Bool = true,
        _ body: @escaping @Sendable (ThreadCommunicator) throws -> Value
    ) throws -> [Value] {
        precondition(size >= 1, "\(size) ranks")
        let perNode = ranksPerNode ?? size, perDomain = ranksPerDomain ?? perNode
        let rendezvous = Rendezvous(size: size)
        let outcomes = Outcomes<Value>(size: size)
        let nodes = (0 ..< size).map { $0 / perNode * perNode }
        let domains = nodes.enumerated().map { $1 + ($0 - $1) / perDomain * perDomain }
        let threads = try (0 ..< size).map { rank in
            try WorkerThread(.testRank) {
                do {
                    let value = try body(
                        ThreadCommunicator(
                            rank: rank, nodes: nodes, domains: domains, channelsAllowThreads: channelsAllowThreads,
                            rendezvous: rendezvous))
                    rendezvous.lock.withLock { outcomes.values[rank] = value }
                } catch {
                    rendezvous.fail(rank: rank, error)
                }
            }
        }
        for thread in threads { thread.join() }
        if let failure = rendezvous.failure { throw failure.error }
        return outcomes.values.map { $0! }
    }

    public func barrier() throws { try rendezvous.wait(group: 0 ..< size) }

    public func broadcast(_ bytes: UnsafeMutableRawBufferPointer, from root: Int) throws {
        precondition(root >= 0 && root < size, "broadcast from rank \(root) of \(size)")
        try rendezvous.share(.bytes(UnsafeRawBufferPointer(bytes)), rank: rank) { shared in
            if rank == root { return }
            guard case .bytes(let source) = shared[root] else {
                preconditionFailure("the ranks' collective calls differ")
            }
            precondition(source.count == bytes.count, "a broadcast of \(source.count) bytes into \(bytes.count)")
            bytes.copyMemory(from: source)
        }
    }

    public func gather(_ mine: UnsafeRawBufferPointer, into all: UnsafeMutableRawBufferPointer) throws {
        precondition(
            all.count == mine.count * size, "gathering \(mine.count) bytes of each of \(size) ranks into \(all.count)")
        try rendezvous.share(.bytes(mine), rank: rank) { shared in
            for (other, item) in shared.enumerated() {
                guard case .bytes(let source) = item else { preconditionFailure("the ranks' collective calls differ") }
                precondition(
                    source.count == mine.count,
                    "rank \(other) gathers \(source.count) bytes, rank \(rank) \(mine.count)")
                UnsafeMutableRawBufferPointer(rebasing: all[other * mine.count ..< (other + 1) * mine.count])
                    .copyMemory(from: source)
            }
        }
    }

    /// The sum in the order of ranks.
    public func sum(_ values: Floats) throws {
        let total = FloatBuffer(count: values.count)
        try rendezvous.share(.values(values), rank: rank) { shared in
            for item in shared {
                guard case .values(let theirs) = item, theirs.count == values.count else {
                    preconditionFailure("the ranks' collective calls differ")
                }
                for index in 0 ..< values.count { total.values[index] += theirs[index] }
            }
        }
        values.copy(from: total.values)
    }

    public func channel(tags: Int) throws -> any Channel {
        let mailboxes = try rendezvous.shareOne(rank == 0 ? Mailboxes(rendezvous) : nil, of: 0, rank: rank)
        return ThreadChannel(rank: rank, tags: tags, mailboxes: mailboxes, allowsThread: channelsAllowThreads)
    }

    public func sharedMemory(count: Int, group: Range<Int>) throws -> (any SharedMemory)? {
        let region = try rendezvous.shareOne(
            rank == group.lowerBound ? Region(count: count, ranks: group.count) : nil, of: group.lowerBound, rank: rank)
        return ThreadMemory(region, rank: rank, group: group, rendezvous: rendezvous)
    }

    public func abort(_ code: Int32) -> Never { exit(code) }
}

/// Memory that threads of one process share, with the numbers that they announce.
private final class Region {
    let buffer: FloatBuffer
    var announced: [Int]

    init(count: Int, ranks: Int) {
        buffer = FloatBuffer(count: count)
        announced = [Int](repeating: 0, count: ranks)
    }
}

private final class ThreadMemory: SharedMemory {
    private let region: Region
    private let rank: Int
    private let group: Range<Int>
    private let rendezvous: Rendezvous

    init(_ region: Region, rank: Int, group: Range<Int>, rendezvous: Rendezvous) {
        self.region = region
        self.rank = rank
        self.group = group
        self.rendezvous = rendezvous
    }

    var values: Floats { region.buffer.values }
    func barrier() throws { try rendezvous.wait(group: group) }
    func announce(_ progress: Int) { rendezvous.lock.withLock { region.announced[rank - group.lowerBound] = progress } }
    var leastAnnounced: Int { rendezvous.lock.withLock { region.announced.min()! } }
}

/// What the ranks of one run share: a lock, barriers, and a place where each shows the others its memory.
/// Everything in it is read and written under the lock, but for what `shared` points at, which the barriers order.
final class Rendezvous: @unchecked Sendable {
    enum Item { case nothing, bytes(UnsafeRawBufferPointer), values(Floats), object(AnyObject) }

    let lock = Lock()
    private(set) var failure: (rank: Int, error: any Error)?
    private var items: [Item]
    private var arrived: [Range<Int>: Int] = [:]
    private var rounds: [Range<Int>: Int] = [:]

    init(size: Int) { items = [Item](repeating: .nothing, count: size) }

    func fail(rank: Int, _ error: any Error) {
        lock.withLock {
            if failure == nil { failure = (rank, error) }
            lock.signalAll()
        }
    }

    func wait(group: Range<Int>) throws {
        try lock.withLock {
            let round = rounds[group, default: 0]
            arrived[group, default: 0] += 1
            if arrived[group] == group.count {
                arrived[group] = 0
                rounds[group] = round + 1
                lock.signalAll()
                return
            }
            lock.wait { rounds[group, default: 0] == round && failure == nil }
            if rounds[group, default: 0] == round, let failure {
                throw RankFailure(rank: failure.rank, message: "\(failure.error)")
            }
        }
    }

    /// Shows `item` to all ranks, lets `body` read all items, and returns when every rank has.
    func share(_ item: Item, rank: Int, _ body: ([Item]) -> Void) throws {
        let everyone = lock.withLock {
            items[rank] = item
            return 0 ..< items.count
        }
        try wait(group: everyone)
        body(lock.withLock { items })
        try wait(group: everyone)
    }

    /// The object that rank `owner` shows to all.
    func shareOne<Object: AnyObject>(_ mine: Object?, of owner: Int, rank: Int) throws -> Object {
        var one: Object?
        try share(mine.map { .object($0) } ?? .nothing, rank: rank) { shared in
            guard case .object(let object) = shared[owner] else {
                preconditionFailure("the ranks' collective calls differ")
            }
            one = object as? Object
        }
        return one!
    }
}

private final class Outcomes<Value>: @unchecked Sendable {
    var values: [Value?]
    init(size: Int) { values = [Value?](repeating: nil, count: size) }
}
