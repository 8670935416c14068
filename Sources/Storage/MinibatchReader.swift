import Kernels
import Support

/// Which examples make up which minibatch: a pure function of the seed, so that a resumed run needs no state.
///
/// Minibatch m covers positions m·B ..< (m+1)·B of the endless row of epochs; epoch e is a permutation of 0 ..< N
/// drawn from (seed, shuffle, e), any or one that ``Shuffle`` allows. A minibatch may span epochs, and B may exceed
/// N.
public struct MinibatchOrder: Sendable {
    public let count: Int
    public let batch: Int
    public let seed: UInt64
    public let shuffle: Shuffle

    public init(count: Int, batch: Int, seed: UInt64, shuffle: Shuffle = .samples) {
        precondition(count > 0 && batch > 0, "minibatches of \(batch) out of \(count) examples")
        (self.count, self.batch, self.seed, self.shuffle) = (count, batch, seed, shuffle)
    }

    /// The epoch in which minibatch m begins.
    public func epoch(minibatch: Int) -> Int { minibatch * batch / count }
    /// Epochs finished before minibatch m, with fraction.
    public func epochs(minibatch: Int) -> Double { Double(minibatch) * Double(batch) / Double(count) }

    /// The examples of a whole minibatch, in its order.
    public func indices(minibatch: Int) -> [Int] {
        var cache = EpochCache(self)
        var result: [Int] = []
        cache.append(minibatch: minibatch, rows: 0 ..< batch, to: &result)
        return result
    }
}

/// The permutations last used.
private struct EpochCache {
    private let order: MinibatchOrder
    private var epochs: [(number: Int, permutation: [UInt32])] = []

    init(_ order: MinibatchOrder) { self.order = order }

    mutating func append(minibatch: Int, rows: Range<Int>, to indices: inout [Int]) {
        for row in rows {
            let position = minibatch * order.batch + row
            let (epoch, offset) = position.quotientAndRemainder(dividingBy: order.count)
            if epochs.last?.number != epoch { use(epoch) }
            indices.append(Int(epochs[epochs.count - 1].permutation[offset]))
        }
    }

    /// Makes `epoch` the last entry; one other is kept, for a step that asks for both sides of an edge.
    private mutating func use(_ epoch: Int) {
        if let known = epochs.firstIndex(where: { $0.number == epoch }) {
            epochs.append(epochs.remove(at: known))
            return
        }
        if epochs.count == 2 { epochs.removeFirst() }
        epochs.append((epoch, order.shuffle.permutation(count: order.count, seed: order.seed, epoch: epoch)))
    }
}

/// Minibatches of examples, prepared ahead by one thread.
///
/// A rank asks for its rows of minibatch 0, 1, 2, …; while it works on one, the thread reads the next. Any other
/// order works too, without the head start. An error of the thread is thrown by the call that would have got the
/// minibatch.
public final class MinibatchReader: @unchecked Sendable {
    public let source: SampleSource
    public let order: MinibatchOrder
    /// This rank's rows of each global minibatch.
    public let rows: Range<Int>
    private let prefetch: Prefetch
    private let thread: WorkerThread

    /// `conditions`: of all examples of the source, to be read beside them.
    public init(
        _ source: SampleSource, batch: Int, seed: UInt64, rows: Range<Int>, shuffle: Shuffle = .samples,
        conditions: ConditionTable? = nil
    ) throws(Failure) {
        precondition(
            conditions == nil || conditions?.count == source.count,
            "conditions of \(conditions?.count ?? 0) examples for \(source.count)")
        precondition(rows.lowerBound >= 0 && rows.upperBound <= batch, "rows \(rows) of a minibatch of \(batch)")
        (self.source, self.rows) = (source, rows)
        order = MinibatchOrder(count: source.count, batch: batch, seed: seed, shuffle: shuffle)
        let windows = shuffle.block > 1 && !source.isResident ? try WindowReader(source, order) : nil
        let prefetch = Prefetch(source, order, rows, windows, conditions)
        self.prefetch = prefetch
        thread = try WorkerThread(.prefetch) { prefetch.run() }
    }

    /// This rank's rows of minibatch `number`, [rows, …shape]. Valid until the next call.
    public func minibatch(_ number: Int) throws(Failure) -> Floats { try prefetch.take(number) }

    /// The conditions of the rows that ``minibatch(_:)`` returned last; none where the reader was given none. Valid as
    /// long as these are.
    public var conditions: Floats { prefetch.conditions }

    /// The examples of the whole global minibatch, in its order: for proofs and traces.
    public func indices(minibatch: Int) -> [Int] { order.indices(minibatch: minibatch) }
    public func epoch(minibatch: Int) -> Int { order.epoch(minibatch: minibatch) }
    public func epochs(minibatch: Int) -> Double { order.epochs(minibatch: minibatch) }

    deinit {
        prefetch.stop()
        thread.join()
    }
}

/// The double buffer between the reader and its thread. All `var`s are guarded by `lock`, except that `cache`,
/// `indices` and the buffer being filled belong to the thread while it fills.
private final class Prefetch: @unchecked Sendable {
    private let source: SampleSource
    private let rows: Range<Int>
    /// What reads where whole blocks are read; else the source does.
    private let windows: WindowReader?
    private let buffers: [FloatBuffer]
    private let table: ConditionTable?
    private let conditionBuffers: [FloatBuffer]
    private let lock = Lock()
    private var cache: EpochCache
    private var indices: [Int] = []

    private enum State {
        case idle
        case wanted
        case ready(Failure?)
        case stopped
    }
    private var state = State.idle
    /// The minibatch wanted or ready, and the buffer it goes to.
    private var number = -1
    private var filling = 0

    init(
        _ source: SampleSource, _ order: MinibatchOrder, _ rows: Range<Int>, _ windows: WindowReader?,
        _ table: ConditionTable?
    ) {
        (self.source, self.rows, self.windows, self.table) = (source, rows, windows, table)
        conditionBuffers = (0 ..< 2).map { _ in FloatBuffer(count: rows.count * (table?.width ?? 0)) }
        buffers = (0 ..< 2).map { _ in FloatBuffer(count: rows.count * source.elements) }
        cache = EpochCache(order)
        indices.reserveCapacity(rows.count)
    }

    private var isWanted: Bool { if case .wanted = state { true } else { false } }

    func run() {
        while true {
            let next: (number: Int, side: Int)? = lock.withLock {
                lock.wait { if case .wanted = state { false } else if case .stopped = state { false } else { true } }
                return isWanted ? (number, filling) : nil
            }
            guard let next else { return }
            indices.removeAll(keepingCapacity: true)
            cache.append(minibatch: next.number, rows: rows, to: &indices)
            table?.copy(indices, into: conditionBuffers[next.side].values)
            var failure: Failure?
            do { try read(minibatch: next.number, into: buffers[next.side].values) } catch { failure = error }
            lock.withLock {
                if isWanted { state = .ready(failure) }
                lock.signalAll()
            }
        }
    }

    private func read(minibatch: Int, into target: Floats) throws(Failure) {
        guard let windows else { return try source.read(indices, into: target) }
        try windows.read(indices, position: minibatch * windows.order.batch + rows.lowerBound, into: target)
    }

    func take(_ wanted: Int) throws(Failure) -> Floats {
        precondition(wanted >= 0, "minibatch \(wanted)")
        let (taken, failure): (Floats, Failure?) = lock.withLock {
            lock.wait { isWanted }
            if case .ready(nil) = state, number == wanted {
            } else {
                request(wanted)
                lock.wait { isWanted }
            }
            guard case .ready(nil) = state else {
                defer { state = .idle }
                if case .ready(let failure) = state { return (.none, failure) }
                preconditionFailure("a minibatch asked of a reader that was stopped")
            }
            let taken = buffers[filling].values
            filling = 1 - filling
            request(wanted + 1)
            return (taken, nil)
        }
        if let failure { throw failure }
        return taken
    }

    /// Those of the minibatch taken last: what is filled meanwhile is the other side.
    var conditions: Floats { lock.withLock { conditionBuffers[1 - filling].values } }

    private func request(_ number: Int) {
        self.number = number
        state = .wanted
        lock.signalAll()
    }

    func stop() {
        lock.withLock {
            state = .stopped
            lock.signalAll()
        }
        windows?.stop()
    }
}
