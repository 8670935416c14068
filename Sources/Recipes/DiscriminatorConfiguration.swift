import Adversarial
import Nets
import Support
import Yams

/// All that a run depends on which trains a discriminator without a generator (`model: {kind: discriminator}`).
public struct DiscriminatorConfiguration: GeneratorConfiguration {
    public let name: String
    public let seed: UInt64
    public let data: Configuration.DataSettings
    public let discriminator: [any Layer]
    public let optimiser: OptimiserSettings
    public let batch: Int
    public let steps: Int
    public let exchange: Configuration.Exchange
    public let output: Configuration.Output
    public let yaml: String
    public let source: String
    public let leaves: [(path: String, value: String)]
    private let negatives: NegativeSettings

    public var maker: Player.Role { .generator }
    /// What gives noise the shape of an example: there is no other generator.
    public var generator: [any Layer] { training.noiseLayers }
    public var latent: Latent { training.latent }
    public var condition: ConditionSettings? { nil }
    public var average: AverageSettings? { nil }

    /// What is trained.
    public var training: DiscriminatorTraining {
        DiscriminatorTraining(
            discriminator: discriminator, example: negatives.example, bounds: negatives.bounds, optimiser: optimiser,
            negatives: negatives.count, updatesOfRound: negatives.round, ascent: negatives.ascent, batch: batch,
            seed: seed, exchange: exchange.kind, precision: exchange.precision)
    }

    public init(tree: ConfigurationTree) throws(Failure) {
        do { try self.init(reading: tree) } catch { throw tree.placed(error) }
    }

    private init(reading tree: ConfigurationTree) throws(Failure) {
        source = tree.origins.source
        let root = try Section(tree.root, path: "", tree.origins)
        name = try root.runName()
        seed = try root.seed()
        negatives = try root.section("model", NegativeSettings.init)
        data = try root.section("data", Configuration.DataSettings.init)
        root.note(
            "discriminator", "list of layers", default: nil,
            meaning: "from an example to one logit, without a sigmoid at its end", example: "[relu]")
        discriminator = try Layers.list(root, "discriminator")
        optimiser = try root.section("optimizer") { (section) throws(Failure) in
            try section.section("discriminator", OptimiserSettings.init)
        }
        (batch, steps) = try root.section("training") { (section) throws(Failure) in
            (try section.batch(), try section.steps())
        }
        exchange = try root.section("exchange", Configuration.Exchange.init)
        output = try root.section("output", Configuration.Output.init)
        try root.refuse(
            ["generator", "latent", "encoder", "decoder", "objective", "spectral", "condition"], of: .discriminator)
        let resolved = try root.finish()
        yaml = ConfigurationTree.text(of: resolved)
        leaves = ConfigurationTree.leaves(of: resolved)
        try checkShards()
        if data.labels != nil {
            throw .configuration(
                "data.labels", "\(ModelKind.discriminator.title) looks at no labels", remedy: "Leave it out.")
        }
        if let found = discriminator.conditions.first {
            throw .configuration(
                "discriminator",
                "its layer \(found.layer) looks at a condition, and \(ModelKind.discriminator.title) has none",
                remedy: "Leave it out.")
        }
    }
}

/// The group `model` of a discriminator without a generator.
private struct NegativeSettings {
    let example: Shape
    let bounds: DiscriminatorTraining.Bounds
    let count: Int
    let round: Int
    let ascent: DiscriminatorTraining.Ascent

    init(_ section: Section) throws(Failure) {
        _ = try section.choice("kind", default: ModelKind.gan, meaning: ModelKind.meaning)
        example = try section.shape("example", meaning: "the shape of an example of the data")
        bounds = try section.choice(
            "bounds", default: DiscriminatorTraining.Bounds.none,
            meaning: "of each value of a negative: none, 0 … 1 (`unit`), or −1 … 1 (`symmetric`), as images are scaled")
        count = try section.integer(
            "negatives", default: 2048, 2 ... 1 << 24,
            meaning: "examples that the discriminator takes for generated ones; they begin as noise")
        round = try section.integer(
            "round", default: 10, 1 ... 1 << 24,
            meaning: "updates of the discriminator, after which all negatives climb on it")
        ascent = DiscriminatorTraining.Ascent(
            steps: try section.integer(
                "ascent_steps", default: 10, 1 ... 1_000_000, meaning: "steps of gradient ascent that they climb"),
            stepSize: Float(
                try section.number(
                    "step_size", default: 0.01, 1e-12 ... 1e12, meaning: "times the logit's gradient, of each step")),
            noise: Float(
                try section.number(
                    "noise", default: 1, 1e-12 ... 1e12,
                    meaning: "the deviation of what they begin as, where there are no bounds")))
    }
}
