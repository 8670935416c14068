import CLinux
import Glibc

/// A mutual exclusion with a condition to wait for: what `Synchronization.Mutex` lacks.
public final class Lock: @unchecked Sendable {
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

    /// `isRecursive`: its owner may take it again; nobody may wait in it then.
    public init(isRecursive: Bool = false) {
        var kind = pthread_mutexattr_t()
        pthread_mutexattr_init(&kind)
        pthread_mutexattr_settype(&kind, Int32(isRecursive ? PTHREAD_MUTEX_RECURSIVE : PTHREAD_MUTEX_NORMAL))
        pthread_mutex_init(mutex, &kind)
        pthread_mutexattr_destroy(&kind)
        // The clock that only goes forward: a host whose time is set must not wake, or sleep, for that.
        var clock = pthread_condattr_t()
        pthread_condattr_init(&clock)
        pthread_condattr_setclock(&clock, CLOCK_MONOTONIC)
        pthread_cond_init(condition, &clock)
        pthread_condattr_destroy(&clock)
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
    }

    public func withLock<Value>(_ body: () throws -> Value) rethrows -> Value {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return try body()
    }

    /// Inside `withLock`: gives the lock up until another thread signals, as long as `condition` holds.
    public func wait(while condition: () -> Bool) {
        while condition() { pthread_cond_wait(self.condition, mutex) }
    }

    /// Inside `withLock`: gives the lock up until another thread signals, for so many milliseconds at most.
    public func wait(milliseconds: Int) {
        var end = timespec()
        clock_gettime(CLOCK_MONOTONIC, &end)
        let nanoseconds = end.tv_nsec + milliseconds % 1000 * 1_000_000
        end.tv_sec += milliseconds / 1000 + nanoseconds / 1_000_000_000
        end.tv_nsec = nanoseconds % 1_000_000_000
        pthread_cond_timedwait(condition, mutex, &end)
    }

    /// Wakes all threads that wait.
    public func signalAll() { pthread_cond_broadcast(condition) }
}

/// A thread that runs one function and is waited for by who started it. ``RankThread`` lists all of them.
public final class WorkerThread: @unchecked Sendable {
    private var thread = pthread_t()

    /// Throws 70 where the system gives no thread (a limit of processes or of memory).
    public init(_ name: RankThread, _ body: @escaping @Sendable () -> Void) throws(Failure) {
        final class Body: Sendable {
            let run: @Sendable () -> Void
            init(_ run: @escaping @Sendable () -> Void) { self.run = run }
        }
        let argument = Unmanaged.passRetained(
            Body {
                linux_name_thread(name.rawValue)
                body()
            })
        let code = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                Unmanaged<Body>.fromOpaque(argument).takeRetainedValue().run()
                return nil
            }, argument.toOpaque())
        guard code == 0 else {
            argument.release()
            throw Failure(
                .internalError, "no thread could be started: \(SystemError.text(code))",
                remedy: "Allow the job more processes and memory (ulimit -u and -v, or the batch system's limits).")
        }
    }

    /// Returns when the function has. Once.
    public func join() { pthread_join(thread, nil) }
}

/// Every thread of a rank beside its main thread, under the name that `top -H` and debuggers show. OpenBLAS is told to
/// start none; Open MPI and its libraries have their own, which no code of ours meets.
///
/// The main thread alone calls MPI, but for ``communication``. It starts each thread and waits for its end.
public enum RankThread: String, Sendable {
    /// Carries finished pieces of a gradient between nodes while the main thread computes the next ones: it uses a
    /// channel of its own (MPI_THREAD_MULTIPLE), and of the gradient only what is said to be settled. Started by the
    /// first exchange that can use it; ended with its exchange.
    case communication = "communication"
    /// Reads the next minibatch of real examples, or the next shuffle window, while the step computes: the dataset's
    /// file, under HDF5's lock, and a buffer that it is lent. Started and ended by its reader.
    case prefetch = "prefetch"
    /// Writes one checkpoint from a copy of the state. Rank 0; started for each checkpoint, ended before the next.
    case checkpoint = "checkpoint"
    /// Watches for a stall: reads counters, reads and writes the heartbeats' files. From before the dataset is opened
    /// to the end of the run.
    case watchdog = "watchdog"
    /// Touches the lock of the run folder. Rank 0; as long as the lock is held.
    case runLock = "run lock"
    /// A rank of ``ThreadCommunicator``, in tests.
    case testRank = "test rank"
}
