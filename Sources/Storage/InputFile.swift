import Glibc
import Support

/// A regular file that is read by position. Says in a sentence why a path is not one.
final class InputFile {
    let path: String
    let size: Int
    private let descriptor: Int32

    convenience init(_ path: String) throws(Failure) { try self.init(BytePath(path)) }

    init(_ location: BytePath) throws(Failure) {
        path = location.text
        // A pipe without a writer would block an ordinary open for ever.
        descriptor = open(location.bytes, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
        guard descriptor >= 0 else {
            let number = errno
            throw Failure(
                SystemError.isOfTheSystem(number) ? .inputOutput : .missingInput,
                "\(path) cannot be opened: \(SystemError.text(number)).",
                remedy: SystemError.remedy(number, path, writing: false))
        }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else {
            let number = errno
            Glibc.close(descriptor)
            throw Failure(
                .inputOutput, "\(path) cannot be examined: \(SystemError.text(number)).",
                remedy: SystemError.remedy(number, path, writing: false))
        }
        guard status.st_mode & S_IFMT == S_IFREG else {
            let kind = status.st_mode & S_IFMT == S_IFDIR ? "a folder" : "not a regular file"
            Glibc.close(descriptor)
            throw .badData("\(path) is \(kind).", remedy: "Name a file.")
        }
        size = Int(status.st_size)
    }

    deinit { close(descriptor) }

    /// Exactly `target.count` bytes from `offset` on.
    func read(at offset: Int, into target: UnsafeMutableRawBufferPointer) throws(Failure) {
        var done = 0
        while done < target.count {
            let count = pread(descriptor, target.baseAddress! + done, target.count - done, offset + done)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                let number = errno
                let reason = count == 0 ? "it ends at byte \(offset + done)" : SystemError.text(number)
                throw Failure(
                    count == 0 ? .badData : .inputOutput, "Reading \(path) failed: \(reason).",
                    remedy: count == 0
                        ? "Check whether something else changes the file."
                        : SystemError.remedy(number, path, writing: false))
            }
            done += count
        }
    }

    func read(at offset: Int, count: Int) throws(Failure) -> [UInt8] {
        let target = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 16)
        defer { target.deallocate() }
        try read(at: offset, into: target)
        return Array(target)
    }
}
