import CZlib
import Glibc
import Support

/// A file read from its beginning to its end, uncompressed on the way where it is a gzip file (zlib's gzread reads
/// both).
final class GzipFile {
    let path: String
    private let file: gzFile

    init(_ path: String) throws(Failure) {
        _ = try InputFile(path)
        self.path = path
        guard let file = gzopen(path, "rb") else {
            let number = errno
            throw Failure(
                SystemError.isOfTheSystem(number) ? .inputOutput : .missingInput,
                "\(path) cannot be opened: \(SystemError.text(number)).",
                remedy: SystemError.remedy(number, path, writing: false))
        }
        self.file = file
        gzbuffer(file, 1 << 18)
    }

    deinit { gzclose(file) }

    /// The next `count` bytes; a file that ends before is an error that says `what` was being read.
    func read(_ count: Int, _ what: String) throws(Failure) -> [UInt8] {
        precondition(count >= 0 && count <= 1 << 30, "\(count) bytes at once")
        var done = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, initialised in
            while done < count {
                let got = gzread(file, buffer.baseAddress! + done, UInt32(count - done))
                guard got > 0 else { break }
                done += Int(got)
            }
            initialised = done
        }
        guard done == count else {
            throw .badData(
                "\(path) ends or is damaged in \(what): \(reason).", remedy: "Copy or download the file again.")
        }
        return bytes
    }

    /// The next `count` bytes, or nil where the file ends before them.
    func readIfAny(_ count: Int, _ what: String) throws(Failure) -> [UInt8]? {
        let next = gzgetc_(file)
        if next < 0, errorNumber == Z_OK, gzeof(file) != 0 { return nil }
        guard next >= 0, gzungetc(next, file) == next else {
            throw .badData("\(path) is damaged in \(what): \(reason).", remedy: "Copy or download the file again.")
        }
        return try read(count, what)
    }

    /// All that is left, which is at most 1 GiB.
    func readAll(_ what: String) throws(Failure) -> [UInt8] {
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 1 << 20)
        while true {
            let got = gzread(file, &piece, UInt32(piece.count))
            if got > 0 { bytes += piece.prefix(Int(got)) }
            guard bytes.count <= 1 << 30 else {
                throw .badData(
                    "\(path) has more than 1 GiB of \(what).", remedy: "Check that it is the file that was meant.")
            }
            if got == 0 { break }
            guard got > 0 else {
                throw .badData("\(path) is damaged in \(what): \(reason).", remedy: "Copy or download the file again.")
            }
        }
        try expectEnd()
        return bytes
    }

    /// Nothing may be left, and the checksum of a gzip file must be right.
    func expectEnd() throws(Failure) {
        var byte: UInt8 = 0
        let got = gzread(file, &byte, 1)
        guard got == 0, gzeof(file) != 0, errorNumber == Z_OK else {
            throw .badData(
                got > 0 ? "\(path) is longer than its header says." : "\(path) is damaged at its end: \(reason).",
                remedy: "Copy or download the file again.")
        }
    }

    private var errorNumber: Int32 {
        var number: Int32 = 0
        _ = gzerror(file, &number)
        return number
    }

    private var reason: String {
        var number: Int32 = 0
        let text = gzerror(file, &number)
        return number == Z_OK || text == nil ? "there are no more bytes" : String(cString: text!)
    }
}
