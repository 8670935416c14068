import Adversarial
import Collectives
import Foundation
import Kernels
import Nets
import Recipes
import Storage
import Support

/// A checkpoint file that has been read and verified.
public struct Checkpoint {
    public let path: String
    public let contents: CheckpointContents

    public init(path: String, contents: CheckpointContents) {
        self.path = path
        self.contents = contents
    }

    /// `path` may also be a run folder: then its newest good checkpoint. Throws 65 or 66.
    public static func read(_ path: String, warn: (String) -> Void = { _ in }) throws -> Checkpoint {
        var isFolder: ObjCBool = false
        if FileManager.default.fileExists(atPath: path, isDirectory: &isFolder), isFolder.boolValue {
            let folder = CheckpointFolder(RunFolder(path).checkpoints, keep: 1)
            guard let (file, contents) = try folder.newestValid(warn: warn) else {
                throw Failure(
                    .missingInput, "\(path): the folder has no checkpoints",
                    remedy: "Name a checkpoint file or the folder of a run.")
            }
            return Checkpoint(path: file, contents: contents)
        }
        return Checkpoint(path: path, contents: try CheckpointFile.read(path))
    }

    /// The same file on every rank, whatever a run that is under way writes meanwhile. Collective.
    public static func read(
        _ path: String, _ communicator: any Communicator, warn: (String) -> Void
    ) throws -> Checkpoint {
        var found: Checkpoint?
        let file = try communicator.decidedByRoot {
            let checkpoint = try read(path, warn: warn)
            found = checkpoint
            return checkpoint.path
        }
        return try communicator.agreed { try found ?? read(file) }
    }

    /// The YAML of the run that wrote it.
    public func configuration() throws(Failure) -> String {
        guard let yaml = contents.string("config") else { throw broken("it stores no configuration") }
        return yaml
    }

    /// Copies the stored array `name` into `values`.
    func copy(_ name: String, to values: Floats) throws(Failure) {
        guard let array = contents.array(name) else { throw broken("it has no array '\(name)'") }
        guard array.count == values.count else {
            throw broken("'\(name)' has \(array.count) values, not \(values.count)")
        }
        array.copy(to: values)
    }

    /// Copies the stored array `name` into a parameter's values.
    func copy(_ name: String, to values: ParameterValues) throws(Failure) {
        try values.set { target throws(Failure) in try copy(name, to: target) }
    }

    func broken(_ what: String) -> Failure {
        Failure(
            .badData, "\(path): \(what)",
            remedy: "Use a checkpoint that this program wrote, or an older one of the run.")
    }
}

/// A trainer's state in files.
extension NetworkTrainer {
    /// The state as a checkpoint of a run with this configuration. Its arrays are views: to be written before the next
    /// step.
    func checkpoint(_ configuration: any GeneratorConfiguration, _ data: TrainingData, ranks: Int) -> CheckpointContents
    {
        let minibatches = minibatchesDone
        return CheckpointContents(
            attributes: [
                ("step", .integer(stepsDone)),
                ("epoch", .double(data.epochs(minibatches: minibatches, batch: batch))),
                ("samples_seen", .integer(minibatches * batch)),
                ("seed", .integer(Int(seed))),
                ("shards", .integer(shards.shards)), ("ranks", .integer(ranks)),
                ("config", .string(configuration.yaml)),
                ("dataset", .string(data.fingerprint)), ("program_version", .string(Program.version)),
                ("created", .string(Date().formatted(.iso8601))),
            ] + (data.conditions?.names.map { [("label_names", .string($0))] } ?? [])
                + NumericEnvironment().parts.map { ($0.name, .string($0.value)) },
            arrays: state.map {
                CheckpointArray(path: $0.name, dimensions: $0.dimensions, layout: $0.layout, values: $0.values)
            } + data.keptConditionArrays)
    }

    /// Takes the state of `checkpoint` on this rank, to be shared from there (``NetworkTrainer/share(from:step:)``);
    /// throws 65 where the dataset or an array is not that of this run.
    func restore(_ checkpoint: Checkpoint, _ data: TrainingData) throws(Failure) {
        if let stored = checkpoint.contents.string("dataset"), stored != data.fingerprint {
            throw Failure(
                .badData,
                "\(data.name) is not the dataset that \(checkpoint.path) was trained on (\(stored), "
                    + "not \(data.fingerprint))",
                remedy: "Give the original file with --data, or start a new run with another --run.")
        }
        for array in state { try checkpoint.copy(array.name, to: array.values) }
    }

    /// Takes the parameters and running statistics of a safetensors file; those that it does not have stay as they
    /// are. Returns what was taken.
    ///
    /// Throws 65 for an array that no network has, or that has another shape, and 66 where the file cannot be
    /// read.
    func start(from file: String) throws -> String {
        let networks = players.map { $0.role.name + "/" } + ["code/"]
        let known = Dictionary(
            uniqueKeysWithValues: state.filter { array in networks.contains { array.name.hasPrefix($0) } }.map {
                ($0.name, $0)
            })
        let given = try SafeTensors.read(file)
        for array in given {
            guard let own = known[array.path] else {
                throw Failure(
                    .badData, "\(file): no network has an array '\(array.path)'",
                    remedy: "Its names are those of a checkpoint, such as \(known.keys.sorted().first ?? "").")
            }
            guard own.dimensions == array.dimensions else {
                throw Failure(
                    .badData,
                    "\(file): '\(array.path)' has the shape \(array.dimensions), here it has \(own.dimensions)",
                    remedy: "Change the networks of the configuration, or the file.")
            }
            own.values.set { array.copy(to: $0) }
        }
        return "\(given.count) of \(known.count) arrays of the networks start as in \(file)"
    }
}

extension CheckpointArray {
    /// A view of the values, or a copy where they lie in another order than that of their dimensions.
    init(path: String, dimensions: [Int], layout: String, values: ParameterValues) {
        if let view = values.view {
            self.init(path: path, dimensions: dimensions, layout: layout, values: view)
        } else {
            self.init(path: path, dimensions: dimensions, layout: layout, values: values.array)
        }
    }
}

extension TrainingData {
    /// Where the conditions are vectors, those that samples are drawn with where there is no dataset.
    var keptConditionArrays: [CheckpointArray] {
        guard let keptConditions, let width = conditions?.condition.width else { return [] }
        return [
            CheckpointArray(
                path: Checkpoint.conditionRows, dimensions: [keptConditions.count / width, width], layout: "NC",
                values: keptConditions.values)
        ]
    }
}

extension Checkpoint {
    fileprivate static let conditionRows = "condition/rows"

    /// How the conditions of samples are drawn: as in training, vectors from those that the checkpoint keeps. Nil where
    /// the generator has none.
    func conditioning(_ configuration: any GeneratorConfiguration) throws(Failure) -> Conditioning? {
        guard let condition = configuration.condition else { return nil }
        var rows: FloatBuffer?
        if case .vector(let width) = condition.condition {
            guard let array = contents.array(Self.conditionRows), array.count > 0, array.count % width == 0 else {
                throw broken("it has no array '\(Self.conditionRows)'")
            }
            rows = FloatBuffer(array.array)
        }
        guard let conditioning = condition.conditioning(rows: rows) else {
            throw broken("its configuration does not say how many classes there are")
        }
        return conditioning
    }
}
