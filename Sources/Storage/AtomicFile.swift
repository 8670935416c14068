import Glibc
import Support

/// The calls by which a file reaches the disk, so that tests can make each of them fail.
struct SystemCalls: Sendable {
    var write: @Sendable (Int32, UnsafeRawPointer, Int) -> Int = { Glibc.write($0, $1, $2) }
    /// Returns an error number, as posix_fallocate does.
    var allocate: @Sendable (Int32, Int) -> Int32 = { posix_fallocate($0, 0, off_t($1)) }
    var fsync: @Sendable (Int32) -> Int32 = { Glibc.fsync($0) }
    var close: @Sendable (Int32) -> Int32 = { Glibc.close($0) }
    var rename: @Sendable (String, String) -> Int32 = { Glibc.rename($0, $1) }
}

/// A file that exists wholly or not at all: written under a temporary name in the same folder, forced to the disk,
/// looked at again, and only then given its name.
///
/// On any error the temporary file is removed and what had the name before is untouched. A failed fsync is never
/// tried again: Linux reports a lost page once and then calls it clean.
struct AtomicFile {
    let path: String
    let temporary: String
    var calls = SystemCalls()

    init(_ path: String, calls: SystemCalls = SystemCalls()) {
        self.path = path
        self.calls = calls
        let (folder, name) = Self.split(path)
        temporary = "\(folder)/.\(name).\(hostName).\(getpid()).tmp"
    }

    /// Refuses a name that is taken, unless `replacing`.
    static func refuseExisting(_ path: String, replacing: Bool) throws(Failure) {
        var status = stat()
        guard !replacing, lstat(path, &status) == 0 else { return }
        throw Failure(.cannotCreate, "\(path) exists already.", remedy: "Name another file, or remove this one.")
    }

    /// Writes `bytes`. `check` looks at the finished temporary file and throws where it is not as it should be.
    func write(
        _ bytes: UnsafeRawBufferPointer, check: (String) throws(Failure) -> Void = { _ in }
    ) throws(Failure) {
        try finish { () throws(Failure) in
            let descriptor = try open()
            var isOpen = true
            defer { if isOpen { _ = Glibc.close(descriptor) } }
            try reserve(descriptor, bytes.count)
            try writeAll(descriptor, bytes)
            guard calls.fsync(descriptor) == 0 else { throw failure("forced to the disk") }
            isOpen = false
            guard calls.close(descriptor) == 0 else { throw failure("closed") }
            try check(temporary)
        }
    }

    /// For files that a library writes by name: `body` makes the temporary file and closes it.
    func write(by body: (String) throws(Failure) -> Void) throws(Failure) {
        try finish { () throws(Failure) in
            // Made and removed, so that a folder which cannot be written gets a sentence of its own.
            _ = Glibc.close(try open())
            unlink(temporary)
            try body(temporary)
            let descriptor = Glibc.open(temporary, O_RDONLY | O_CLOEXEC)
            guard descriptor >= 0 else { throw failure("opened again") }
            let result = calls.fsync(descriptor)
            let number = errno
            _ = Glibc.close(descriptor)
            errno = number
            guard result == 0 else { throw failure("forced to the disk") }
        }
    }

    private func finish(_ body: () throws(Failure) -> Void) throws(Failure) {
        do throws(Failure) {
            try body()
            guard calls.rename(temporary, path) == 0 else { throw failure("renamed") }
        } catch {
            unlink(temporary)
            throw error
        }
        try Self.syncFolder(of: path, calls)
    }

    /// The new file, which nobody else has. One of that name is a leftover of a process that was killed.
    private func open() throws(Failure) -> Int32 {
        for _ in 0 ..< 2 {
            let descriptor = Glibc.open(temporary, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0o644)
            if descriptor >= 0 { return descriptor }
            guard errno == EEXIST else { break }
            unlink(temporary)
        }
        let failure = failure("created")
        throw Failure(.cannotCreate, failure.message, remedy: failure.remedy)
    }

    /// Takes the room beforehand, so that a full disk is found before a byte is written. Not all file systems can.
    private func reserve(_ descriptor: Int32, _ count: Int) throws(Failure) {
        let number = calls.allocate(descriptor, count)
        guard number != 0, ![EOPNOTSUPP, ENOSYS, EINVAL, EINTR, EPERM].contains(number) else { return }
        errno = number
        throw failure("given \(count) bytes of room")
    }

    private func writeAll(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer) throws(Failure) {
        var done = 0
        while done < bytes.count {
            let count = calls.write(descriptor, bytes.baseAddress! + done, min(bytes.count - done, 1 << 24))
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw failure("written after \(done) of \(bytes.count) bytes") }
            done += count
        }
    }

    private func failure(_ what: String) -> Failure {
        let number = errno
        return Failure(
            .inputOutput, "\(path) could not be \(what): \(SystemError.text(number)).",
            remedy: SystemError.remedy(number, path, writing: true))
    }

    /// Makes a new name last: the folder is data too.
    static func syncFolder(of path: String, _ calls: SystemCalls) throws(Failure) {
        let folder = split(path).folder
        let descriptor = Glibc.open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        // A folder may be writable but not readable.
        if descriptor < 0, errno == EACCES { return }
        defer { if descriptor >= 0 { _ = Glibc.close(descriptor) } }
        // File systems that keep no folders of their own say EINVAL.
        guard descriptor >= 0, calls.fsync(descriptor) == 0 || errno == EINVAL || errno == EROFS else {
            let number = errno
            throw Failure(
                .inputOutput, "The folder \(folder) could not be forced to the disk: \(SystemError.text(number)).",
                remedy: SystemError.remedy(number, folder, writing: true))
        }
    }

    static func split(_ path: String) -> (folder: String, name: String) {
        guard let slash = path.lastIndex(of: "/") else { return (".", path) }
        let folder = slash == path.startIndex ? "/" : String(path[..<slash])
        return (folder, String(path[path.index(after: slash)...]))
    }
}

/// A new file of given bytes, wholly or not at all.
public enum WholeFile {
    /// A file of that name is refused, unless `replacing`.
    public static func write(_ bytes: [UInt8], to path: String, replacing: Bool = false) throws(Failure) {
        try AtomicFile.refuseExisting(path, replacing: replacing)
        try bytes.withUnsafeBytesThrowing { (bytes) throws(Failure) in try AtomicFile(path).write(bytes) }
    }
}
