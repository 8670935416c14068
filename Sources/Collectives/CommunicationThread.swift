import Glibc
import Support
import Synchronization

/// A thread that does one piece of work after another while the rank's main thread goes on.
///
/// Between ``begin()`` and the return of ``wait()`` what the work uses is the communication thread's, but for what is
/// atomic.
final class CommunicationThread {
    /// What the two threads tell each other, under the lock but for the flags.
    private final class State: @unchecked Sendable {
        let lock = Lock()
        var hasWork = false
        var failure: (any Error)?
        let isAwaited = Atomic<Bool>(false)
        let isEnding = Atomic<Bool>(false)
    }

    private let state = State()
    private let thread: WorkerThread

    /// `work` calls its argument where it has to wait, and returns at once if that says false.
    init(_ work: @escaping @Sendable (_ pause: () -> Bool) throws -> Void) throws(Failure) {
        let state = state
        thread = try WorkerThread(.communication) { CommunicationThread.run(work, state) }
    }

    private static func run(_ work: (() -> Bool) throws -> Void, _ state: State) {
        while true {
            state.lock.withLock {
                state.lock.wait { !state.hasWork && !state.isEnding.load(ordering: .acquiring) }
            }
            if state.isEnding.load(ordering: .acquiring) { return }
            var failure: (any Error)?
            do { try work { pause(state) } } catch { failure = error }
            state.lock.withLock {
                state.failure = failure
                state.hasWork = false
                state.lock.signalAll()
            }
        }
    }

    /// While the main thread computes its processor is not taken from it more often than messages need: they come in
    /// hundreds of kilobytes. Once it waits, the processor is ours.
    private static func pause(_ state: State) -> Bool {
        if state.isEnding.load(ordering: .acquiring) { return false }
        if state.isAwaited.load(ordering: .relaxed) { sched_yield() } else { usleep(200) }
        return true
    }

    /// Starts the work. Not before the last is waited for.
    func begin() {
        state.lock.withLock {
            precondition(!state.hasWork, "work begun before the last was waited for")
            state.hasWork = true
            state.lock.signalAll()
        }
    }

    /// Returns when the work is done; throws what it threw.
    func wait() throws {
        state.isAwaited.store(true, ordering: .relaxed)
        defer { state.isAwaited.store(false, ordering: .relaxed) }
        try state.lock.withLock {
            state.lock.wait { state.hasWork }
            defer { state.failure = nil }
            if let failure = state.failure { throw failure }
        }
    }

    /// Work under way is given up: an error ends this rank, and others may never answer.
    deinit {
        state.lock.withLock {
            state.isEnding.store(true, ordering: .releasing)
            state.lock.signalAll()
        }
        thread.join()
    }
}
