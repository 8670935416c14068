import Adversarial
import Collectives
import Kernels
import Nets
import Recipes
import Storage
import Support

extension MinibatchReader: MinibatchSource {}

/// The dataset of a run, file or built-in mixture, as its networks see it.
public final class TrainingData: Sendable {
    /// For messages: the file, or `the built-in ring of 100000 points`.
    let name: String
    /// The shape of an example as it is given to the networks.
    public let shape: Shape
    /// Equal for equal data: what ranks and resumed runs are compared by.
    public let fingerprint: String
    /// What a new run keeps as `data.range`, so that it is never decided otherwise; nil where the file itself says it.
    let settledRange: ClosedRange<Double>?
    /// What is said of the values at the start, and warned of.
    let rangeLine: String?
    let rangeWarnings: [String]
    /// What stands beside the examples; nil: nothing.
    let conditions: DataConditions?
    /// Of the vectors beside them, those that a checkpoint keeps.
    let keptConditions: FloatBuffer?
    private let source: SampleSource
    /// What the points were drawn from, where that is known.
    public let mixture: Mixture?
    /// The type of a file's values, and whether the run began before ranges were settled.
    let storedType: String?
    let asBefore: Bool
    /// Of a file that is not all in memory: what reading one of its examples alone uncompresses.
    private let costlyChunk: (examples: Int, bytes: Int)?

    /// The examples of `file`, or of the distribution that `configuration` names where that is nil; throws 65 or 78.
    /// `checkpoint`: what the run goes on from. `resident`: the file's values, where they have been read.
    init(
        _ configuration: any GeneratorConfiguration, _ file: DataFile?, resident: FloatBuffer? = nil,
        checkpoint: String? = nil
    ) throws {
        let settings = configuration.data
        if let file {
            let dataset = file.dataset
            name = dataset.path
            conditions = file.conditions
            keptConditions = conditions?.keptRows()
            shape = file.shape
            if configuration.maker == .decoder, settings.fit == .refuse, dataset.shape != shape.dimensions {
                throw Failure(
                    .badConfiguration,
                    "configuration: decoder: its last layer makes \(shape) where the examples of \(dataset.path) are "
                        + "\(dataset.shape)",
                    remedy: "Change the decoder's last layers, or the data (data.fit: pad or resize for images of "
                        + "another size).")
            }
            // A run that has settled no range began before ranges were settled, or needed none.
            asBefore = checkpoint != nil && settings.range == nil
            let target = try file.configuration.targetRange(of: dataset, asBefore: asBefore)
            source = try SampleSource(
                dataset, shape: shape.dimensions, fit: settings.fit, range: target, given: settings.range,
                asBefore: asBefore, memoryLimit: settings.memoryLimit, resident: resident)
            costlyChunk = source.isResident ? nil : dataset.costlyChunk
            fingerprint = try Self.fingerprint(of: dataset) + (conditions.map { ", \($0.fingerprint)" } ?? "")
            (mixture, storedType) = (dataset.mixture, dataset.storedType)
            let isSettled = source.valueRange?.source == .values || dataset.layout == .vector
            settledRange = checkpoint == nil && isSettled ? source.valueRange?.bounds : nil
            rangeLine = Self.rangeLine(source)
            rangeWarnings = Self.rangeWarnings(source, dataset.path, bounds: file.configuration.outputBounds)
            return
        }
        guard let kind = settings.synthetic else {
            throw Failure(
                .badConfiguration, "configuration: data.file: no dataset is named",
                remedy: "Give one with --data FILE.h5 (gan-dist data import makes it), or train the built-in ring.")
        }
        let points = kind.points(count: settings.count, seed: configuration.seed)
        let title = "the built-in \(kind.rawValue) of \(settings.count) points"
        name = title
        conditions = try configuration.condition.map { try Self.modes($0, points.labels, title, settings.labels) }
        keptConditions = nil
        shape = try (conditions.map(configuration.settled) ?? configuration).exampleShape()
        guard shape == .vector(kind.dimension) else {
            throw Failure(
                .badConfiguration,
                configuration is DiscriminatorConfiguration
                    ? "configuration: model.example: it is \(shape) where \(kind.rawValue) has points of "
                        + "[\(kind.dimension)]"
                    : "configuration: \(configuration.maker.name): "
                        + "its last layer makes \(shape) where \(kind.rawValue) has points of [\(kind.dimension)]",
                remedy: configuration is DiscriminatorConfiguration
                    ? "Set model.example: [\(kind.dimension)], or name images with --data."
                    : "Change the \(configuration.maker.name)'s last layer, or name images with --data.")
        }
        costlyChunk = nil
        (settledRange, rangeLine, rangeWarnings) = (nil, nil, [])
        (self.mixture, storedType, asBefore) = (kind.mixture, nil, false)
        source = SampleSource(vectors: points.samples, dimension: kind.dimension)
        fingerprint = "\(kind.rawValue) \(settings.count)"
    }

    /// The modes of a mixture as classes.
    private static func modes(
        _ settings: ConditionSettings, _ labels: [Int]?, _ name: String, _ labelsName: String?
    ) throws(Failure) -> DataConditions {
        guard let labels else {
            throw .configuration(
                "condition", "\(name) has no modes that could be its classes",
                remedy: "Leave it out, name a mixture (data.synthetic: ring), or name a file with --data.")
        }
        guard settings.dataset == nil, labelsName == nil else {
            throw .configuration(
                settings.dataset == nil ? "data.labels" : "condition.dataset",
                "a mixture has no datasets; its classes are its modes",
                remedy: "Leave it out, or name a file with --data.")
        }
        return try DataConditions(settings, labels: labels, of: name)
    }

    /// The label of each example, where the condition is its class.
    public var labels: [Int]? {
        guard let conditions, case .classes = conditions.condition else { return nil }
        return conditions.table.values.values.array.map { conditions.labels[Int($0)] }
    }

    /// Equal for equal datasets, as a checkpoint stores it.
    public static func fingerprint(of dataset: Dataset) throws(Failure) -> String {
        "\(dataset.count) × \(dataset.shape), \(String(try dataset.fingerprint(), radix: 16))"
    }

    /// Standard normal values in memory, for benchmarks.
    public init(random count: Int, shape: Shape, seed: UInt64, condition: Condition? = nil) {
        conditions = condition.map { DataConditions(random: count, $0, seed: seed) }
        keptConditions = nil
        let values = FloatBuffer(count: count * shape.count)
        Draws(seed: seed, purpose: .synthetic, step: 0).fillNormal(values.values, samples: count)
        costlyChunk = nil
        (settledRange, rangeLine, rangeWarnings) = (nil, nil, [])
        (mixture, storedType, asBefore) = (nil, nil, false)
        name = "random values"
        self.shape = shape
        fingerprint = "random \(count)"
        source = SampleSource(vectors: values.values.array, dimension: shape.count)
    }

    /// The examples as they are trained on.
    public var examples: SampleSource { source }

    /// What stands beside the examples; nil: nothing.
    public var conditionTable: ConditionTable? { conditions?.table }

    /// The values of the first `count` examples, or of as many as there are.
    func firstValues(count: Int) throws -> [Float] {
        let indices = Array(0 ..< min(count, source.count))
        let values = FloatBuffer(count: indices.count * shape.count)
        try source.read(indices, into: values.values)
        return values.values.array
    }

    /// The mean over all examples of each of their values.
    func means() throws -> [Float] { try source.means() }

    /// Examples in the dataset.
    var count: Int { source.count }

    /// The standard deviation of all values.
    func deviation() throws -> Double { try source.deviation() }

    public func reader(
        batch: Int, rows: Range<Int>, seed: UInt64, shuffle: Shuffle = .samples
    ) throws -> MinibatchReader {
        try MinibatchReader(
            source, batch: batch, seed: seed, rows: rows, shuffle: shuffle, conditions: conditions?.table)
    }

    /// How a new run mixes the examples: as `settings` say, else as the file is best read.
    func shuffle(_ settings: Configuration.DataSettings) -> Shuffle {
        let block = settings.shuffleBlock ?? source.shuffle.block
        guard block > 1 else { return .samples }
        let fitting = settings.memoryLimit / 2 / (block * source.storedBytes)
        return Shuffle(block: block, window: settings.shuffleWindow ?? max(1, fitting))
    }

    /// A sentence where mixing the examples this way reads the file slowly or takes more memory than it may.
    func warning(_ shuffle: Shuffle, memoryLimit: Int) -> String? {
        guard !source.isResident else { return nil }
        let rewritten = "gan-dist data concat \(name) --out FILE.h5 writes a copy that is read fast in any order"
        if shuffle.block == 1 {
            guard let costlyChunk else { return nil }
            return
                "each example of \(name) lies in a compressed chunk of \(costlyChunk.examples) "
                + "(\(costlyChunk.bytes >> 20) MiB), which is uncompressed for it alone: training waits for the file. "
                + "Raise data.memory_limit, or set data.shuffle.block in a new run; \(rewritten)"
        }
        let bytes =
            2 * min(Double(shuffle.block) * Double(shuffle.window), Double(source.count)) * Double(source.storedBytes)
        return bytes <= Double(memoryLimit)
            ? nil
            : "two shuffle windows of \(shuffle.window) blocks of \(shuffle.block) examples of \(name) take "
                + "\(Int(bytes) >> 20) MiB a rank, more than data.memory_limit; \(rewritten)"
    }

    /// Epochs that so many minibatches make.
    func epochs(minibatches: Int, batch: Int) -> Double { Double(minibatches) * Double(batch) / Double(source.count) }
}

extension Configuration {
    /// What is trained, with what it needs to know of the data.
    public func game(for data: TrainingData) throws -> Game {
        var game = game
        game.conditioning = condition?.conditioning(rows: data.conditions?.table.values)
        for index in game.penalties.indices {
            if case .dragan(let target, _) = game.penalties[index].kind {
                game.penalties[index].kind = .dragan(target: target, deviation: try data.deviation())
            }
        }
        return game
    }
}
