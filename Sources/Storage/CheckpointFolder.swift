import Glibc
import Support

/// The folder `checkpoints` of a run: `step-00001000.h5`, …, `latest`, a link to the newest, and `best`, a link to the
/// best by a measure where there is one.
///
/// The step in the name gives the order; times and links decide nothing.
public final class CheckpointFolder: @unchecked Sendable {
    public let path: String
    /// How many of the newest good checkpoints stay.
    public let keep: Int
    private let calls: SystemCalls
    private let lock = Lock()
    /// Checkpoints that this process has verified, by what the file system says of them; guarded by `lock`.
    private var verified: [String: Fingerprint] = [:]
    /// The step of the checkpoint that is never removed; guarded by `lock`.
    private var best: Int?

    private struct Fingerprint: Equatable { let inode: UInt, bytes: Int, seconds: Int, nanoseconds: Int }

    public convenience init(_ path: String, keep: Int) { self.init(path, keep: keep, calls: SystemCalls()) }

    init(_ path: String, keep: Int, calls: SystemCalls) {
        precondition(keep >= 1, "\(keep) checkpoints to keep")
        (self.path, self.keep, self.calls) = (path, keep, calls)
        // What a job before has kept stays, whether this one measures anything or not.
        var name = [UInt8](repeating: 0, count: 256)
        let length = name.withUnsafeMutableBytes { readlink(path + "/best", $0.baseAddress!, $0.count) }
        if length > 0 { best = Self.step(named: String(decoding: name.prefix(length), as: UTF8.self)) }
    }

    /// The step of a checkpoint by its file's name; nil of other files.
    private static func step(named name: String) -> Int? {
        guard name.hasPrefix("step-"), name.hasSuffix(".h5"), let step = Int(name.dropFirst(5).dropLast(3)),
            step >= 0, name == Self.name(step: step)
        else { return nil }
        return step
    }

    public static func name(step: Int) -> String {
        let digits = String(step)
        return "step-" + String(repeating: "0", count: max(0, 8 - digits.count)) + digits + ".h5"
    }

    public func file(step: Int) -> String { path + "/" + Self.name(step: step) }

    /// Makes the folder where it is missing.
    public func create() throws(Failure) {
        var status = stat()
        if mkdir(path, 0o755) == 0
            || (errno == EEXIST && stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR)
        {
            return
        }
        let number = errno
        throw Failure(
            .cannotCreate, "The folder \(path) cannot be made: \(SystemError.text(number)).",
            remedy: SystemError.remedy(number, path, writing: true))
    }

    /// The steps of all files named as checkpoints, newest first; none where there is no folder.
    public func steps() throws(Failure) -> [Int] {
        try entries().compactMap(Self.step).sorted(by: >)
    }

    private func entries() throws(Failure) -> [String] {
        guard let folder = opendir(path) else {
            let number = errno
            if number == ENOENT { return [] }
            throw Failure(
                SystemError.isOfTheSystem(number) ? .inputOutput : .missingInput,
                "The folder \(path) cannot be read: \(SystemError.text(number)).",
                remedy: SystemError.remedy(number, path, writing: false))
        }
        defer { closedir(folder) }
        var names: [String] = []
        while true {
            errno = 0
            guard let entry = readdir(folder) else { break }
            names.append(
                withUnsafePointer(to: &entry.pointee.d_name) {
                    $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
                })
        }
        // A list cut short would have a run begin anew.
        let number = errno
        guard number == 0 else {
            throw Failure(
                .inputOutput, "The folder \(path) cannot be read: \(SystemError.text(number)).",
                remedy: SystemError.remedy(number, path, writing: false))
        }
        return names
    }

    // MARK: Writing

    /// Writes a checkpoint so that it survives a crash from here on, points `latest` to it, and `best` where it is
    /// that, and removes the older ones beyond `keep` good ones. Returns its path. On an error nothing that was there
    /// before is changed.
    @discardableResult public func commit(_ image: CheckpointImage, isBest: Bool = false) throws(Failure) -> String {
        let target = file(step: image.step)
        do {
            try image.write(to: target, calls)
        } catch {
            // The folder was there when the run began: whatever fails now is a failure while running.
            throw Failure(.inputOutput, error.message, remedy: error.remedy)
        }
        remember(target)
        point("latest", to: image.step)
        if isBest { keepBest(step: image.step) }
        prune(below: image.step)
        return target
    }

    /// Points `best` to the checkpoint of this step, which is there, and removes it no more; that of before is one as
    /// all others.
    public func keepBest(step: Int) {
        lock.withLock { best = step }
        point("best", to: step)
    }

    /// A convenience for people, never read by the program; some file systems have no links. So failure does not
    /// matter.
    private func point(_ link: String, to step: Int) {
        let temporary = "\(path)/.\(link).\(hostName).\(getpid()).tmp"
        unlink(temporary)
        guard symlink(Self.name(step: step), temporary) == 0 else { return }
        if rename(temporary, "\(path)/\(link)") != 0 { unlink(temporary) }
    }

    /// Removes checkpoints older than the `keep` newest good ones up to `step`, but not the best. Files that cannot be
    /// listed or removed stay.
    private func prune(below step: Int) {
        guard let steps = try? steps() else { return }
        let best = lock.withLock { self.best }
        var good = 0
        for candidate in steps where candidate <= step {
            let file = file(step: candidate)
            if good >= keep {
                if candidate != best { unlink(file) }
            } else if isVerified(file) {
                good += 1
            }
        }
    }

    private func isVerified(_ file: String) -> Bool {
        let known = lock.withLock { verified[file] }
        if let known, known == fingerprint(file) { return true }
        guard (try? CheckpointFile.verify(file)) != nil else { return false }
        remember(file)
        return true
    }

    private func remember(_ file: String) {
        let fingerprint = fingerprint(file)
        lock.withLock { verified[file] = fingerprint }
    }

    private func fingerprint(_ file: String) -> Fingerprint? {
        var status = stat()
        guard stat(file, &status) == 0 else { return nil }
        return Fingerprint(
            inode: UInt(status.st_ino), bytes: Int(status.st_size),
            seconds: status.st_mtim.tv_sec, nanoseconds: status.st_mtim.tv_nsec)
    }

    /// Removes temporary files of processes that were killed. Only for the holder of the run folder.
    public func removeLeftovers() {
        guard let names = try? entries() else { return }
        for name in names
        where name.hasSuffix(".tmp") && [".step-", ".latest.", ".best."].contains(where: name.hasPrefix) {
            unlink(path + "/" + name)
        }
    }

    // MARK: Reading

    /// The newest good checkpoint. Bad ones are skipped with a warning each that names file and reason; nil where
    /// there is no checkpoint at all; an error where there are only bad ones.
    public func newestValid(
        warn: (String) -> Void
    ) throws(Failure) -> (path: String, contents: CheckpointContents)? {
        let steps = try steps()
        var last: Failure?
        for step in steps {
            let file = file(step: step)
            do throws(Failure) {
                let contents = try CheckpointFile.read(file)
                guard contents.step == step else {
                    throw Failure.badData(
                        "\(file) holds step \(contents.step).", remedy: "Give it back its own name.")
                }
                return (file, contents)
            } catch {
                warn("skipping a bad checkpoint: \(error.message)")
                last = error
            }
        }
        guard let last else { return nil }
        throw Failure(
            last.code == .inputOutput ? .inputOutput : .badData,
            "None of the \(steps.count) checkpoints in \(path) is good; the oldest: \(last.message)",
            remedy: "Restore one from a backup, or start again in a new run folder.")
    }
}
