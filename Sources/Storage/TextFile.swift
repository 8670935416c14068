import Glibc
import Support

/// Small text files that users write.
public enum TextFile {
    /// The text of the file `path`, or of a pipe, as the shell's <(…) is one; in UTF-8, or in UTF-16 with its mark.
    /// Throws 66 where it cannot be opened, 65 where it is no text or has more than `limit` bytes.
    public static func read(_ path: String, limit: Int) throws(Failure) -> String {
        let bytes = try bytes(path, limit)
        guard bytes.count <= limit else {
            throw .badData("\(path) has more than \(limit) bytes.", remedy: "Check that it is the file that you mean.")
        }
        if bytes.starts(with: [0x89, 0x48, 0x44, 0x46]) {
            throw .badData(
                "\(path) is an HDF5 file, not a text.",
                remedy: "A dataset is named with --data, a checkpoint with --resume.")
        }
        for (mark, isLittle) in [([0xFF, 0xFE] as [UInt8], true), ([0xFE, 0xFF], false)] where bytes.starts(with: mark)
        {
            let units = stride(from: 2, to: bytes.count - 1, by: 2).map {
                UInt16(bytes[$0]) << (isLittle ? 0 : 8) | UInt16(bytes[$0 + 1]) << (isLittle ? 8 : 0)
            }
            if bytes.count % 2 == 0, let text = String(validating: units, as: UTF16.self) { return text }
            throw .badData("\(path) begins as UTF-16 and is not.", remedy: "Save it in UTF-8.")
        }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw .badData(
                "\(path) is not text in UTF-8.", remedy: "Save it in UTF-8, or check that it is the file that you mean."
            )
        }
        return text
    }

    /// At most one byte more than `limit`.
    private static func bytes(_ path: String, _ limit: Int) throws(Failure) -> [UInt8] {
        var status = stat()
        guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFIFO else {
            let file = try InputFile(path)
            return try file.read(at: 0, count: min(file.size, limit + 1))
        }
        let descriptor = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
        defer { if descriptor >= 0 { close(descriptor) } }
        var (bytes, piece) = ([UInt8](), [UInt8](repeating: 0, count: 1 << 16))
        while bytes.count <= limit {
            let count = Glibc.read(descriptor, &piece, piece.count)
            if count > 0 { bytes += piece.prefix(count) }
            if count == 0 { break }
            if count > 0 || errno == EINTR { continue }
            let number = errno
            var ready = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            // One that nobody writes to must not hold the program for ever.
            if number == EAGAIN, poll(&ready, 1, 10_000) > 0 { continue }
            throw Failure(
                .missingInput,
                "\(path) cannot be read: "
                    + (number == EAGAIN ? "nothing comes out of the pipe." : "\(SystemError.text(number))."),
                remedy: SystemError.remedy(number, path, writing: false))
        }
        return bytes
    }
}
