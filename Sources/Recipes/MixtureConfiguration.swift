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
        try root.refuse(
            [
                "latent", "condition", "generator", "discriminator", "encoder", "decoder", "objective", "spectral",
                "optimizer",
            ],
            of: .mixture)
        data = try root.section("data", Configuration.DataSettings.init)
        steps = try root.section("training") { (section) throws(Failure) in try section.steps() }
        exchange = try root.section("exchange", Configuration.Exchange.init)
        output = try root.section("output", Configuration.Output.init)
        let resolved = try root.finish()
        yaml = ConfigurationTree.text(of: resolved)
        leaves = ConfigurationTree.leaves(of: resolved)
        if data.labels != nil {
            throw .configuration("data.labels", "a mixture looks at no labels", remedy: "Leave it out.")
        }
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
