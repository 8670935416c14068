import Support

/// What a new dataset file says of itself.
public struct DatasetDescription: Sendable {
    public enum Element: Sendable { case uint8, float32 }

    public var name, source, license: String
    /// [N, H, W, C] for `/images`, [N, D] for `/samples`.
    public var dimensions: [Int]
    public var element: Element
    /// The values that mean black and white.
    public var range: [Double]?
    /// More attributes of the root.
    public var attributes: [(name: String, value: AttributeValue)] = []

    public init(
        name: String, source: String, license: String, dimensions: [Int], element: Element, range: [Double]?,
        attributes: [(name: String, value: AttributeValue)] = []
    ) {
        precondition(
            dimensions.count == 2 || dimensions.count == 4,
            "dimensions \(dimensions) are neither [N, D] nor [N, H, W, C]")
        precondition(dimensions.allSatisfy { $0 > 0 }, "a dataset of dimensions \(dimensions)")
        (self.name, self.source, self.license) = (name, source, license)
        (self.dimensions, self.element, self.range, self.attributes) = (dimensions, element, range, attributes)
    }
}

/// Writes a dataset file, example by example. The file has its name only when it is whole and on the disk.
///
/// Chunks hold whole examples, about 64 KiB; nothing is compressed, so that a cold start only copies.
public final class DatasetWriter {
    /// One for each example, set before the end; nil for none.
    public var labels: [Int]?
    /// What each example was made from, `size` numbers each: `/latents`.
    public var latents: (size: Int, values: [Float])?

    /// The vectors that examples were made for, `size` numbers each: `/conditions`.
    public var conditions: (size: Int, values: [Float])?

    private let dataset: HDF5Dataset
    private let elements: Int
    private var written = 0

    private init(_ dataset: HDF5Dataset) {
        self.dataset = dataset
        elements = dataset.count / dataset.dimensions[0]
    }

    /// Makes `path` with what `body` appends, which must be all examples of `description`.
    public static func write(
        _ path: String, _ description: DatasetDescription, replacing: Bool = false,
        _ body: (DatasetWriter) throws(Failure) -> Void
    ) throws(Failure) {
        try AtomicFile.refuseExisting(path, replacing: replacing)
        try AtomicFile(path).write { (temporary) throws(Failure) in
            let file = try HDF5File.openToWrite(temporary, create: true)
            try fill(file, description, body)
            try file.close()
        }
    }

    private static func fill(
        _ file: HDF5File, _ description: DatasetDescription, _ body: (DatasetWriter) throws(Failure) -> Void
    ) throws(Failure) {
        let sizes = description.dimensions
        let rowBytes = sizes.dropFirst().reduce(1, *) * (description.element == .uint8 ? 1 : 4)
        let chunk = max(1, min(sizes[0], (1 << 16) / rowBytes))
        let name = sizes.count == 4 ? "/images" : "/samples"
        let dataset =
            description.element == .uint8
            ? try file.makeDataset(name, sizes, as: UInt8.self, chunkRows: chunk)
            : try file.makeDataset(name, sizes, as: Float.self, chunkRows: chunk)
        if sizes.count == 4 { try dataset.location.setAttribute("layout", .string("NHWC")) }
        if let range = description.range { try dataset.location.setAttribute("range", .doubles(range)) }
        let root = file.root
        try root.setAttribute("name", .string(description.name))
        try root.setAttribute("source", .string(description.source))
        try root.setAttribute("license", .string(description.license))
        for (name, value) in description.attributes { try root.setAttribute(name, value) }
        let writer = DatasetWriter(dataset)
        try body(writer)
        precondition(writer.written == sizes[0], "\(writer.written) of \(sizes[0]) examples were written")
        if let labels = writer.labels {
            precondition(labels.count == sizes[0], "\(labels.count) labels for \(sizes[0]) examples")
            try file.write("/labels", [labels.count], labels.map { Int64($0) })
        }
        if let conditions = writer.conditions {
            try file.write("/conditions", [sizes[0], conditions.size], conditions.values)
        }
        if let latents = writer.latents { try file.write("/latents", [sizes[0], latents.size], latents.values) }
    }

    /// The next examples, [rows, H, W, C] or [rows, D].
    public func append(_ values: [UInt8]) throws(Failure) { try append(numbers: values) }
    public func append(_ values: [Float]) throws(Failure) { try append(numbers: values) }

    func append<Element: HDF5Element>(numbers values: [Element]) throws(Failure) {
        let rows = values.count / elements
        let result: Result<Void, Failure> = values.withUnsafeBufferPointer { values in
            Result { () throws(Failure) in try dataset.write(values, firstRow: written, rows: rows) }
        }
        try result.get()
        written += rows
    }
}
