import CHDF5
import Glibc
import Support

/// The bytes of a checkpoint in memory, complete with trailer: built on the thread that owns the values, written by
/// any.
///
/// HDF5 never touches the disk, so a crash inside it, or a kill at any time, leaves no half-written HDF5 file.
public final class CheckpointImage: @unchecked Sendable {
    private let memory: UnsafeMutableRawBufferPointer
    public let step: Int
    /// SHA-256 of the HDF5 part, in hexadecimal.
    public let sha256: String

    public init(_ contents: CheckpointContents) throws(Failure) {
        guard let step = contents.integer("step"), step >= 0 else { preconditionFailure("a checkpoint without a step") }
        let valueBytes = contents.arrays.reduce(0) { $0 + ($1.doubles == nil ? 4 : 8) * $1.count }
        let file = try HDF5File.createInMemory(
            name: CheckpointFolder.name(step: step), increment: valueBytes + (1 << 20))
        try file.root.setAttribute("format", .string(CheckpointContents.format))
        try file.root.setAttribute("format_version", .integer(CheckpointContents.formatVersion))
        for (name, value) in contents.attributes { try file.root.setAttribute(name, value) }
        for array in contents.arrays {
            let dataset: HDF5Dataset
            if let doubles = array.doubles {
                dataset = try file.write(array.path, array.dimensions, doubles)
            } else {
                dataset = try file.makeDataset(array.path, array.dimensions, as: Float.self)
                try array.withValues { (values) throws(Failure) in try dataset.write(values) }
            }
            try dataset.location.setAttribute("layout", .string(array.layout))
        }
        memory = try file.image(extra: CheckpointTrailer.byteCount)
        let payload = UnsafeRawBufferPointer(rebasing: memory[..<(memory.count - CheckpointTrailer.byteCount)])
        let trailer = CheckpointTrailer(payload: payload, step: step)
        UnsafeMutableRawBufferPointer(rebasing: memory[payload.count...]).copyBytes(from: trailer.bytes)
        self.step = step
        sha256 = SHA256.text(trailer.digest)
    }

    deinit { free(memory.baseAddress) }

    public var byteCount: Int { memory.count }
    /// Valid as long as a variable holds the image.
    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(memory) }

    /// Writes the image to `path`, wholly or not at all, and reads it back.
    public func write(to path: String) throws(Failure) { try write(to: path, SystemCalls()) }

    func write(to path: String, _ calls: SystemCalls) throws(Failure) {
        try AtomicFile(path, calls: calls).write(bytes) { (temporary) throws(Failure) in
            guard try CheckpointFile.verify(temporary).sha256 == sha256 else {
                throw Failure(
                    .inputOutput, "\(path) reads back other than it was written.", remedy: "Check the disk.")
            }
        }
    }
}

/// Reading checkpoints. The trailer and the SHA-256 are checked before HDF5 parses a byte.
public enum CheckpointFile {
    /// What the trailer says, after it was found true.
    public struct Identity: Sendable, Equatable {
        public let step: Int
        public let byteCount: Int
        public let sha256: String
    }

    /// Checks size, trailer and SHA-256.
    public static func verify(_ path: String) throws(Failure) -> Identity {
        let (memory, trailer) = try load(path)
        free(memory.baseAddress)
        return Identity(step: trailer.step, byteCount: memory.count, sha256: SHA256.text(trailer.digest))
    }

    /// Everything a checkpoint holds, checked.
    public static func read(_ path: String) throws(Failure) -> CheckpointContents {
        let (memory, trailer) = try load(path)
        defer { free(memory.baseAddress) }
        let file = try HDF5File.openImage(.init(rebasing: memory[..<trailer.payloadBytes]), name: path)
        var contents = CheckpointContents(attributes: try file.root.attributes(), arrays: [])
        guard contents.string("format") == CheckpointContents.format else {
            throw .badData(
                "\(path) is not a checkpoint: its attribute format is \(contents.string("format") ?? "missing").",
                remedy: "Name a file from a run's folder checkpoints.")
        }
        guard contents.integer("format_version") == CheckpointContents.formatVersion else {
            throw .badData(
                "\(path) has format_version \(contents.attribute("format_version")?.description ?? "missing"); "
                    + "this program reads 1.",
                remedy: "Use the version of gan-dist that wrote it.")
        }
        guard contents.integer("step") == trailer.step, trailer.step <= 1 << 32 else {
            throw .badData(
                "\(path) holds step \(contents.step), its trailer says \(trailer.step).",
                remedy: CheckpointTrailer.remedy)
        }
        for name in try file.root.names() { try readArrays(file, "/" + name, into: &contents.arrays) }
        return contents
    }

    private static func readArrays(
        _ file: HDF5File, _ path: String, into arrays: inout [CheckpointArray]
    ) throws(Failure) {
        switch try file.object(path) {
        case .absent: break
        case .group(let group): for name in try group.names() { try readArrays(file, path + "/" + name, into: &arrays) }
        case .dataset(let dataset):
            let name = String(path.dropFirst()), dimensions = dataset.dimensions
            guard [.float(bytes: 4), .float(bytes: 8)].contains(dataset.type) else {
                throw .badData(
                    "\(dataset.label) is of type \(dataset.type), not float32 or float64.",
                    remedy: CheckpointTrailer.remedy)
            }
            try dataset.checkStorage()
            var layout = ""
            if case .string(let text)? = try dataset.location.attribute("layout") { layout = text }
            arrays.append(
                dataset.type == .float(bytes: 8)
                    ? CheckpointArray(
                        path: name, dimensions: dimensions, layout: layout, doubles: try dataset.readAll(Double.self))
                    : CheckpointArray(
                        path: name, dimensions: dimensions, layout: layout, values: try dataset.readAll(Float.self)))
        }
    }

    /// The file's bytes, which match their SHA-256. The caller frees them.
    private static func load(_ path: String) throws(Failure) -> (UnsafeMutableRawBufferPointer, CheckpointTrailer) {
        let file = try InputFile(path)
        guard file.size > CheckpointTrailer.byteCount else {
            throw .badData(
                "\(path) has only \(file.size) bytes: it is cut short, or is not a checkpoint.",
                remedy: CheckpointTrailer.remedy)
        }
        let tail = try file.read(at: file.size - CheckpointTrailer.byteCount, count: CheckpointTrailer.byteCount)
        let trailer = try CheckpointTrailer(tail[...], of: path, fileBytes: file.size)
        guard let start = malloc(file.size) else {
            throw Failure(
                .inputOutput, "No memory for the \(file.size) bytes of \(path).", remedy: "Give the job more memory.")
        }
        let memory = UnsafeMutableRawBufferPointer(start: start, count: file.size)
        do throws(Failure) {
            try file.read(at: 0, into: memory)
            let payload = UnsafeRawBufferPointer(rebasing: memory[..<trailer.payloadBytes])
            guard SHA256.digest(payload) == trailer.digest, Array(memory[trailer.payloadBytes...]) == tail else {
                throw Failure.badData(
                    "\(path) is damaged: its SHA-256 is not the one that was written.", remedy: CheckpointTrailer.remedy
                )
            }
        } catch {
            free(start)
            throw error
        }
        return (memory, trailer)
    }
}
