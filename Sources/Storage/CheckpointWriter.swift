import Glibc
import Kernels
import Support

/// Writes the checkpoints of a run one at a time, on a thread of its own while training goes on.
///
/// ``begin(_:)`` copies the state into memory that is kept from one checkpoint to the next; the thread builds the
/// image of it and commits it to the folder, with all that ``CheckpointFolder/commit(_:)`` promises. Where there is
/// no memory for a copy or no thread, ``begin(_:)`` writes before it returns. For one thread; it alone touches
/// ``CheckpointFolder`` meanwhile.
public final class CheckpointWriter: @unchecked Sendable {
    private let folder: CheckpointFolder
    private let lock = Lock()
    /// Guarded by `lock`: what became of the checkpoint that was begun.
    private var outcome: Result<String, Failure>?
    private var writing = false
    private var thread: WorkerThread?
    private var room: FloatBuffer?
    /// Guarded by `lock`.
    private var longest = 0.0

    public init(_ folder: CheckpointFolder) { self.folder = folder }

    /// The most seconds that a checkpoint has taken so far.
    public var slowest: Double { lock.withLock { longest } }

    /// Whether a checkpoint was begun and is done, well or not: ``finish()`` then does not wait.
    public var isFinished: Bool { lock.withLock { outcome != nil } }

    /// Begins to write `contents`, whose values may change once this returns. The one before must have been finished.
    /// `isBest`: it is kept as ``CheckpointFolder/keepBest(step:)`` says.
    public func begin(_ contents: CheckpointContents, isBest: Bool = false) {
        precondition(!writing, "a checkpoint begun while another is written")
        writing = true
        let start = monotonicSeconds()
        let copy = makeRoom(for: contents.valueCount).map { contents.copied(into: $0) }
        let write: @Sendable () -> Void = { [self] in
            let outcome = Result { () throws(Failure) in
                try folder.commit(CheckpointImage(copy ?? contents), isBest: isBest)
            }
            lock.withLock {
                self.outcome = outcome
                longest = max(longest, monotonicSeconds() - start)
            }
        }
        if copy != nil { thread = try? WorkerThread(.checkpoint, write) }
        if thread == nil { write() }
    }

    /// Waits for the checkpoint that was begun; its path, or nil if none was since the last call.
    public func finish() throws(Failure) -> String? {
        thread?.join()
        thread = nil
        writing = false
        let outcome = lock.withLock {
            defer { self.outcome = nil }
            return self.outcome
        }
        return try outcome?.get()
    }

    /// Memory for a copy of the state: made once. An image takes twice as much again while it is built, with or
    /// without a copy.
    private func makeRoom(for count: Int) -> Floats? {
        if let room { return room.values }
        let bytes = count * MemoryLayout<Float>.stride
        if let available = Self.availableMemory(), available < 4 * bytes { return nil }
        room = FloatBuffer(countIfThereIsRoom: count)
        return room?.values
    }

    /// What the kernel says may be allocated without swapping (proc(5), MemAvailable).
    private static func availableMemory() -> Int? {
        guard let file = fopen("/proc/meminfo", "re") else { return nil }
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 256)
        while fgets(&line, 256, file) != nil {
            let words = String(decoding: line.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self).split(
                separator: " ")
            if words.first == "MemAvailable:", words.count > 1, let kilobytes = Int(words[1]) { return kilobytes << 10 }
        }
        return nil
    }
}
