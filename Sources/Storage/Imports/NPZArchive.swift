import CZip
import Glibc
import Support

/// A .npz file: a zip archive of .npy files, as numpy.savez and numpy.savez_compressed write it.
final class NPZArchive {
    let path: String
    /// The arrays' names, without the ending .npy, in the order of the archive.
    let names: [String]
    private let archive: OpaquePointer
    private let indices: [String: zip_uint64_t]

    init(_ path: String) throws(Failure) {
        _ = try InputFile(path)
        var code: Int32 = 0
        guard let archive = zip_open(path, ZIP_RDONLY, &code) else {
            var error = zip_error_t()
            zip_error_init_with_code(&error, code)
            defer { zip_error_fini(&error) }
            throw .badData(
                "\(path) is no zip archive, or is damaged: \(String(cString: zip_error_strerror(&error))).",
                remedy: "Name a file that numpy.savez wrote, or copy it again.")
        }
        var names: [String] = [], indices: [String: zip_uint64_t] = [:]
        for index in 0 ..< UInt64(max(0, zip_get_num_entries(archive, 0))) {
            guard let text = zip_get_name(archive, index, 0), case let name = String(cString: text),
                name.hasSuffix(".npy")
            else { continue }
            names.append(String(name.dropLast(4)))
            indices[names[names.count - 1]] = index
        }
        guard !names.isEmpty else {
            zip_discard(archive)
            throw .badData("\(path) holds no .npy array.", remedy: "Name a file that numpy.savez wrote.")
        }
        (self.path, self.archive, self.names, self.indices) = (path, archive, names, indices)
    }

    deinit { zip_discard(archive) }

    private func label(_ name: String) -> String { "\(name) in \(path)" }

    /// What the archive claims of an array; its first bytes are read.
    func header(_ name: String) throws(Failure) -> NPYHeader {
        let entry = try open(name)
        defer { zip_fclose(entry.file) }
        var start = [UInt8]()
        return try NPYHeader(label(name), size: entry.size) { (offset, count) throws(Failure) in
            while start.count < offset + count {
                start += try read(entry.file, name, min(1 << 16, entry.size - start.count))
            }
            return Array(start[offset ..< offset + count])
        }
    }

    /// The array, copied into a file without a name in `folder`, where its rows can be read in any order; its checksum
    /// is checked.
    func rows(_ name: String, folder: String) throws(Failure) -> NPYRows {
        _ = try header(name)
        let entry = try open(name)
        defer { zip_fclose(entry.file) }
        var template = Array("\(folder)/.npz-XXXXXX".utf8CString)
        let descriptor = mkstemp(&template)
        let temporary = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
        guard descriptor >= 0 else {
            throw Failure(
                .cannotCreate, "A temporary file in \(folder) cannot be made: \(SystemError.text(errno)).",
                remedy: "Make the folder, or give this user the right to write there.")
        }
        defer {
            close(descriptor)
            unlink(temporary)
        }
        var done = 0
        while done < entry.size {
            let bytes = try read(entry.file, name, min(1 << 20, entry.size - done))
            try write(bytes, to: descriptor, folder)
            done += bytes.count
        }
        // Past its end libzip compares the checksum.
        guard try read(entry.file, name, 1, atEnd: true).isEmpty else {
            throw .badData("\(label(name)) is longer than its archive says.", remedy: "Copy or save the file again.")
        }
        return try NPYRows(InputFile(temporary), label: label(name))
    }

    private func open(_ name: String) throws(Failure) -> (file: OpaquePointer, size: Int) {
        guard let index = indices[name] else {
            throw .badData(
                "\(path) has no array \(name); it has \(names.prefix(20).joined(separator: ", ")).",
                remedy: "Name one of these.")
        }
        var status = zip_stat_t()
        guard zip_stat_index(archive, index, 0, &status) == 0, status.valid & UInt64(ZIP_STAT_SIZE) != 0,
            let size = Int(exactly: status.size),
            let file = zip_fopen_index(archive, index, 0)
        else {
            throw .badData(
                "\(label(name)) cannot be read: \(String(cString: zip_strerror(archive))).",
                remedy: "Save it with numpy.savez, without a password.")
        }
        return (file, size)
    }

    private func read(
        _ file: OpaquePointer, _ name: String, _ count: Int, atEnd: Bool = false
    ) throws(Failure) -> [UInt8] {
        var got: zip_int64_t = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, initialised in
            got = count == 0 ? 0 : zip_fread(file, buffer.baseAddress, zip_uint64_t(count))
            initialised = max(0, Int(got))
        }
        guard got > 0 || (got == 0 && atEnd) else {
            let reason = got < 0 ? String(cString: zip_file_strerror(file)) : "it ends before its size"
            throw .badData("\(label(name)) is damaged: \(reason).", remedy: "Copy or save the file again.")
        }
        return bytes
    }

    private func write(_ bytes: [UInt8], to descriptor: Int32, _ folder: String) throws(Failure) {
        var done = 0
        while done < bytes.count {
            let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress! + done, bytes.count - done) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                throw Failure(
                    .inputOutput,
                    "A temporary copy of an array in \(folder) could not be written: \(SystemError.text(errno)).",
                    remedy: "Make room on the disk, then run again.")
            }
            done += count
        }
    }
}
