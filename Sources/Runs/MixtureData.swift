import Collectives
import Kernels
import Mixtures
import Nets
import Recipes
import Storage
import Support

/// The examples that a mixture is fitted to: images scaled to 0 … 1, vectors as they are.
struct MixtureData {
    /// For messages.
    let name: String
    let shape: Shape
    /// As ``TrainingData/fingerprint``.
    let fingerprint: String
    let rangeLine: String?
    let synthetic: SyntheticKind?
    private let source: SampleSource
    static let imageRange: ClosedRange<Float> = 0 ... 1

    var count: Int { source.count }

    /// Throws 65, 66 or 78.
    init(_ settings: Configuration.DataSettings, seed: UInt64) throws {
        if let file = settings.file {
            let dataset = try Dataset(file, dataset: settings.dataset, options: .configuration)
            name = file
            source = try Self.source(dataset, settings)
            fingerprint = try TrainingData.fingerprint(of: dataset)
            (shape, rangeLine, synthetic) = (Self.shape(source.shape), TrainingData.rangeLine(source), nil)
            return
        }
        guard let kind = settings.synthetic else {
            throw Failure(
                .badConfiguration, "configuration: data.file: no dataset is named",
                remedy: "Give one with --data FILE.h5 (gan-dist data import makes it), or a mixture with "
                    + "data.synthetic.")
        }
        name = "the built-in \(kind.rawValue) of \(settings.count) points"
        source = SampleSource(
            vectors: kind.points(count: settings.count, seed: seed).samples, dimension: kind.dimension)
        fingerprint = "\(kind.rawValue) \(settings.count)"
        (shape, rangeLine, synthetic) = (.vector(kind.dimension), nil, kind)
    }

    private static func source(
        _ dataset: Dataset, _ settings: Configuration.DataSettings
    ) throws(Failure) -> SampleSource {
        let isImage = dataset.layout != .vector || settings.range != nil || dataset.isBytes
        return try SampleSource(
            dataset, range: isImage ? imageRange : nil, given: settings.range, memoryLimit: settings.memoryLimit)
    }

    private static func shape(_ dimensions: [Int]) -> Shape {
        dimensions.count == 3
            ? .image(height: dimensions[0], width: dimensions[1], channels: dimensions[2]) : .vector(dimensions[0])
    }

    /// This rank's rows in double. Throws 78 where they need more than `limit` bytes, or where a shard would have none.
    func rows(_ table: ShardTable, limit: Int) throws(Failure) -> ShardedRows {
        try Self.rows(source, table, limit: limit, name: name)
    }

    /// Of a file of examples that are not fitted to; nil without one.
    func heldOut(_ settings: Configuration.DataSettings, _ table: ShardTable) throws(Failure) -> ShardedRows? {
        guard let file = settings.heldOut else { return nil }
        return try rows(of: file, settings, table)
    }

    /// Of another file of the same kind of examples.
    func rows(
        of file: String, _ settings: Configuration.DataSettings, _ table: ShardTable
    ) throws(Failure) -> ShardedRows {
        let dataset = try Dataset(file, dataset: settings.dataset, options: .configuration)
        let other = try Self.source(dataset, settings)
        guard other.shape == source.shape else {
            throw .badData(
                "\(file) has examples of \(other.shape), and the mixture is of \(source.shape)",
                remedy: "Name a file of the same kind.")
        }
        return try Self.rows(other, table, limit: settings.memoryLimit, name: file)
    }

    private static func rows(
        _ source: SampleSource, _ table: ShardTable, limit: Int, name: String
    ) throws(Failure) -> ShardedRows {
        guard source.count >= table.shards else {
            throw Failure(
                .badConfiguration,
                "configuration: \(name) has \(source.count) examples, too few for \(table.shards) shards",
                remedy: "Use fewer shards (exchange.shards) or ranks, or more data.")
        }
        let range = table.rows(batch: source.count), elements = source.elements
        let bytes = range.count * elements * MemoryLayout<Double>.size
        guard bytes <= limit else {
            throw Failure(
                .badConfiguration,
                "configuration: data.memory_limit: the \(range.count) examples of \(name) that a rank holds take "
                    + "\(bytes >> 20) MiB in double, and the limit is \(limit >> 20) MiB",
                remedy: "Start more ranks, or raise the limit.")
        }
        var values: [Double] = []
        values.reserveCapacity(range.count * elements)
        let block = 256, room = FloatBuffer(count: block * elements)
        for start in stride(from: range.lowerBound, to: range.upperBound, by: block) {
            let indices = Array(start ..< min(start + block, range.upperBound))
            try source.read(indices, into: room.values[0 ..< indices.count * elements])
            for index in 0 ..< indices.count * elements { values.append(Double(room.values[index])) }
        }
        return ShardedRows(values, count: source.count, dimension: elements, table: table)
    }

    /// The values of the first examples, for a picture's frame.
    func firstValues(count: Int) throws(Failure) -> [Float] {
        let indices = Array(0 ..< min(count, source.count)), room = FloatBuffer(count: indices.count * source.elements)
        try source.read(indices, into: room.values)
        return room.values.array
    }
}
