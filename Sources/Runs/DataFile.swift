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
    let conditions: DataConditions?
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

    /// The values of a file that is held in memory, read by one rank of each node for all of its ranks; nil where every
    /// rank reads for itself: where it is alone, where the file is not held in memory, and where there is no room, of
    /// which `sentence` then speaks. What the players will want to share comes first. Collective.
    static func load(
        _ file: DataFile?, shards: ShardTable, _ communicator: any Communicator
    ) throws -> (values: FloatBuffer?, sentence: String?) {
        guard let file, communicator.nodeGroups.contains(where: { $0.count > 1 }) else { return (nil, nil) }
        let dataset = file.dataset, settings = file.configuration.data, bytes = dataset.storedBytes
        // Ranks that have found different files share nothing; what is wrong with them is said later.
        let sizes = try communicator.gather(bytes <= settings.memoryLimit ? bytes : 0)
        guard bytes > 0, sizes.allSatisfy({ $0 == bytes }) else { return (nil, nil) }
        let group = communicator.nodeGroup, room = SharedMemoryRoom()
        // Networks that do not fit each other are refused when they are built.
        let others = (try? file.configuration.sharedBytes(example: file.shape, shards, group)) ?? 0
        let isRoom = try !communicator.any(!room.holds(bytes + others))
        guard isRoom, let memory = try communicator.sharedMemory(count: (bytes + 3) / 4, group: group) else {
            let reason = isRoom ? "the MPI library has no shared memory" : "\(room.bound) has no room"
            return (
                nil,
                "\(reason) for one copy of the dataset a node (\(bytes >> 20) MiB): every rank holds its own, "
                    + "which takes more memory and gives the same result"
            )
        }
        try communicator.agreed(namingRank: communicator.nodeGroups.count > 1) {
            if communicator.rank == group.lowerBound { try dataset.read(into: memory.values) }
        }
        try memory.barrier()
        return (FloatBuffer(memory.values, of: memory), nil)
    }
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
