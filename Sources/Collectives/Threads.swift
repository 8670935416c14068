import Glibc

/// A mutual exclusion with a condition: what `Synchronization.Mutex` lacks.
final class Lock: @unchecked Sendable {
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

    init() {
        pthread_mutex_init(mutex, nil)
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(condition, &attributes)
        pthread_condattr_destroy(&attributes)
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
    }

    func withLock<Value>(_ body: () throws -> Value) rethrows -> Value {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return try body()
    }

    /// Inside `withLock`: lets others in until one of them calls `wakeAll`.
    func sleep() { pthread_cond_wait(condition, mutex) }

    /// The same, for so many milliseconds at most.
    func sleep(milliseconds: Int) {
        var end = timespec()
        clock_gettime(CLOCK_MONOTONIC, &end)
        let nanoseconds = end.tv_nsec + milliseconds * 1_000_000
        (end.tv_sec, end.tv_nsec) = (end.tv_sec + nanoseconds / 1_000_000_000, nanoseconds % 1_000_000_000)
        pthread_cond_timedwait(condition, mutex, &end)
    }

    func wakeAll() { pthread_cond_broadcast(condition) }
}

/// Starts a thread that runs `body` once; join it with pthread_join or detach it.
func startThread(_ body: @escaping @Sendable () -> Void) -> pthread_t {
    final class Box: Sendable {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }
    var thread = pthread_t()
    let argument = Unmanaged.passRetained(Box(body)).toOpaque()
    let code = pthread_create(
        &thread, nil,
        { argument in
            Unmanaged<Box>.fromOpaque(argument!).takeRetainedValue().body()
            return nil
        }, argument)
    // Nobody could go on without; the launcher ends the other ranks.
    if code != 0 {
        let text =
            "gan-dist: error: no thread could be started: \(String(cString: strerror(code)))\n"
            + "gan-dist: Allow the job more processes and memory (ulimit -u and -v, or the batch system's limits).\n"
        _ = text.withCString { write(STDERR_FILENO, $0, strlen($0)) }
        _exit(Watchdog.exitCode)
    }
    return thread
}
