import Adversarial
import Collectives
import Nets
import Storage
import Support
import Yams

/// All that a run depends on, read from YAML and checked once. Names and defaults stand in the initialiser, key by key.
public struct Configuration: Sendable {
    public let name: String
    public let seed: UInt64
    public let data: DataSettings
    public let latent: Latent
    /// What stands beside the examples; nil: nothing.
    public let condition: ConditionSettings?
    public let generator: [any Layer]
    public let discriminator: [any Layer]
    /// A third player; nil: there are two.
    public let encoder: Encoder?
    public let objective: any Objective
    public let penalties: [Penalty]
    public let leCam: LeCam?
    /// Players of which every weight is divided by its spectral norm.
    public let spectralPlayers: Set<Player.Role>
    public let discriminatorOptimiser: OptimiserSettings
    public let generatorOptimiser: OptimiserSettings
    public let training: Training
    public let exchange: Exchange
    public let output: Output
    /// The whole configuration, defaults included, as YAML: what is stored beside the run and in its checkpoints.
    public let yaml: String
    /// The file, preset or checkpoint that it was read from, for messages.
    public let source: String
    /// Every single value as `path: value`, for comparing two configurations.
    public let leaves: [(path: String, value: String)]

    public struct DataSettings: Sendable {
        /// An HDF5 file, or nil with ``synthetic``.
        public var file: String?
        public var dataset: String?
        /// Examples of the same kind that are not trained on.
        public let heldOut: String?
        /// The path of the labels in the file; nil: /labels.
        public let labels: String?
        /// What becomes of images of another size than the network's.
        public let fit: ImageFit
        /// A built-in mixture in place of a file, and how many points of it.
        public var synthetic: SyntheticKind?
        public let count: Int
        /// The stored values that mean black and white, where the file does not say it rightly.
        public let range: ClosedRange<Double>?
        /// Bytes of the examples that a rank holds: all of them where they fit, else two shuffle windows.
        public let memoryLimit: Int
        /// How examples are mixed: nil is settled at the start of a run, from the file and the memory limit.
        public let shuffleBlock: Int?
        public let shuffleWindow: Int?
    }

    public struct Training: Sendable {
        /// Algorithm 1 of Goodfellow et al. 2014, or both players at once from one batch, as the paper's own code did.
        public enum Update: String, CaseIterable, Sendable { case alternating, simultaneous }
        /// Who moves first in an alternating step: D in Algorithm 1, G in Mescheder et al. 2018.
        public enum Order: String, CaseIterable, Sendable { case discriminatorFirst, generatorFirst }
        /// Examples in a global minibatch, over all ranks.
        public let batch: Int
        /// k of Algorithm 1.
        public let discriminatorSteps: Int
        public let update: Update
        public let order: Order
        /// Examples that the discriminator judges as one pack: Lin et al. 2018, "PacGAN".
        public let packing: Int
        public let steps: Int

        /// Steps of the discriminator that the generator's gradient goes through: Metz et al. 2017, "Unrolled GANs";
        /// 0 for none.
        public let unrollingSteps: Int

        /// Of the generator's parameters.
        public let average: AverageSettings?

        /// Of all that the discriminator judges.
        public let augmentation: Augmentation?

        /// What a step is.
        func updates(_ encoder: Encoder.Kind?) -> [Adversarial.Update] {
            typealias Update = Adversarial.Update
            let k = discriminatorSteps
            switch (encoder, update) {
            case (.adversarialAutoencoder, _): return Update.adversarialAutoencoder(discriminatorSteps: k)
            case (.bidirectional, .alternating): return Update.bidirectional(discriminatorSteps: k)
            case (.bidirectional, .simultaneous): return Update.bidirectionalAtOnce
            case (nil, .alternating):
                return Update.alternating(discriminatorSteps: k, generatorFirst: order == .generatorFirst)
            case (nil, .simultaneous): return Update.simultaneous(unrollingSteps: unrollingSteps)
            }
        }
    }

    public struct Exchange: Sendable {
        public let kind: GradientSum.Kind
        /// How gradients travel between nodes.
        public let precision: GradientSum.Precision
        /// nil: as many as the ranks that the run first starts on.
        public let shards: Int?
        /// Steps between two comparisons of all ranks' states; they are compared before each checkpoint too.
        public let checkEvery: Int
    }

    public struct Output: Sendable {
        public let logEvery: Int
        public let sampleEvery: Int
        public let checkpointEvery: Int
        /// Checkpoints kept, the newest ones.
        public let keep: Int
        /// Nil: nothing is measured.
        public let evaluate: EvaluationSettings?
    }

    /// What is trained.
    public var game: Game {
        Game(
            generator: generator, discriminator: discriminator, latent: latent, encoder: encoder,
            conditioning: condition?.conditioning(), objective: objective, penalties: penalties, leCam: leCam,
            augmentation: training.augmentation, spectralPlayers: spectralPlayers, average: training.average,
            generatorOptimiser: generatorOptimiser, discriminatorOptimiser: discriminatorOptimiser,
            updates: training.updates(encoder?.kind), batch: training.batch, packing: training.packing, seed: seed,
            exchange: exchange.kind, precision: exchange.precision)
    }

    /// Reads and checks `yaml`; throws 78 with the key, the value and what to do.
    public init(yaml: String, source: String) throws(Failure) {
        try self.init(tree: ConfigurationTree(yaml: yaml, source: source))
    }

    /// The same of what this program stored, in this version or an older one.
    public init(stored yaml: String, source: String) throws(Failure) {
        try self.init(tree: ConfigurationTree(yaml: yaml, source: source, .stored))
    }

    public init(tree: ConfigurationTree) throws(Failure) {
        do { try self.init(reading: tree) } catch { throw tree.placed(error) }
    }

    private init(reading tree: ConfigurationTree) throws(Failure) {
        source = tree.origins.source
        let root = try Section(tree.root, path: "", tree.origins)
        name = try root.runName()
        seed = try root.seed()
        let encoderKind = try root.encoderKind()
        data = try root.section("data", DataSettings.init)
        latent = try root.section("latent", Latent.init)
        condition = try root.condition("condition")
        root.origins.condition = condition?.condition
        let layers = "list of layers", names = LayerKind.all.map { "[\($0.name)]" }
        root.note(
            "generator", layers, default: nil, meaning: "from latents to examples, the first layer first",
            example: "[relu]", alternatives: names)
        generator = try Layers.list(root, "generator")
        root.note(
            "discriminator", layers, default: nil,
            meaning: "from an example (or a pack) to one logit, without a sigmoid at its end", example: "[relu]")
        discriminator = try Layers.list(root, "discriminator")
        var ofEncoder: [any Layer] = []
        if encoderKind != nil {
            ofEncoder = try root.encoderLayers()
            try root.refuse(["decoder"], of: encoderKind!.model)
        } else {
            try root.refuse(["encoder", "decoder"], of: .gan)
        }
        let costs = try root.section("objective") { (section) throws(Failure) in
            (objective: try section.objective(), penalties: try section.penalties("penalties"))
        }
        objective = costs.objective
        (penalties, leCam) = costs.penalties
        spectralPlayers = try root.spectralPlayers("spectral")
        var optimisers: [OptimiserSettings] = []
        try root.section("optimizer") { (section) throws(Failure) in
            for player in ["discriminator", "generator"] + (encoderKind == nil ? [] : ["encoder"]) {
                optimisers.append(try section.section(player, OptimiserSettings.init))
            }
        }
        discriminatorOptimiser = optimisers[0]
        generatorOptimiser = optimisers[1]
        encoder = encoderKind.map { Encoder(ofEncoder, $0, optimiser: optimisers[2]) }
        training = try root.section("training", Training.init)
        exchange = try root.section("exchange", Exchange.init)
        output = try root.section("output", Output.init)
        let resolved = try root.finish()
        yaml = ConfigurationTree.text(of: resolved)
        leaves = ConfigurationTree.leaves(of: resolved)
        if training.update == .simultaneous, training.discriminatorSteps != 1 {
            throw .configuration(
                "training.discriminator_steps", "\(training.discriminatorSteps) with a simultaneous update",
                remedy: "Use 1, or update: alternating.")
        }
        if training.update == .simultaneous, training.order == .generatorFirst {
            throw .configuration(
                "training.order", "a simultaneous update has no order",
                remedy: "Take training.order out, or use update: alternating.")
        }
        try checkEncoder()
        if training.unrollingSteps > 0 { try checkUnrolling() }
        if !penalties.isEmpty { try checkPenalties() }
        if let augmentation = training.augmentation { try check(augmentation) }
        try checkCondition()
        try checkShards()
    }
}

extension Configuration {
    private func checkPenalties() throws(Failure) {
        let nodes = NetworkNode.list(of: discriminator)
        guard let node = nodes.first(where: { !($0.layer is any TangentLayer) }) else { return }
        let replacement =
            node.layer is MinibatchDeviation ? "Leave it out" : "Put layer_normalisation in its place, or none"
        throw .configuration(
            "objective.penalties",
            "a gradient penalty cannot go through layer \(node.place) of the discriminator "
                + "(\(node.layer.name)), which makes the output of an example depend on the others",
            remedy: replacement + "; or take the penalties out.")
    }

    /// Unrolling is of the authors' game: the saddle objective, Adam, both players at once.
    private func checkUnrolling() throws(Failure) {
        let learnsByAdam = if case .adam = discriminatorOptimiser.rule { true } else { false }
        let standard = objective as? StandardObjective
        let clips = discriminatorOptimiser.clipNorm != nil || discriminatorOptimiser.clipWeights != nil
        let needs: [(key: String, isMet: Bool, value: String)] = [
            ("objective.loss", standard != nil, "standard"),
            ("training.update", training.update == .simultaneous, "simultaneous"),
            ("objective.generator", standard?.generatorLoss == .minimax, "minimax"),
            ("objective.discriminator", standard?.discriminatorLoss.reduction == .sum, "sum"),
            ("optimizer.discriminator.kind", learnsByAdam, "adam"),
            ("optimizer.discriminator.clip", !clips, "null"),
            ("objective.penalties", penalties.isEmpty && leCam == nil, "null"),
            ("spectral", !game.normalisesSpectrally, "null"),
            ("training.augment", training.augmentation == nil, "null"),
            ("condition", condition == nil, "null"),
        ]
        for need in needs where !need.isMet {
            throw .configuration(
                "training.unrolling_steps", "unrolling needs \(need.key): \(need.value)",
                remedy: "Set that, or unrolling_steps: 0.")
        }
        let isNormalised = NetworkNode.list(of: discriminator).contains { $0.layer is BatchNormalisation }
        guard !game.normalisesMinibatches, !isNormalised else {
            throw .configuration(
                "training.unrolling_steps",
                "the discriminator's batch normalisation, or one over the whole minibatch, cannot be unrolled",
                remedy: "Leave it out, or set unrolling_steps: 0.")
        }
    }
}

extension Configuration.DataSettings {
    init(_ section: Section) throws(Failure) {
        file = try section.optionalString("file", meaning: "the dataset, an HDF5 file; `--data`")
        dataset = try section.optionalString(
            "dataset", meaning: "its path in the file; null: `/images`, or else `/samples`")
        heldOut = try section.givenString(
            "held_out", meaning: "an HDF5 file of examples that are not trained on, for `output.evaluate`")
        if section.node("labels") == nil {
            labels = nil
            section.allow(
                "labels", "text", meaning: "for `condition`: the path of the labels in the file; null: `/labels`")
        } else {
            labels = try section.optionalString("labels", meaning: "the path of the labels in the file")
        }
        fit = try section.choice(
            "fit", default: ImageFit.refuse, meaning: "what becomes of images of another size than the network's")
        synthetic = try section.optionalChoice(
            "synthetic", of: SyntheticKind.self, meaning: "points of a built-in distribution in place of a file")
        count = try section.integer(
            "count", default: 100_000, 1 ... 1 << 31, meaning: "how many points of the mixture")
        range = try Self.range(section)
        memoryLimit = try section.bytes(
            "memory_limit", default: 1 << 30,
            meaning: "memory of a rank for examples; a dataset that fits is held once a node, a larger one is read "
                + "from its file while training")
        (shuffleBlock, shuffleWindow) = try section.section("shuffle") { (shuffle) throws(Failure) in
            let allowed = 1 ... 1 << 31
            return (
                try shuffle.optionalInteger(
                    "block", allowed,
                    meaning: "neighbouring examples that are read together; null: chosen when a run starts"),
                try shuffle.optionalInteger(
                    "window", allowed,
                    meaning: "blocks whose examples are mixed with each other; null: chosen when a run starts")
            )
        }
        if file != nil, synthetic != nil {
            throw .configuration(
                "data", "it names both a file and a synthetic mixture",
                remedy: "Remove one of them, or name a preset that takes a file: gan-dist presets lists them.")
        }
    }
}

extension Latent {
    init(_ section: Section) throws(Failure) {
        let size = try section.integer(
            "size", default: 100, 1 ... 1 << 20, meaning: "values of a latent vector z")
        let distribution = try section.choice(
            "distribution", default: Latent.Distribution.normal,
            meaning: "of each value of z; uniform is on ±√3: both have variance 1")
        self.init(size: size, distribution: distribution)
    }
}

extension Configuration.Training {
    init(_ section: Section) throws(Failure) {
        batch = try section.batch()
        discriminatorSteps = try section.integer(
            "discriminator_steps", default: 1, 1 ... 65_535,
            meaning: "k: the discriminator's updates in a step; `--discriminator-steps`, `-k`")
        update = try section.choice(
            "update", default: .alternating,
            meaning: "k updates of the discriminator, then one of the generator (Algorithm 1); or one of both at once")
        order = try section.choice(
            "order", default: .discriminatorFirst, meaning: "who moves first in an alternating step")
        packing = try section.integer(
            "packing", default: 1, 1 ... 255,
            meaning: "examples that the discriminator sees as one pack (PacGAN); divides `batch`")
        average = try section.average("average")
        augmentation = try section.augmentation("augment")
        unrollingSteps = try section.integer(
            "unrolling_steps", default: 0, 0 ... 1000,
            meaning: "the discriminator's updates that the generator's gradient looks ahead (unrolled GAN)")
        if batch % packing != 0 {
            throw .configuration(
                "training.packing", "a batch of \(batch) is not a number of packs of \(packing)",
                remedy: "Use a training.batch that is a multiple of \(packing).")
        }
        steps = try section.steps()
    }
}

extension Configuration.Exchange {
    init(_ section: Section) throws(Failure) {
        kind = try section.choice(
            "kind", default: .ordered,
            meaning: "how ranks add gradients: the same bits on any number of ranks, or `MPI_Allreduce`")
        precision = try section.choice(
            "precision", default: .float32, meaning: "of gradients between nodes; bfloat16 is half the bytes")
        if kind == .mpi, precision != .float32 {
            throw .configuration(
                "exchange.precision", "MPI_Allreduce (exchange.kind: mpi) has no \(precision.rawValue)",
                remedy: "Use float32, or exchange.kind: ordered.")
        }
        shards = try section.optionalInteger(
            "shards", 1 ... 65_536,
            meaning: "equal pieces of each minibatch, whose number the bits depend on; "
                + "null: as many as the ranks that the run starts on; `--shards`")
        checkEvery = try section.integer(
            "check_every", default: 100, 1 ... .max,
            meaning: "steps between two comparisons of what the ranks have and compute")
    }
}

extension Configuration.Output {
    init(_ section: Section) throws(Failure) {
        logEvery = try section.integer(
            "log_every", default: 50, 1 ... .max, meaning: "steps between two lines of the log")
        sampleEvery = try section.integer(
            "sample_every", default: 1000, 1 ... .max, meaning: "steps between two pictures of samples")
        checkpointEvery = try section.integer(
            "checkpoint_every", default: 1000, 1 ... .max, meaning: "steps between two checkpoints")
        keep = try section.integer("keep", default: 3, 1 ... 1_000_000, meaning: "the newest checkpoints that are kept")
        evaluate = try section.evaluation("evaluate")
    }
}
