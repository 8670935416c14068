import Glibc
import Kernels
import Support

/// Examples in an order that mixes whole blocks (``Shuffle``): a thread reads the blocks of the window in use and of
/// the next one, each block once. One minibatch is read at a time; an error of the thread is thrown by the read that
/// needs the window.
final class WindowReader: @unchecked Sendable {
    let order: MinibatchOrder
    private let source: SampleSource
    private let loader: WindowLoader
    private let thread: WorkerThread
    private let stage: UnsafeMutablePointer<Float>
    /// The epoch last used, and where its windows end.
    private var epoch = -1
    private var ends: [Int] = []

    init(_ source: SampleSource, _ order: MinibatchOrder) throws(Failure) {
        (self.source, self.order) = (source, order)
        let loader = try WindowLoader(source, order)
        self.loader = loader
        thread = try WorkerThread(.prefetch) { loader.run() }
        stage = .allocate(capacity: source.storedElements)
    }

    deinit {
        stop()
        thread.join()
        stage.deallocate()
    }

    /// Ends the thread after the block at hand, and a read that waits.
    func stop() { loader.stop() }

    /// Writes the examples `indices`, which stand from `position` on in the endless row of epochs, into `target`.
    func read(_ indices: [Int], position: Int, into target: Floats) throws(Failure) {
        var row = 0
        while row < indices.count {
            let (window, end) = window(at: position + row)
            let last = min(indices.count, end - position)
            let contents = try loader.contents(of: window)
            for row in row ..< last {
                source.decode(contents.example(indices[row]), stage: stage, into: target.base + row * source.elements)
            }
            row = last
        }
    }

    /// The window of a position, numbered over all epochs, and the position at which it ends.
    private func window(at position: Int) -> (number: Int, end: Int) {
        let (epoch, offset) = position.quotientAndRemainder(dividingBy: order.count)
        if epoch != self.epoch {
            let blocks = order.shuffle.blockOrder(count: order.count, seed: order.seed, epoch: epoch)
            (self.epoch, ends) = (epoch, order.shuffle.ends(blocks, count: order.count))
        }
        var low = 0, high = ends.count - 1
        while low < high {
            let middle = (low + high) / 2
            if ends[middle] > offset { high = middle } else { low = middle + 1 }
        }
        return (epoch * ends.count + low, epoch * order.count + ends[low])
    }
}

/// A window in memory: which block lies where.
private struct WindowContents {
    let base: UnsafeMutableRawPointer
    let block: Int
    let exampleBytes: Int
    var places: [Int: Int] = [:]

    func example(_ index: Int) -> UnsafeRawPointer {
        let (block, rest) = index.quotientAndRemainder(dividingBy: self.block)
        guard let place = places[block] else {
            preconditionFailure("example \(index) of a block that its window lacks")
        }
        return UnsafeRawPointer(base + (place * self.block + rest) * exampleBytes)
    }
}

/// The two windows and the thread that fills them. All `var`s are guarded by `lock`; the memory of a window belongs
/// to the thread while it is loaded, and then to the reader until that asks for another window.
private final class WindowLoader: @unchecked Sendable {
    private struct Slot {
        /// The window that is in it; −1: none, or one that is being read.
        var window = -1
        var contents: WindowContents
        var failure: Failure?
    }

    private let source: SampleSource
    private let order: MinibatchOrder
    private let windows: Int
    private let lock = Lock()
    private let memory: [UnsafeMutableRawPointer]
    private var slots: [Slot]
    /// The window in use or waited for.
    private var wanted = -1
    private var isStopped = false

    init(_ source: SampleSource, _ order: MinibatchOrder) throws(Failure) {
        (self.source, self.order) = (source, order)
        let shuffle = order.shuffle
        windows = shuffle.windows(of: order.count)
        let blocks = min(shuffle.window, shuffle.blocks(of: order.count))
        let examples = blocks == 1 ? min(shuffle.block, order.count) : blocks * shuffle.block
        let (bytes, overflow) = examples.multipliedReportingOverflow(by: source.storedBytes)
        guard !overflow, let first = malloc(bytes), let second = malloc(bytes) else {
            throw Failure(
                .inputOutput,
                "No memory for two shuffle windows of \(blocks) blocks of \(shuffle.block) examples.",
                remedy: "Give the job more memory, or start a run with a smaller data.memory_limit.")
        }
        memory = [first, second]
        slots = memory.map { base in
            Slot(contents: WindowContents(base: base, block: shuffle.block, exampleBytes: source.storedBytes))
        }
    }

    deinit { for base in memory { free(base) } }

    /// Waits for window `number`; it stays until another is asked for.
    func contents(of number: Int) throws(Failure) -> WindowContents {
        let result: Result<WindowContents, Failure> = lock.withLock {
            wanted = number
            lock.signalAll()
            lock.wait { slots[number % 2].window != number && !isStopped }
            guard !isStopped else {
                return .failure(
                    Failure(
                        .inputOutput, "The reader of the data was stopped.",
                        remedy: "Start the job again."))
            }
            guard let failure = slots[number % 2].failure else { return .success(slots[number % 2].contents) }
            slots[number % 2].failure = nil
            slots[number % 2].window = -1
            return .failure(failure)
        }
        return try result.get()
    }

    func run() {
        while let number = next() {
            var contents = lock.withLock {
                slots[number % 2].window = -1
                slots[number % 2].failure = nil
                return slots[number % 2].contents
            }
            var failure: Failure?
            do {
                guard try load(number, &contents) else { continue }
            } catch { failure = error }
            lock.withLock {
                slots[number % 2].contents = contents
                slots[number % 2].failure = failure
                slots[number % 2].window = number
                lock.signalAll()
            }
        }
    }

    func stop() {
        lock.withLock {
            isStopped = true
            lock.signalAll()
        }
    }

    /// The window to read next: the one wanted, else the one after it. Nil at the end.
    private func next() -> Int? {
        lock.withLock {
            var number: Int?
            lock.wait {
                number = wanted < 0 ? nil : [wanted, wanted + 1].first { slots[$0 % 2].window != $0 }
                return number == nil && !isStopped
            }
            return isStopped ? nil : number
        }
    }

    /// Reads the blocks of a window; false where that is no longer wanted.
    private func load(_ number: Int, _ contents: inout WindowContents) throws(Failure) -> Bool {
        let (epoch, window) = number.quotientAndRemainder(dividingBy: windows)
        let shuffle = order.shuffle
        let blocks = shuffle.blockOrder(count: order.count, seed: order.seed, epoch: epoch)
        contents.places = [:]
        for (place, block) in blocks[(window * shuffle.window)...].prefix(shuffle.window).enumerated() {
            guard lock.withLock({ !isStopped && (wanted ... wanted + 1).contains(number) }) else { return false }
            let target = contents.base + place * shuffle.block * contents.exampleBytes
            try source.load(shuffle.examples(of: block, count: order.count), into: target)
            contents.places[block] = place
        }
        return true
    }
}
