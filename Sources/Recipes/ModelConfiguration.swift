import Adversarial
import Nets
import Support
import Yams

/// What `model.kind` names.
public enum ModelKind: String, CaseIterable, Sendable {
    case gan, mixture, vae, autoencoder, adversarialAutoencoder, bigan, discriminator

    static let meaning =
        "two players; a mixture of Gaussians by expectation–maximisation; a variational autoencoder, or a plain one; "
        + "two players with an encoder as the third, which reconstructs, or which inverts the generator; or a "
        + "discriminator without a generator"

    /// For messages.
    var title: String {
        switch self {
        case .gan: "a GAN"
        case .mixture: "a mixture"
        case .vae: "a variational autoencoder"
        case .autoencoder: "an autoencoder"
        case .adversarialAutoencoder: "an adversarial autoencoder"
        case .bigan: "a BiGAN"
        case .discriminator: "a discriminator without a generator"
        }
    }
}

/// What a run trains, with all that it depends on.
public enum ModelConfiguration: Sendable {
    case gan(Configuration)
    case mixture(MixtureConfiguration)
    case autoencoder(AutoencoderConfiguration)
    case discriminator(DiscriminatorConfiguration)

    public init(tree: ConfigurationTree) throws(Failure) {
        switch tree.node(at: "model.kind")?.string.flatMap(ModelKind.init) {
        case .mixture: self = .mixture(try MixtureConfiguration(tree: tree))
        case .vae, .autoencoder: self = .autoencoder(try AutoencoderConfiguration(tree: tree))
        case .discriminator: self = .discriminator(try DiscriminatorConfiguration(tree: tree))
        case .gan, .adversarialAutoencoder, .bigan, nil: self = .gan(try Configuration(tree: tree))
        }
    }

    /// Of what this program stored, in this version or an older one.
    public init(stored yaml: String, source: String) throws(Failure) {
        try self.init(tree: ConfigurationTree(yaml: yaml, source: source, .stored))
    }

    /// That of two players, or of three; nil of another model.
    public var game: Configuration? { if case .gan(let configuration) = self { configuration } else { nil } }

    /// That of a network which makes examples; nil of another model.
    public var generator: (any GeneratorConfiguration)? { common as? any GeneratorConfiguration }

    public var name: String { common.name }
    public var yaml: String { common.yaml }
    public var source: String { common.source }
    public var leaves: [(path: String, value: String)] { common.leaves }
    public var exchange: Configuration.Exchange { common.exchange }

    private var common: any CommonConfiguration {
        switch self {
        case .gan(let configuration): configuration
        case .mixture(let configuration): configuration
        case .autoencoder(let configuration): configuration
        case .discriminator(let configuration): configuration
        }
    }
}

/// What the configurations of all models have.
public protocol CommonConfiguration: Sendable {
    var name: String { get }
    var seed: UInt64 { get }
    var data: Configuration.DataSettings { get }
    var exchange: Configuration.Exchange { get }
    var output: Configuration.Output { get }
    /// The whole configuration, defaults included, as YAML: what is stored beside the run and in its checkpoints.
    var yaml: String { get }
    /// The file, preset or checkpoint that it was read from, for messages.
    var source: String { get }
    /// Every single value as `path: value`, for comparing two configurations.
    var leaves: [(path: String, value: String)] { get }
}

/// What those have of which a network makes examples and learns by minibatches.
public protocol GeneratorConfiguration: CommonConfiguration {
    /// What that network is.
    var maker: Player.Role { get }
    /// Layers from a latent to an example.
    var generator: [any Layer] { get }
    var latent: Latent { get }
    /// What stands beside the examples; nil: nothing.
    var condition: ConditionSettings? { get }
    /// Of the generator's parameters; nil: none is kept.
    var average: AverageSettings? { get }
    /// Examples in a global minibatch, over all ranks.
    var batch: Int { get }
    /// The step that a run ends after.
    var steps: Int { get }
}

extension MixtureConfiguration: CommonConfiguration {}

extension Configuration: GeneratorConfiguration {
    public var maker: Player.Role { .generator }
    public var average: AverageSettings? { training.average }
    public var batch: Int { training.batch }
    public var steps: Int { training.steps }
}

extension GeneratorConfiguration {
    /// What the generator makes; throws 78 where its layers do not fit each other.
    public func exampleShape() throws(Failure) -> Shape {
        do {
            return try Network.outputShape(of: generator, input: .vector(latent.size), name: maker.name)
        } catch {
            throw Failure(
                .badConfiguration, "configuration: \(error)",
                remedy: "Change that layer or the one before it; layers are counted from 0.")
        }
    }

    /// That no shard of a minibatch is without an example.
    func checkShards() throws(Failure) {
        guard let shards = exchange.shards, shards > batch else { return }
        throw .configuration(
            "exchange.shards",
            "\(shards) shards of a batch of \(batch) would leave some without an example",
            remedy: "Use at most \(batch) shards, or a larger training.batch.")
    }
}

extension Section {
    func runName() throws(Failure) -> String {
        let name = try string("name", default: "gan", meaning: "names the run: letters, digits, `-`, `_`, `.`")
        guard !name.isEmpty, name.allSatisfy({ $0.isLetter || $0.isNumber || "-_.".contains($0) }), name.first != "."
        else {
            throw .configuration(
                "name", "'\(name)' cannot name a folder", remedy: "Use letters, digits, '-', '_' and '.'.")
        }
        return name
    }

    func seed() throws(Failure) -> UInt64 {
        UInt64(try integer("seed", default: 1, 0 ... .max, meaning: "everything random follows from it"))
    }

    /// `training.steps`.
    func steps() throws(Failure) -> Int {
        try integer("steps", default: 10_000, 0 ... 1 << 31, meaning: "the step that the run ends after; `--steps`")
    }

    /// `training.batch`.
    func batch() throws(Failure) -> Int {
        try integer(
            "batch", default: 64, 1 ... 1 << 24, meaning: "examples in a minibatch, over all ranks together; `--batch`")
    }

    /// Refuses keys that a model of this kind has no part for.
    func refuse(_ keys: [String], of kind: ModelKind) throws(Failure) {
        for key in keys where node(key) != nil {
            throw .configuration(
                key, "\(kind.title) (model.kind) has no such part", remedy: "Take it out, or set another model.kind.")
        }
    }
}
