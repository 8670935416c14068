import Glibc
import Support
import Synchronization

/// Names the rank that keeps the others waiting, and ends the job if that lasts: a thread that calls no MPI, for the
/// main thread may be stuck in it.
///
/// The main thread says what it begins with ``enter(_:step:)``; the thread notes that in a file, which the other
/// ranks read when they see no progress of their own. Time is counted in the thread's own wakings, so that a job that
/// was suspended as a whole does not find itself late when it is continued.
///
/// A rank that is alive in a phase which may last (starting, samples, evaluation, checkpoint) is named, but never a
/// reason to end the job.
public final class Watchdog: Sendable {
    public struct Limits: Sendable {
        /// Seconds without progress after which the rank behind is named, and named again; at least 3.
        public var warn: Int
        /// Seconds without progress after which the job is to be ended.
        public var abort: Int

        public init(warn: Int = 60, abort: Int = 300) {
            self.warn = warn
            self.abort = abort
        }
    }

    public enum Finding: Sendable, Equatable {
        /// On one rank alone.
        case warning(String)
        /// The job has to be ended. On every rank that finds it, in words on one of them alone.
        case end(String?)
    }

    private let limits: Limits
    private let rank: Int
    private let size: Int
    private let host: String
    private let files: HeartbeatFiles?
    private let output: @Sendable (Finding) -> Void
    private let beat = Atomic<Int>(0)
    private let step = Atomic<Int>(0)
    private let phase = Atomic<Int>(0)
    private let stopped = Atomic<Bool>(false)
    private let ending = Lock()
    private let thread = Mutex<WorkerThread?>(nil)

    /// Starts watching. `folder`: an existing folder that all ranks see, for their heartbeats; without it each rank
    /// knows only itself. `output` gets the findings, in the watchdog's thread, and ends the process where one says so.
    public init(
        communicator: any Communicator, folder: String?, limits: Limits,
        output: @escaping @Sendable (Finding) -> Void
    ) throws(Failure) {
        precondition(
            limits.warn >= 3 && limits.abort > limits.warn,
            "a stall limit of \(limits.abort) s with a warning after \(limits.warn) s")
        self.limits = limits
        self.output = output
        rank = communicator.rank
        size = communicator.size
        host = communicator.host
        files = folder.map { HeartbeatFiles(folder: $0) }
        let watching = try WorkerThread(.watchdog) { [self] in watch() }
        thread.withLock { $0 = watching }
    }

    /// The main thread begins a phase. Costs a few nanoseconds. Call it where ranks do the same thing in the same
    /// order.
    public func enter(_ phase: Phase, step: Int) {
        self.step.store(step, ordering: .relaxed)
        self.phase.store(phase.rawValue, ordering: .relaxed)
        beat.wrappingAdd(1, ordering: .releasing)
    }

    /// Stops watching and removes this rank's heartbeat. Once, at the end of the run.
    public func stop() {
        ending.withLock {
            stopped.store(true, ordering: .releasing)
            ending.signalAll()
        }
        guard
            let thread = thread.withLock({ thread in
                defer { thread = nil }; return thread
            })
        else { return }
        thread.join()
        files?.remove(rank: rank)
    }

    private func heartbeat(pulse: Int) -> Heartbeat {
        let beat = beat.load(ordering: .acquiring)
        return Heartbeat(
            rank: rank, host: host, beat: beat, pulse: pulse, step: step.load(ordering: .relaxed),
            phase: Phase(rawValue: phase.load(ordering: .relaxed))!)
    }

    private func watch() {
        // All in tenths of a second: since the last phase began, and since the file was written (once a second is
        // enough).
        var stuck = 0, sinceWriting = 0
        // A pulse may be late, on a busy host or a slow file system: it is looked for over most of the time to a
        // warning.
        let lookback = 8 * limits.warn
        var last = heartbeat(pulse: 0)
        // By the time at which they will be compared.
        var earlier: [Int: [Heartbeat]] = [:]
        files?.write(last)
        while !stopped.load(ordering: .acquiring) {
            // At the end of the run nobody waits for the rest of it.
            ending.withLock { if !stopped.load(ordering: .acquiring) { ending.wait(milliseconds: 100) } }
            let now = heartbeat(pulse: last.pulse)
            stuck = now.beat == last.beat ? stuck + 1 : 0
            last = now
            sinceWriting += 1
            if sinceWriting >= 10 {
                last.pulse += 1
                files?.write(last)
                sinceWriting = 0
            }
            if stuck == 0, !earlier.isEmpty { earlier = [:] }
            if isTime(stuck + lookback) { earlier[stuck + lookback] = others() }
            if stuck > 0, isTime(stuck) { report(last, earlier[stuck] ?? [], tenths: stuck) }
        }
    }

    private func isTime(_ tenths: Int) -> Bool { tenths % (10 * limits.warn) == 0 || tenths == 10 * limits.abort }

    private func others() -> [Heartbeat] { (0 ..< size).compactMap { $0 == rank ? nil : files?.read(rank: $0) } }

    private func report(_ mine: Heartbeat, _ earlier: [Heartbeat], tenths: Int) {
        let stall = Stall((others() + [mine]).sorted { $0.rank < $1.rank }, earlier: earlier)
        let message = stall.message(seconds: tenths / 10)
        let isEnding = tenths >= 10 * limits.abort && !stall.mayLast
        if stall.printer == rank {
            output(isEnding ? .end(message) : .warning(message))
        } else if isEnding {
            // The launcher must not end the rank that prints before it has.
            sleep(2)
            output(.end(nil))
        }
    }
}
