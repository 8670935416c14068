import Support

/// Importing the binary version of CIFAR-10 or CIFAR-100 (Krizhevsky 2009,
/// https://www.cs.toronto.edu/~kriz/cifar.html) into HDF5.
///
/// A record is one byte of label (CIFAR-100: the coarse one, then the fine one, which is kept), then 32 × 32 bytes of
/// red, of green and of blue, row by row.
public enum CIFAR: String, Sendable, CaseIterable {
    case cifar10
    case cifar100

    public enum Part: String, Sendable, CaseIterable { case train, test }

    private static let side = 32
    private static let pixels = 1024

    private var title: String { self == .cifar10 ? "CIFAR-10" : "CIFAR-100" }
    private var labelBytes: Int { self == .cifar10 ? 1 : 2 }
    private var classes: Int { self == .cifar10 ? 10 : 100 }
    private var recordBytes: Int { labelBytes + 3 * Self.pixels }

    /// The files of a part in the archive, in their order.
    private func names(of part: Part) -> [String] {
        switch (self, part) {
        case (.cifar10, .train): (1 ... 5).map { "data_batch_\($0).bin" }
        case (.cifar10, .test): ["test_batch.bin"]
        case (.cifar100, _): ["\(part.rawValue).bin"]
        }
    }

    /// Writes the images of `files`, in their order, with their labels to `output`; `keep` nil keeps all classes.
    public func run(files: [String], keep: Set<Int>?, to output: String) throws(Failure) {
        try AtomicFile.refuseExisting(output, replacing: false)
        var records: [UInt8] = []
        for path in files { try records += checked(GzipFile(path).readAll("its records"), path) }
        try write(records, source: files.joined(separator: " "), keep, to: output)
    }

    /// Writes the images of a part of the archive `cifar-….tar.gz` as it is downloaded.
    public func run(archive: String, part: Part, keep: Set<Int>?, to output: String) throws(Failure) {
        try AtomicFile.refuseExisting(output, replacing: false)
        let wanted = names(of: part)
        let members = try TarArchive.members(of: archive, named: wanted)
        var records: [UInt8] = []
        for name in wanted {
            guard let bytes = members[name] else {
                throw .badData(
                    "\(archive) has no file \(name), as the binary version of \(title) has.",
                    remedy: "Download the binary version (…-binary.tar.gz), not that for Python or Matlab.")
            }
            try records += checked(bytes, "\(archive): \(name)")
        }
        try write(records, source: archive, keep, to: output)
    }

    private func checked(_ bytes: [UInt8], _ path: String) throws(Failure) -> [UInt8] {
        guard !bytes.isEmpty, bytes.count % recordBytes == 0 else {
            throw .badData(
                "\(path) has \(bytes.count) bytes, "
                    + "which are not records of \(recordBytes) as \(title)'s binary files have.",
                remedy: "Name the .bin files of \(title)'s binary version; copy or download them again.")
        }
        for start in stride(from: labelBytes - 1, to: bytes.count, by: recordBytes) where Int(bytes[start]) >= classes {
            throw .badData(
                "\(path): image \(start / recordBytes) has the label \(bytes[start]); \(title) has 0 … \(classes - 1).",
                remedy: "Check that the files are those of \(title)'s binary version.")
        }
        return bytes
    }

    private func write(_ records: [UInt8], source: String, _ keep: Set<Int>?, to output: String) throws(Failure) {
        let starts = stride(from: 0, to: records.count, by: recordBytes).filter {
            keep?.contains(Int(records[$0 + labelBytes - 1])) ?? true
        }
        guard !starts.isEmpty else {
            throw .badData(
                "None of the images has one of the labels \(keep?.sorted() ?? []).",
                remedy: "Give labels of 0 … \(classes - 1) with --keep.")
        }
        let description = DatasetDescription(
            name: title, source: source, license: "see https://www.cs.toronto.edu/~kriz/cifar.html",
            dimensions: [starts.count, Self.side, Self.side, 3], element: .uint8, range: [0, 255])
        try DatasetWriter.write(output, description) { (writer) throws(Failure) in
            for start in starts { try writer.append(Self.channelsLast(records[(start + labelBytes)...])) }
            writer.labels = starts.map { Int(records[$0 + labelBytes - 1]) }
        }
    }

    /// The planes of an image as its pixels.
    private static func channelsLast(_ planes: ArraySlice<UInt8>) -> [UInt8] {
        var image = [UInt8](repeating: 0, count: 3 * pixels)
        for channel in 0 ..< 3 {
            for pixel in 0 ..< pixels {
                image[3 * pixel + channel] = planes[planes.startIndex + channel * pixels + pixel]
            }
        }
        return image
    }
}
