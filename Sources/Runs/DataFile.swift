import Adversarial
import Autoencoders
import Collectives
import Kernels
import Nets
import Recipes
import Storage
import Support

/// The file of a run's examples, opened, with what is known before its values are read.
struct DataFile {
    let dataset: Dataset
    /// What stands beside the examples; nil: nothing.
    private(set) var conditions: DataConditions?
    /// With what the conditions settle: layers may have shapes that depend on the number of classes.
    let configuration: any GeneratorConfiguration
    /// Of an example, as it is given to the networks.
    let shape: Shape

    /// Nil where `configuration` names no file; throws 65, 66 or 78. `checkpoint`: what the run goes on from.
    init?(_ configuration: any GeneratorConfiguration, checkpoint: String?) throws {
        let settings = configuration.data
        guard let file = settings.file else { return nil }
        let dataset = try Self.open(file, settings.dataset, checkpoint)
        conditions = try configuration.condition.map { try DataConditions($0, dataset, labels: settings.labels) }
        self.dataset = dataset
        self.configuration = try conditions.map(configuration.settled) ?? configuration
        shape = try self.configuration.exampleShape()
    }

    private static func open(_ file: String, _ name: String?, _ checkpoint: String?) throws -> Dataset {
        do {
            return try Dataset(file, dataset: name, options: .configuration)
        } catch {
            guard error.code == .missingInput, let checkpoint else { throw error }
            throw Failure(
                .missingInput,
                "\(error.message.dropLast()). The run goes on from \(checkpoint), "
                    + "whose data.file that was, or was given",
                remedy:
                    "Where the dataset has moved, name its new place with --data FILE.h5; "
                    + "relative paths start at the working folder."
            )
        }
    }

    // MARK: - Once a node

    /// The values of the file where they are held in memory, of which the ranks of a node have one copy, as of
    /// ``conditions`` from then on; and what is to be said where there is no room. What the players will want to share
    /// comes first. Collective.
    mutating func shareValues(
        shards: ShardTable, _ communicator: any Communicator
    ) throws -> (values: FloatBuffer?, sentences: [String]) {
        // Networks that do not fit each other are refused when they are built.
        let others = (try? configuration.sharedBytes(example: shape, shards, communicator.nodeGroup)) ?? 0
        let copy = try NodeCopy(
            of: "dataset", bytes: dataset.bytesInMemory(limit: configuration.data.memoryLimit), leaving: others,
            communicator, fill: dataset.read)
        let ofConditions = try conditions?.onceANode(leaving: others, communicator)
        conditions = ofConditions?.conditions
        return (copy.values, [copy.sentence, ofConditions?.sentence].compactMap { $0 })
    }
}

extension Dataset {
    /// Of a file whose values are held in memory; else 0.
    func bytesInMemory(limit: Int) -> Int { storedBytes <= limit ? storedBytes : 0 }
}

extension GeneratorConfiguration {
    /// Bytes that the ranks of `group`, those of a node, want to share when they train this on examples of a shape.
    fileprivate func sharedBytes(example: Shape, _ shards: ShardTable, _ group: Range<Int>) throws(ShapeError) -> Int {
        if let autoencoder = self as? AutoencoderConfiguration {
            return try autoencoder.autoencoder.sharedBytes(example: example, shards: shards, group: group)
        }
        if let alone = self as? DiscriminatorConfiguration {
            return try alone.training.sharedBytes(shards: shards, group: group)
        }
        return try (self as? Configuration)?.game.sharedBytes(example: example, shards: shards, group: group) ?? 0
    }
}
