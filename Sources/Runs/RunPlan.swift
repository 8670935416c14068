import Adversarial
import Collectives
import Foundation
import Nets
import Recipes
import Storage
import Support

/// What a run is to do, decided by rank 0 from the options, the run folder and the checkpoints in it, before any rank
/// has opened a dataset.
struct RunPlan {
    let configuration: ModelConfiguration
    let folder: RunFolder
    /// Where it continues; nil: from the start.
    let checkpoint: Checkpoint?
    let lock: RunLock?

    init(_ options: TrainOptions, ranks: Int, console: Console) throws {
        let given = try ConfigurationTree.given(options)
        var folder: RunFolder
        var found: Checkpoint?
        switch options.resume {
        case .no:
            let name = try ModelConfiguration(tree: given ?? .standard(options)).name
            folder = options.runFolder.map(RunFolder.init) ?? .unused(name: name)
            if folder.holdsRun, !options.dryRun {
                throw Self.taken(folder)
            }
        case .auto:
            guard let path = options.runFolder else {
                throw Failure(.usage, "--resume auto needs to know the run folder", remedy: "Name it with --run DIR.")
            }
            folder = RunFolder(path)
        case .file(let file):
            folder = RunFolder(
                options.runFolder
                    ?? URL(fileURLWithPath: file).deletingLastPathComponent().deletingLastPathComponent().path)
        }
        if options.dryRun {
            lock = nil
        } else {
            try folder.create()
            lock = try RunLock(folder, waiting: console.say)
            // Another job may have run from start to end since the look above.
            if case .no = options.resume, folder.holdsRun { throw Self.taken(folder) }
            try folder.createHeartbeats()
            folder.removeLeftovers()
        }
        switch options.resume {
        case .no: found = nil
        case .auto:
            found = try CheckpointFolder(folder.checkpoints, keep: 1).newestValid { console.warn($0) }.map(
                Checkpoint.init)
        case .file(let file): found = try Checkpoint.read(file)
        }
        checkpoint = found
        self.folder = folder
        if let found {
            configuration = try Self.continued(found, options, given)
        } else {
            let begun = try given ?? Self.begun(folder, options)
            configuration = try Self.fresh(begun ?? .standard(options), ranks: ranks)
        }
    }

    private static func taken(_ folder: RunFolder) -> Failure {
        Failure(
            .cannotCreate, "\(folder.path): it already holds a run",
            remedy: "Continue that run with --resume auto, or name another folder with --run.")
    }

    /// The configuration of a run that stopped before its first checkpoint: what `--resume auto` begins anew.
    private static func begun(_ folder: RunFolder, _ options: TrainOptions) throws(Failure) -> ConfigurationTree? {
        guard case .auto = options.resume, FileManager.default.fileExists(atPath: folder.configuration) else {
            return nil
        }
        return try ConfigurationTree(file: folder.configuration, options.settings)
    }

    /// A new run's configuration, with its number of shards settled for good.
    private static func fresh(_ tree: ConfigurationTree, ranks: Int) throws(Failure) -> ModelConfiguration {
        var tree = tree
        let configuration = try ModelConfiguration(tree: tree)
        if configuration.exchange.shards == nil { try tree.set("exchange.shards", to: ranks) }
        if let generator = configuration.generator { try check(generator, tree, ranks: ranks) }
        return try ModelConfiguration(tree: tree)
    }

    private static func check(
        _ configuration: any GeneratorConfiguration, _ tree: ConfigurationTree, ranks: Int
    ) throws(Failure) {
        if configuration.batch < ranks {
            throw tree.placed(
                .configuration(
                    "training.batch",
                    "a batch of \(configuration.batch) on \(ranks) ranks leaves some without an example",
                    remedy: "Use at most \(configuration.batch) ranks, or a larger batch."))
        }
        // Layers may be wider by the number of classes, which the data tell.
        if configuration.condition?.isSettled ?? true {
            do { try requireMemory(for: configuration, ranks: ranks) } catch {
                throw error.placed(in: configuration.source)
            }
        }
    }

    /// Refuses what no rank of this machine could hold, rather than end for want of memory half-way through the start.
    private static func requireMemory(
        for configuration: any GeneratorConfiguration, ranks: Int
    ) throws(Failure) {
        let rows = configuration.batch / max(configuration.exchange.shards ?? ranks, ranks)
        let alone = (configuration as? DiscriminatorConfiguration)?.training
        var values = alone.map { Double($0.negatives) * Double($0.example.count) } ?? 0
        do {
            for network in try configuration.networks() {
                values += try Network.leastValues(
                    of: network.layers, input: network.input, name: network.role.name, rows: network.rows(rows),
                    copies: 2 + Optimiser(network.optimiser, count: 1).moments.count)
            }
        } catch let error as ShapeError {
            throw Failure(
                .badConfiguration, "configuration: \(error)",
                remedy: "Change that layer or the one before it; layers are counted from 0.")
        } catch { throw Failure.of(error) }
        let (gigabytes, there) = (4e-9 * values, 1e-9 * Double(ProcessInfo.processInfo.physicalMemory))
        guard gigabytes <= there else {
            throw Failure(
                .badConfiguration,
                String(
                    format:
                        "configuration: the networks and a batch of \(configuration.batch) take at least %.0f "
                        + "GB a rank, and this machine has %.0f GB",
                    gigabytes, there),
                remedy: rows > 1
                    ? "Take more exchange.shards: a rank computes \(rows) examples at a time. Or check the layers' "
                        + "units and channels, and training.batch."
                    : "Check the layers' units and channels.")
        }
    }

    /// What may change when a run goes on: how long, how often it reports, and where its data lie.
    private static let changeable = [
        "training.steps", "output.", "data.file", "data.memory_limit", "exchange.check_every", "model.tolerance",
    ]
    /// What a run settles at its start where it is null.
    private static let settled = [
        "exchange.shards", "data.shuffle.block", "data.shuffle.window", "data.range", "condition.classes",
        "condition.labels", "condition.counts", "condition.size",
    ]

    /// What is taken as it is given, also where it is not: how a run is looked at.
    private static let adopted = ["output.evaluate", "data.held_out"]

    private static func isAdopted(_ path: String) -> Bool {
        adopted.contains { path == $0 || path.hasPrefix($0 + ".") }
    }

    /// The checkpoint's configuration with the options that may change it; any other difference is refused by name.
    private static func continued(
        _ checkpoint: Checkpoint, _ options: TrainOptions, _ given: ConfigurationTree?
    ) throws -> ModelConfiguration {
        let yaml = try checkpoint.configuration()
        var tree = try ConfigurationTree(yaml: yaml, source: checkpoint.path, .stored)
        let stored = try ModelConfiguration(tree: tree)
        var changed = tree
        if given == nil {
            for setting in options.settings { try changed.apply(setting) }
        }
        let wanted = try ModelConfiguration(tree: given ?? changed)
        let resolved = try ConfigurationTree(yaml: wanted.yaml, source: wanted.source, .stored)
        let old = Dictionary(uniqueKeysWithValues: stored.leaves.map { ($0.path, $0.value) })
        for path in adopted { try tree.adopt(path, from: resolved) }
        for (path, value) in wanted.leaves where old[path] != value && !isAdopted(path) {
            if value == "null", settled.contains(path) { continue }
            guard changeable.contains(where: { $0.hasSuffix(".") ? path.hasPrefix($0) : path == $0 }) else {
                throw Failure(
                    .badConfiguration,
                    "\(path): \(value) contradicts the checkpoint \(checkpoint.path), which has "
                        + "\(old[path] ?? "no such key")",
                    remedy: "Leave it out to go on as before, or start a new run with another --run.")
            }
            try tree.copy(path, from: resolved)
        }
        // A list that is settled, a range, has other paths than the null that it was.
        let given = Set(wanted.leaves.map(\.path))
        if let (path, value) = stored.leaves.first(where: { leaf in
            !given.contains(leaf.path) && !isAdopted(leaf.path) && !settled.contains { leaf.path.hasPrefix($0) }
        }) {
            throw Failure(
                .badConfiguration,
                "\(path): it is missing, which contradicts the checkpoint \(checkpoint.path), which has \(value)",
                remedy: "Give it, or leave the whole configuration out to go on as before, "
                    + "or start a new run with another --run.")
        }
        return try ModelConfiguration(tree: tree)
    }
}

extension ConfigurationTree {
    /// The preset or file that the options name, with their settings; nil where they name none.
    static func given(_ options: TrainOptions) throws(Failure) -> ConfigurationTree? {
        if let file = options.configurationFile { return try ConfigurationTree(file: file, options.settings) }
        if let name = options.preset { return try ConfigurationTree(preset: name, options.settings) }
        return nil
    }

    /// The built-in ring, with the options' settings.
    static func standard(_ options: TrainOptions) throws(Failure) -> ConfigurationTree {
        try ConfigurationTree(preset: Preset.standard.name, options.settings)
    }
}

extension GeneratorConfiguration {
    /// The networks that are trained, with their inputs and the rows of a batch of theirs of so many examples.
    fileprivate func networks() throws(Failure) -> [PlannedNetwork] {
        let example = try exampleShape(), latent = Shape.vector(latent.size)
        if let autoencoder = self as? AutoencoderConfiguration {
            return [
                PlannedNetwork(.encoder, autoencoder.encoder, example, autoencoder.encoderOptimiser) { $0 },
                PlannedNetwork(.decoder, autoencoder.decoder, latent, autoencoder.decoderOptimiser) { $0 },
            ]
        }
        if let alone = self as? DiscriminatorConfiguration {
            return [PlannedNetwork(.discriminator, alone.discriminator, example, alone.optimiser) { 2 * $0 }]
        }
        guard let game = self as? Configuration else { return [] }
        let packing = game.training.packing
        let packs = Packing(size: packing, example: game.game.judged(example), capacity: packing).shape
        let encoder = game.encoder.map { [PlannedNetwork(.encoder, $0.layers, example, $0.optimiser) { $0 }] } ?? []
        return encoder + [
            PlannedNetwork(.generator, game.generator, latent, game.generatorOptimiser) { $0 },
            PlannedNetwork(.discriminator, game.discriminator, packs, game.discriminatorOptimiser) {
                2 * $0 / packing
            },
        ]
    }
}

/// A network as a configuration has it.
private struct PlannedNetwork {
    let role: Player.Role
    let layers: [any Layer]
    let input: Shape
    let optimiser: OptimiserSettings
    let rows: (Int) -> Int

    init(
        _ role: Player.Role, _ layers: [any Layer], _ input: Shape, _ optimiser: OptimiserSettings,
        rows: @escaping (Int) -> Int
    ) {
        (self.role, self.layers, self.input, self.optimiser, self.rows) = (role, layers, input, optimiser, rows)
    }
}
