import CHDF5
import Glibc
import Support

/// What an error of a file that cannot be read means to its user, found by looking again at the file.
extension HDF5File {
    /// Runs `body`, which reads `path`, and makes plainer what it throws.
    static func explaining<Result>(
        _ path: String, _ body: () throws(Failure) -> Result
    ) throws(Failure) -> Result {
        do { return try body() } catch { throw explained(path, error) }
    }

    static func explained(_ path: String, _ error: Failure) -> Failure {
        guard error.code == .badData else { return error }
        if isLocked(path) || error.message.contains("already open for") {
            return .badData(
                "\(path) is open for writing in another program, and not whole yet: \(error.message)",
                remedy: """
                    Close it there (in h5py with file.close(), or end the notebook), then run again; if that program \
                    crashed, make the file again.
                    """)
        }
        if error.message.contains("version number") { return newer(path, error) }
        return error
    }

    /// HDF5 locks a file that it writes.
    private static func isLocked(_ path: String) -> Bool {
        let descriptor = Glibc.open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
        guard descriptor >= 0 else { return false }
        defer { Glibc.close(descriptor) }
        return flock(descriptor, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK
    }

    private static func newer(_ path: String, _ error: Failure) -> Failure {
        var (major, minor, release): (UInt32, UInt32, UInt32) = (0, 0, 0)
        HDF5Library.withLock { _ = H5get_libversion(&major, &minor, &release) }
        let writers = [("layout message", "HDF5 2.0 or later"), ("datatype", "HDF5 1.12 or later")]
        let writer = writers.first { error.message.contains($0.0) }?.1 ?? "a later HDF5"
        let superblock = superblockVersion(path).map { ", superblock version \($0)" } ?? ""
        return .badData(
            """
            \(path) was written in a newer format than this program's HDF5 \(major).\(minor).\(release) reads, that of \
            \(writer)\(superblock) \
            (or it is damaged): \(error.message)
            """,
            remedy: """
                Write it in the format of 1.10: in h5py with h5py.File(name, "w", libver=("earliest", "v110")), \
                or copy it with the newer HDF5's h5repack --low=0 --high=2 OLD.h5 NEW.h5.
                """)
    }

    private static func superblockVersion(_ path: String) -> UInt8? {
        guard let file = try? InputFile(path), let start = try? signatureOffset(file) else { return nil }
        return try? file.read(at: start + 8, count: 1).first
    }

    /// Where HDF5's signature stands: at 0, 512, 1024, 2048, … (HDF5 file format, "Superblock"); nil where it does not.
    static func signatureOffset(_ file: InputFile) throws(Failure) -> Int? {
        let signature: [UInt8] = [0x89, 0x48, 0x44, 0x46, 0x0d, 0x0a, 0x1a, 0x0a]
        var offset = 0
        while offset + 8 <= file.size {
            if try file.read(at: offset, count: 8) == signature { return offset }
            offset = offset == 0 ? 512 : 2 * offset
        }
        return nil
    }

    /// Whether MATLAB wrote it (`save -v7.3`): its text stands in the 512 bytes before HDF5's own.
    var isMATLAB: Bool {
        guard let file = try? InputFile(name), file.size > 512,
            let start = try? file.read(at: 0, count: 10)
        else { return false }
        return start == Array("MATLAB 7.3".utf8)
    }
}

// MARK: - What a file holds

extension HDF5File {
    /// The datasets of all groups with their shapes and types, as far as they can be read: at most `limit` of them.
    func listing(limit: Int = 30) -> String {
        var found: [String] = [], visited = 0
        list("", (try? root.names()) ?? [], limit: limit, &visited, &found)
        guard !found.isEmpty else { return "no datasets" }
        return found.prefix(limit).joined(separator: ", ") + (found.count > limit ? ", and more" : "")
    }

    private func list(_ path: String, _ names: [String], limit: Int, _ visited: inout Int, _ found: inout [String]) {
        // Links may go in circles.
        guard path.count(where: { $0 == "/" }) < 16 else { return }
        for name in names {
            visited += 1
            guard found.count <= limit, visited <= 1000 else { return }
            let child = "\(path)/\(name)"
            switch try? object(child) {
            case .dataset(let dataset): found.append("\(child) \(dataset.dimensions) \(dataset.type)")
            case .group(let group): list(child, (try? group.names()) ?? [], limit: limit, &visited, &found)
            case .absent, nil: found.append("\(child) (not readable)")
            }
        }
    }
}
