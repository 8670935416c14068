import Foundation
import Storage
import Support
import Synchronization

/// The lock on a run folder: one job writes there at a time; a dead one's lock is taken over.
///
/// The lock is made by link(2), which is atomic on NFS too, where O_EXCL and flock are not everywhere. It names its
/// holder (``RunLockHolder``), and is touched while the holder lives. Where the process table does not tell whether
/// it does, it lives if the file's time changes while this observer watches: no two clocks are compared.
public final class RunLock: Sendable {
    /// Seconds between two touches of the holder.
    static let heartbeat = 5.0
    /// A holder on another host that has not touched its lock for so long is dead.
    static let patience = 30.0

    private let file: RunLockFile
    private let holder: RunLockHolder
    private let beating: Beating
    private let thread: Mutex<WorkerThread?>

    /// Takes the lock, waiting up to ``patience`` for the sign of life of a holder on another host; throws 73 if it
    /// lives.
    public convenience init(_ folder: RunFolder, waiting: (String) -> Void) throws(Failure) {
        try self.init(folder, holder: .mine(), waiting: waiting)
    }

    init(
        _ folder: RunFolder, holder: RunLockHolder, patience: Double = RunLock.patience, waiting: (String) -> Void
    ) throws(Failure) {
        self.holder = holder
        file = RunLockFile(path: folder.lock, holder: holder)
        while try !file.make(folder.lock) {
            guard let found = file.read() else { continue }
            if try Self.isAlive(found, holder, file, patience, waiting) {
                throw Failure(
                    .cannotCreate, "\(folder.path): the run is in use by process \(found.process) on \(found.host)",
                    remedy: "Wait for it, stop it (touch \(folder.stopRequest)), or name another folder with --run.")
            }
            if try file.takeOver(from: found) { break }
        }
        let beating = Beating(file)
        self.beating = beating
        do throws(Failure) {
            // It holds no reference to the lock, so that a job which leaves by an error gives it back at once.
            let touching = try WorkerThread(.runLock) { beating.touchUntilEnd(every: Self.heartbeat) }
            thread = Mutex(touching)
        } catch {
            beating.end()
            throw error
        }
    }

    deinit { release() }

    public func release() {
        beating.end()
        thread.withLock { thread in
            thread?.join()
            thread = nil
        }
    }

    /// Whether another job has taken this one for dead, after it had not run for a while: it must not write any more.
    public var isLost: Bool { beating.isLost }

    private static func isAlive(
        _ other: RunLockHolder, _ mine: RunLockHolder, _ file: RunLockFile, _ patience: Double,
        _ waiting: (String) -> Void
    ) throws(Failure) -> Bool {
        let endOfPatience = monotonicSeconds() + patience
        while other.isEnding, monotonicSeconds() < endOfPatience { Thread.sleep(forTimeInterval: 0.02) }
        if let lives = other.lives { return lives }
        if mine.follows(other) { return false }
        waiting("\(file.path) was made on \(other.host); watching it for \(Int(patience)) s for a sign of life")
        let first = file.touched()
        let end = monotonicSeconds() + patience
        while monotonicSeconds() < end {
            Thread.sleep(forTimeInterval: min(0.5, patience / 4))
            if file.touched() != first { return true }
        }
        return false
    }

    /// What the lock's thread and its owner share.
    private final class Beating: @unchecked Sendable {
        private enum State { case held, lost, released }
        private let file: RunLockFile
        private let lock = Lock()
        /// Guarded by `lock`.
        private var state = State.held

        init(_ file: RunLockFile) { self.file = file }

        /// Returns when there is nothing more to touch.
        func touchUntilEnd(every seconds: Double) {
            lock.withLock {
                while state == .held {
                    // A touch that fails (a full or absent file system) costs the lock only after others have watched
                    // for long.
                    if let found = file.read(), found != file.holder { state = .lost } else { file.touch() }
                    if state == .held { lock.wait(milliseconds: Int(1000 * seconds)) }
                }
            }
        }

        func end() {
            lock.withLock {
                if state == .held, file.read() == file.holder { unlink(file.path) }
                state = .released
                lock.signalAll()
            }
        }

        var isLost: Bool { lock.withLock { state == .lost } }
    }
}

/// Who holds a lock: a process of a boot of a host, with its start time and namespace, since numbers are used again and
/// containers count their own.
struct RunLockHolder: Codable, Equatable {
    var host: String
    var boot: String
    var namespace: String
    var process: Int32
    /// Clock ticks after boot at which the process started: field 22 of /proc/PID/stat.
    var started: String
    /// The scheduler's number of the job, and how often it had started that job before.
    var job: String?
    var restart: String?

    static func mine() -> RunLockHolder {
        let environment = ProcessInfo.processInfo.environment
        return RunLockHolder(
            host: hostName, boot: currentBoot, namespace: currentNamespace, process: getpid(),
            started: startTime(of: getpid()) ?? "",
            job: environment["SLURM_JOB_ID"] ?? environment["PBS_JOBID"] ?? environment["LSB_JOBID"],
            restart: environment["SLURM_RESTART_COUNT"])
    }

    /// Known dead, known alive, or (nil) not to be known from here.
    var lives: Bool? {
        guard host == hostName, boot == Self.currentBoot, namespace == Self.currentNamespace else { return nil }
        return Self.startTime(of: process) == started
    }

    /// Whether its process was killed but is not gone yet. That takes some time where it had much memory or the host is
    /// busy; the command that killed it, or its launcher, has ended before.
    var isEnding: Bool {
        lives == true && (Self.status(of: process).map(Self.isEnding) ?? false)
    }

    /// The same job, started again by its scheduler: which it does only when the start before has ended. (The same
    /// start of a job can run the program twice at a time, on two of its nodes.)
    func follows(_ other: RunLockHolder) -> Bool {
        guard let job, job == other.job else { return false }
        return restart != other.restart
    }

    private static var currentBoot: String {
        ((try? String(contentsOfFile: "/proc/sys/kernel/random/boot_id", encoding: .utf8)) ?? "").trimmingCharacters(
            in: .whitespacesAndNewlines)
    }

    private static var currentNamespace: String {
        (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/ns/pid")) ?? ""
    }

    /// Nil where there is no such process, or only its remains that nobody has waited for.
    static func startTime(of process: Int32) -> String? {
        guard let fields = status(of: process), fields[0] != "Z" else { return nil }
        return String(fields[19])
    }

    /// The fields of /proc/PID/stat after the process's name: the first here is the third there.
    private static func status(of process: Int32) -> [Substring]? {
        (try? String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8)).flatMap(statusFields)
    }

    static func statusFields(_ stat: String) -> [Substring]? {
        guard let name = stat.lastIndex(of: ")") else { return nil }
        let fields = stat[stat.index(after: name)...].split(separator: " ")
        return fields.count > 28 ? fields : nil
    }

    /// Whether SIGKILL waits for the process, or the kernel takes it apart (PF_EXITING in its flags).
    static func isEnding(_ fields: [Substring]) -> Bool {
        let flags = UInt64(fields[6]) ?? 0, pending = UInt64(fields[28]) ?? 0
        return flags & 4 != 0 || pending & (1 << UInt64(SIGKILL - 1)) != 0
    }
}

/// The file of a lock, as one process sees it.
struct RunLockFile: Sendable {
    let path: String
    let holder: RunLockHolder

    private var unique: String { "\(path).\(holder.host).\(holder.process).\(holder.started)" }

    func read() -> RunLockHolder? { Self.read(path) }

    private static func read(_ path: String) -> RunLockHolder? {
        guard let data = FileManager.default.contents(atPath: path) else { return nil }
        // What no lock of this program is has no living holder; a host that lost its power may leave an empty file.
        return (try? JSONDecoder().decode(RunLockHolder.self, from: data))
            ?? RunLockHolder(
                host: hostName, boot: RunLockHolder.mine().boot, namespace: RunLockHolder.mine().namespace,
                process: 0, started: "none")
    }

    /// Gives `name` to a file with this holder's description; false where the name is taken.
    func make(_ name: String) throws(Failure) -> Bool {
        try describe()
        defer { unlink(unique) }
        // The link's count is the truth: over NFS the answer to link(2) itself may be lost (open(2), O_EXCL).
        _ = link(unique, name)
        return (try? FileManager.default.attributesOfItem(atPath: unique))?[.referenceCount] as? Int == 2
    }

    private func describe() throws(Failure) {
        unlink(unique)
        do {
            try JSONEncoder().encode(holder).write(to: URL(fileURLWithPath: unique))
        } catch {
            throw Failure(
                .cannotCreate, "\(unique): the run folder cannot be written: \(SystemError.text(of: error))",
                remedy: SystemError.remedy(of: error, unique, writing: true))
        }
    }

    /// Puts this holder's lock in the place of a dead one's; false where the lock is another's by now, or another job
    /// is at it.
    ///
    /// Of those that found the same holder dead, the one that makes a second lock named after the dead looks again
    /// whether the lock is still the dead one's, and only then replaces it. So a lock just taken over is never taken
    /// for the old one.
    func takeOver(from dead: RunLockHolder) throws(Failure) -> Bool {
        let claim = "\(path).after.\(dead.host).\(dead.process).\(dead.started)"
        guard try make(claim) else {
            // A claim takes microseconds; one whose owner was killed in them is cleared away.
            if let owner = Self.read(claim), owner.lives == false { unlink(claim) }
            Thread.sleep(forTimeInterval: 0.05)
            return false
        }
        defer { unlink(claim) }
        guard read() == dead else { return false }
        try describe()
        guard rename(unique, path) == 0 else {
            let number = errno
            unlink(unique)
            throw Failure(
                .cannotCreate, "\(path): a dead job's lock cannot be replaced: \(SystemError.text(number))",
                remedy: SystemError.remedy(number, path, writing: true))
        }
        return true
    }

    func touch() { try? FileManager.default.setAttributes([.modificationDate: Date()], ofItemAtPath: path) }

    func touched() -> Date? {
        // Opening first has NFS ask its server anew instead of answering from its cache.
        _ = FileManager.default.contents(atPath: path)
        return (try? FileManager.default.attributesOfItem(atPath: path))?[.modificationDate] as? Date
    }
}
