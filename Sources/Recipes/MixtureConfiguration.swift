import Mixtures
import Storage
import Support
import Yams

/// All that a run depends on which fits a mixture of Gaussians (`model: {kind: mixture}`): data, the mixture, and how
/// the run goes on. It has no networks, no objective and no minibatches.
public struct MixtureConfiguration: Sendable {
    public let name: String
    public let seed: UInt64
    public let mixture: MixtureSettings
    public let data: Configuration.DataSettings
    /// Steps of expectation–maximisation, each over all examples.
    public let steps: Int
    public let exchange: Configuration.Exchange
    public let output: Configuration.Output
    /// As in ``Configuration``.
    public let yaml: String
    public let source: String
    public let leaves: [(path: String, value: String)]

    public init(tree: ConfigurationTree) throws(Failure) {
        do { try self.init(reading: tree) } catch { throw tree.placed(error) }
    }

    private init(reading tree: ConfigurationTree) throws(Failure) {
        source = tree.origins.source
        let root = try Section(tree.root, path: "", tree.origins)
        name = try root.runName()
        seed = try root.seed()
        mixture = try root.section("model", MixtureSettings.init)
        for key in ["latent", "condition", "generator", "discriminator", "objective", "spectral", "optimizer"]
        where root.node(key) != nil {
            throw .configuration(
                key, "a mixture (model.kind) has no such part", remedy: "Take it out, or set model.kind: gan.")
        }
        data = try root.section("data", Configuration.DataSettings.init)
        steps = try root.section("training") { (section) throws(Failure) in try section.steps() }
        exchange = try root.section("exchange", Configuration.Exchange.init)
        output = try root.section("output", Configuration.Output.init)
        let resolved = try root.finish()
        yaml = ConfigurationTree.text(of: resolved)
        leaves = ConfigurationTree.leaves(of: resolved)
        if output.evaluate != nil {
            throw .configuration(
                "output.evaluate", "a mixture is not measured while it is fitted, but for its likelihood",
                remedy: "Take it out; data.held_out has the likelihood of a file logged, and gan-dist sample makes "
                    + "examples for gan-dist evaluate --samples.")
        }
    }
}

/// The group `model` of a mixture.
public struct MixtureSettings: Sendable {
    public let components: Int
    public let covariance: GaussianMixture.Covariance
    /// The directions of largest variance that the mixture is fitted in; nil: all values of an example.
    public let principal: Int?
    /// The least variance of a component in any direction.
    public let floor: Double
    /// The run ends where a step gains less, in nats an example.
    public let tolerance: Double

    init(_ section: Section) throws(Failure) {
        _ = try section.choice("kind", default: ModelKind.gan, meaning: ModelKind.meaning)
        components = try section.integer("components", 1 ... 65_536, meaning: "Gaussians of the mixture")
        covariance = try section.choice(
            "covariance", default: GaussianMixture.Covariance.full,
            meaning: "of each component: the whole matrix, or its diagonal")
        principal = try section.optionalInteger(
            "principal", 1 ... 1 << 20,
            meaning: "the mixture is of so many principal components of the examples, whose density is that of these "
                + "alone; null: of all values")
        floor = try section.number(
            "floor", default: 1e-6, 1e-30 ... 1e9, meaning: "the least variance of a component in any direction")
        tolerance = try section.number(
            "tolerance", default: 0, 0 ... 1e9,
            meaning: "the run ends, with code 0, after a step that gains less, in nats an example")
    }
}

/// What `model.kind` names.
public enum ModelKind: String, CaseIterable, Sendable {
    case gan, mixture

    static let meaning = "two players, or a mixture of Gaussians by expectation–maximisation"
}

/// What a run trains, with all that it depends on.
public enum ModelConfiguration: Sendable {
    case gan(Configuration)
    case mixture(MixtureConfiguration)

    public init(tree: ConfigurationTree) throws(Failure) {
        if tree.node(at: "model.kind")?.string == ModelKind.mixture.rawValue {
            self = .mixture(try MixtureConfiguration(tree: tree))
        } else {
            self = .gan(try Configuration(tree: tree))
        }
    }

    /// Of what this program stored, in this version or an older one.
    public init(stored yaml: String, source: String) throws(Failure) {
        try self.init(tree: ConfigurationTree(yaml: yaml, source: source, .stored))
    }

    /// That of two players; nil of another model.
    public var game: Configuration? { if case .gan(let configuration) = self { configuration } else { nil } }

    public var name: String { common.name }
    public var yaml: String { common.yaml }
    public var source: String { common.source }
    public var leaves: [(path: String, value: String)] { common.leaves }
    public var exchange: Configuration.Exchange { common.exchange }

    private var common: any CommonConfiguration {
        switch self {
        case .gan(let configuration): configuration
        case .mixture(let configuration): configuration
        }
    }
}

/// What the configurations of all models have.
private protocol CommonConfiguration {
    var name: String { get }
    var yaml: String { get }
    var source: String { get }
    var leaves: [(path: String, value: String)] { get }
    var exchange: Configuration.Exchange { get }
}

extension Configuration: CommonConfiguration {}
extension MixtureConfiguration: CommonConfiguration {}

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

    /// The group `model` of a GAN: nothing but its kind, which stays out of the whole, as before there were others.
    func requireGAN() throws(Failure) {
        guard let given = node("model") else {
            return allow("model", "a group", meaning: ModelKind.meaning, form: "{kind: mixture}")
        }
        let section = try Section(given, path: name("model"), origins)
        let kind = try section.choice("kind", default: ModelKind.gan, meaning: ModelKind.meaning)
        guard kind == .gan else {
            throw .configuration(
                "model.kind", "a \(kind.rawValue) has no players, of which this asks",
                remedy: "Of a mixture there are train, sample, evaluate, report and checkpoint; gan-dist sample makes "
                    + "a file of examples that other commands take.")
        }
        _ = try section.finish()
        allow("model")
    }
}
