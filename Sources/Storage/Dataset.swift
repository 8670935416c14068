import Kernels
import Support

/// What becomes of images of another size than the network's.
public enum ImageFit: String, Sendable, CaseIterable, Codable {
    /// An error.
    case refuse
    /// Surrounded by the lowest value of the range, centred; the odd row or column is at the bottom or right.
    case pad
    /// Bilinear interpolation between the centres of pixels, edges repeated, no smoothing before shrinking
    /// (PyTorch's `interpolate(mode="bilinear", align_corners=False)`).
    case resize
}

/// An open dataset of examples in an HDF5 file: images or vectors, its type, layout and range, all checked.
///
/// `/images` [N, H, W, C] or [N, H, W] (or with channels first, by the attribute `layout`), else `/samples` [N, D];
/// uint8 or float16/32/64 of either byte order. `/labels` [N] belong to these two. Nothing of the values is read yet.
public final class Dataset: Sendable {
    /// How the numbers of an example lie in the file.
    public enum Layout: String, Sendable {
        case channelsLast = "NHWC"
        case channelsFirst = "NCHW"
        case vector = "ND"
    }

    public let path: String
    /// The dataset's path in the file.
    public let name: String
    /// The number of examples.
    public let count: Int
    /// The shape of an example as the program sees it: [H, W, C] or [D].
    public let shape: [Int]
    public let layout: Layout
    /// As stored: "uint8", "float32", ….
    public let storedType: String
    /// The values that mean black and white, where the file says so; [0, 255] for uint8 without the attribute.
    public let declaredRange: ClosedRange<Double>?
    /// The file's attribute.
    let attributeRange: ClosedRange<Double>?
    /// How the user may say what the file does not.
    let options: DatasetOptions
    public let title, source, license: String?
    /// What the points were drawn from, where the file says so: its attributes `modes` and `deviation`.
    public let mixture: Mixture?
    let stored: HDF5Dataset
    let chunk: HDF5Dataset.Chunk?
    /// Whether the values are bytes: uint8, or booleans.
    public let isBytes: Bool
    private let file: HDF5File
    private let hasLabels: Bool

    /// Whether the file has the attribute `range`.
    public var statesRange: Bool { attributeRange != nil }

    /// Whether a file has a dataset of this name; false where it cannot be read.
    public static func holds(_ name: String, in path: String) -> Bool {
        guard let file = try? HDF5File.openToRead(path),
            case .dataset? = try? file.object(name.hasPrefix("/") ? name : "/" + name)
        else { return false }
        return true
    }

    /// Numbers in one example.
    public var elements: Int { shape.reduce(1, *) }

    /// What all stored values take in memory: bytes stay bytes, all others become float32.
    public var storedBytes: Int { count * elements * (isBytes ? 1 : 4) }

    /// Reads all values, as they are stored, into memory of ``storedBytes``, for ``SampleSource``.
    public func read(into memory: Floats) throws(Failure) {
        precondition(memory.bytes.count >= storedBytes, "room for \(memory.bytes.count) bytes of \(storedBytes)")
        if isBytes {
            try stored.read(into: memory.asStored(count * elements, of: UInt8.self))
        } else {
            try stored.read(into: memory.asStored(count * elements, of: Float.self))
        }
    }

    /// Opens `path` and checks everything that can be known without reading the values. `name` nil finds `/images` or
    /// `/samples`. `labelled`: `/labels` belong to a dataset of another name, too.
    public init(
        _ path: String, dataset name: String? = nil, options: DatasetOptions = .tool, labelled: Bool = false
    ) throws(Failure) {
        try DatasetInspection.require(path, dataset: name, options: options)
        file = try HDF5File.openToRead(path)
        self.options = options
        do {
            let found = try Self.find(name, in: file, options)
            chunk = try found.readChunk()
            stored = try found.cachingRow(of: chunk)
            self.path = path
            self.name = stored.path
            isBytes = try Self.checkType(stored)
            (count, shape, layout) = try Self.checkShape(stored, options)
            try stored.checkStorage()
            storedType = stored.type.description
            attributeRange = try Self.range(of: stored)
            declaredRange = attributeRange ?? (stored.type == .integer(bytes: 1, signed: false) ? 0 ... 255 : nil)
            title = try Self.text("name", file)
            source = try Self.text("source", file)
            license = try Self.text("license", file)
            mixture = try Self.mixture(in: file, dimension: shape.count == 1 ? shape[0] : 0)
        } catch {
            throw HDF5File.explained(path, error)
        }
        hasLabels = labelled || name == nil || name == "images" || name == "/images"
    }

    /// One label for each example, in order, which may be any number; nil where the file has none. Read when they are
    /// asked for: what nothing uses refuses nothing.
    public var labels: [Int]? {
        get throws(Failure) {
            guard hasLabels else { return nil }
            if case .absent = try file.object("/labels") { return nil }
            return try labels(at: "/labels")
        }
    }

    private func labels(at name: String) throws(Failure) -> [Int] {
        let stored = try file.dataset(name.hasPrefix("/") ? name : "/" + name, options)
        try stored.checkStorage()
        return try stored.cachingRow(of: stored.readChunk()).readLabels(examples: count)
    }

    /// The labels of this name; nil: ``labels``.
    public func labels(named name: String?) throws(Failure) -> [Int]? {
        guard let name else { return try labels }
        return try labels(at: name)
    }

    /// The names of the labels 0, 1, …, where the file has them, a line a name: its attribute `label_names` is such a
    /// text, or a list of texts.
    public var labelNames: String? {
        get throws(Failure) {
            guard try file.root.attributeNames().contains("label_names"),
                case .texts(let names)? = try AttributeCopy("label_names", of: file.root)?.values
            else { return nil }
            return names.joined(separator: "\n")
        }
    }

    /// The same file, shape, type and first and last examples give the same number: for ranks to compare.
    public func fingerprint() throws(Failure) -> UInt64 {
        var bytes = Array(
            "\(name) \(stored.dimensions) \(storedType) \(layout.rawValue) \(String(describing: declaredRange))".utf8)
        for row in Set([0, count / 2, count - 1]).sorted() {
            bytes += Array("\(try read(row ..< row + 1))".utf8)
        }
        return bytes.withUnsafeBytes { SHA256.digest($0) }.prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// The stored values of some examples, unscaled.
    private func read(_ rows: Range<Int>) throws(Failure) -> [Float] {
        if isBytes { return try stored.readRows(rows, UInt8.self).map { Float($0) } }
        let target = UnsafeMutableBufferPointer<Float>.allocate(capacity: rows.count * elements)
        defer { target.deallocate() }
        try stored.read(rows: rows, into: target)
        return Array(target)
    }

    // MARK: Checks at opening

    private static func find(
        _ name: String?, in file: HDF5File, _ options: DatasetOptions
    ) throws(Failure) -> HDF5Dataset {
        if let name { return try file.dataset(name.hasPrefix("/") ? name : "/" + name, options) }
        if options == .features { return try features(in: file) }
        for candidate in ["/images", "/samples"] {
            if case .absent = try file.object(candidate) { continue }
            return try file.dataset(candidate, options)
        }
        return try file.dataset("/images", options)
    }

    /// `/features`, or else the only matrix of floating-point numbers at the top of the file.
    private static func features(in file: HDF5File) throws(Failure) -> HDF5Dataset {
        if case .dataset(let dataset) = try file.object("/features") { return dataset }
        let matrices = try file.root.names().compactMap { name -> HDF5Dataset? in
            guard case .dataset(let dataset)? = try? file.object("/" + name), dataset.dimensions.count == 2,
                case .float = dataset.type
            else { return nil }
            return dataset
        }
        guard matrices.count == 1 else {
            throw .badData(
                "\(file.name) has no dataset /features, and \(matrices.isEmpty ? "no" : "more than one") matrix of "
                    + "floating-point numbers; the file holds \(file.listing()).",
                remedy: "Name the features, [N, D], with \(DatasetOptions.features.dataset).")
        }
        return matrices[0]
    }

    /// Whether the values are bytes; otherwise they are numbers that float32 holds, or floating-point numbers.
    private static func checkType(_ stored: HDF5Dataset) throws(Failure) -> Bool {
        switch stored.type {
        case .integer(bytes: 1, signed: false), .boolean: return true
        case .integer(let bytes, _) where bytes <= 2: return false
        case .float: return false
        case .integer:
            throw .badData(
                "\(stored.label) is of type \(stored.type), which float32 does not hold exactly.",
                remedy: "Of images convert it: " + importing(stored)
                    + " --range=A,B --out FILE.h5; A and B are the values of black and white. Of vectors store it as "
                    + "float32.")
        case .text, .other:
            throw .badData(
                "\(stored.label) is of type \(stored.type); images and samples are numbers.",
                remedy: """
                    Name a dataset of numbers, or import pictures with gan-dist data import folder.
                    """)
        }
    }

    private static func importing(_ stored: HDF5Dataset) -> String {
        "gan-dist data import hdf5 \(shellQuoted(stored.location.file.name)) --dataset \(shellQuoted(stored.path))"
    }

    private static func checkShape(
        _ stored: HDF5Dataset, _ options: DatasetOptions
    ) throws(Failure) -> (Int, [Int], Layout) {
        let sizes = stored.dimensions
        guard (2 ... 4).contains(sizes.count) else {
            throw .badData(
                "\(stored.label) has the shape \(sizes); images are [N, H, W, C] or [N, H, W], vectors [N, D].",
                remedy: "Name another dataset with \(options.dataset), or give it one of these shapes.")
        }
        guard !sizes.contains(0) else {
            throw .badData("\(stored.label) is empty: its shape is \(sizes).", remedy: "Write examples into it first.")
        }
        let elements = stored.count / sizes[0]
        guard sizes[0] <= Int(UInt32.max), elements <= 1 << 28 else {
            throw .badData(
                "\(stored.label) has the shape \(sizes): at most 2^32 examples of 2^28 numbers are read.",
                remedy: "Check the shape, or split the file.")
        }
        if sizes.count == 2 { return (sizes[0], [sizes[1]], .vector) }
        let layout = try layout(of: stored)
        if sizes.count == 3 { return (sizes[0], [sizes[1], sizes[2], 1], layout) }
        return (
            sizes[0], layout == .channelsFirst ? [sizes[2], sizes[3], sizes[1]] : [sizes[1], sizes[2], sizes[3]], layout
        )
    }

    private static func layout(of stored: HDF5Dataset) throws(Failure) -> Layout {
        guard let value = try stored.location.attribute("layout") else {
            guard stored.location.file.isMATLAB else { return .channelsLast }
            let axes = stored.dimensions.count == 4 ? ("H × W × C × N", "NCWH") : ("H × W × N", "NWH")
            throw .badData(
                """
                \(stored.label) was written by MATLAB, which stores axes in the reverse order: an array of \(axes.0) \
                has the shape \
                \(axes.1), here \(stored.dimensions), and would be read transposed.
                """, remedy: importing(stored) + " --layout \(axes.1) --out FILE.h5 puts its axes in order.")
        }
        guard let layout = Layout(rawValue: value.description.uppercased()), layout != .vector else {
            throw .badData(
                "The attribute layout of \(stored.label) is \(value); it is \"NHWC\" or \"NCHW\".",
                remedy: importing(stored) + " --layout … --out FILE.h5 reads other orders, such as NCWH.")
        }
        return layout
    }

    static func range(of stored: HDF5Dataset) throws(Failure) -> ClosedRange<Double>? {
        guard let value = try stored.location.attribute("range") else { return nil }
        guard case .doubles(let ends) = value, ends.count == 2, ValueRange.isUsable(ends[0], ends[1]) else {
            throw .badData(
                "The attribute range of \(stored.label) is \(value); it is two numbers, the lower first.",
                remedy: "Correct it, in h5py with f[\"\(stored.path)\"].attrs[\"range\"] = [0.0, 1.0].")
        }
        return ends[0] ... ends[1]
    }

    private static func text(_ name: String, _ file: HDF5File) throws(Failure) -> String? {
        if case .string(let text)? = try file.root.attribute(name) { text } else { nil }
    }

    private static func mixture(in file: HDF5File, dimension: Int) throws(Failure) -> Mixture? {
        guard dimension > 0, case .doubles(let modes)? = try file.root.attribute("modes"), !modes.isEmpty,
            modes.count % dimension == 0,
            case .double(let deviation)? = try file.root.attribute("deviation"), deviation > 0
        else { return nil }
        return Mixture(
            modes: stride(from: 0, to: modes.count, by: dimension).map { Array(modes[$0 ..< $0 + dimension]) },
            deviation: deviation)
    }
}
