import Collectives
import Kernels
import Recipes
import Storage
import Support

/// Examples that are not trained on: `data.held_out`.
public struct HeldOutExamples: Sendable {
    public let source: SampleSource
    /// What stands beside them, for a discriminator that judges both.
    public private(set) var conditions: ConditionTable?
    /// What is to be said of them at the start.
    public private(set) var warnings: [String]
    /// As ``TrainingData/fingerprint(of:)``.
    public let fingerprint: String

    /// Those of `configuration`, read as the run's own, `data`, are; nil without any. `conditioned`: with what stands
    /// beside them. The ranks of a node hold them once. Throws 65 or 66. Collective.
    public init?(
        _ configuration: any GeneratorConfiguration, beside data: TrainingData, conditioned: Bool,
        _ communicator: any Communicator
    ) throws {
        guard let dataset = try communicator.agreed({ try Self.open(configuration.data) }) else { return nil }
        let copy = try NodeCopy(
            of: "held-out examples", bytes: dataset.bytesInMemory(limit: configuration.data.memoryLimit), communicator
        ) { memory in
            try Self.named { try dataset.read(into: memory) }
        }
        self = try communicator.agreed {
            try Self.named {
                try HeldOutExamples(dataset, configuration, beside: data, conditioned: conditioned, copy)
            }
        }
        let found = [fingerprint, conditions?.fingerprint].compactMap { $0 }.joined(separator: ", conditions ")
        try communicator.requireEqual(found, "the held-out examples \(dataset.path)")
        if let ofRank = conditions {
            let (table, sentence) = try ofRank.onceANode("held-out conditions", communicator)
            conditions = table
            warnings += [sentence].compactMap { $0 }
        }
    }

    private init(
        _ dataset: Dataset, _ configuration: any GeneratorConfiguration, beside data: TrainingData, conditioned: Bool,
        _ copy: NodeCopy
    ) throws {
        let settings = configuration.data
        fingerprint = try TrainingData.fingerprint(of: dataset)
        // The run's range is that of files of its kind that do not say theirs.
        let isOfItsKind = !dataset.statesRange && (!dataset.isBytes || data.storedType == dataset.storedType)
        source = try SampleSource(
            dataset, shape: data.shape.dimensions, fit: settings.fit,
            range: configuration.targetRange(of: dataset, asBefore: data.asBefore),
            given: isOfItsKind ? settings.range : nil, asBefore: data.asBefore, memoryLimit: settings.memoryLimit,
            resident: copy.values)
        var ofConditions: String?
        if conditioned, let trained = data.conditions, let condition = configuration.condition {
            (conditions, ofConditions) = try trained.rows(beside: dataset, condition, labels: settings.labels)
        }
        warnings = [ofConditions.map { "data.held_out: \($0)" }, copy.sentence].compactMap { $0 }
    }

    /// The file that `settings` name; nil without any. Throws 65 or 66.
    static func open(_ settings: Configuration.DataSettings) throws -> Dataset? {
        try settings.heldOut.map { file in
            try named { try Dataset(file, dataset: settings.dataset, options: .configuration) }
        }
    }

    /// Failures name the key.
    private static func named<Value>(_ body: () throws -> Value) throws -> Value {
        do { return try body() } catch {
            let failure = Failure.of(error)
            throw Failure(failure.code, "data.held_out: \(failure.message)", remedy: failure.remedy)
        }
    }
}
