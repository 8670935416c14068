import Adversarial
import Autoencoders
import Nets
import Support
import Yams

/// All that a run depends on which trains an autoencoder (`model: {kind: autoencoder}`), or a variational one (`vae`).
public struct AutoencoderConfiguration: GeneratorConfiguration {
    public let name: String
    public let seed: UInt64
    public let data: Configuration.DataSettings
    public let latent: Latent
    public let encoder: [any Layer]
    public let decoder: [any Layer]
    private let kind: ModelKind
    public let reconstruction: Reconstruction
    public let encoderOptimiser: OptimiserSettings
    public let decoderOptimiser: OptimiserSettings
    public let batch: Int
    public let steps: Int
    public let exchange: Configuration.Exchange
    public let output: Configuration.Output
    public let yaml: String
    public let source: String
    public let leaves: [(path: String, value: String)]

    public var maker: Player.Role { .decoder }
    public var generator: [any Layer] { autoencoder.generator }
    public var condition: ConditionSettings? { nil }
    public var average: AverageSettings? { nil }

    /// What the encoder says of a code.
    public var code: Autoencoder.Code { kind == .vae ? .gaussian : .point }

    /// What is trained.
    public var autoencoder: Autoencoder {
        Autoencoder(
            encoder: encoder, decoder: decoder, codeSize: latent.size, code: code, reconstruction: reconstruction,
            encoderOptimiser: encoderOptimiser, decoderOptimiser: decoderOptimiser, batch: batch, seed: seed,
            exchange: exchange.kind, precision: exchange.precision)
    }

    public init(tree: ConfigurationTree) throws(Failure) {
        do { try self.init(reading: tree) } catch { throw tree.placed(error) }
    }

    private init(reading tree: ConfigurationTree) throws(Failure) {
        source = tree.origins.source
        let root = try Section(tree.root, path: "", tree.origins)
        name = try root.runName()
        seed = try root.seed()
        (kind, reconstruction) = try root.section("model") { (section) throws(Failure) in
            (
                try section.choice("kind", default: ModelKind.gan, meaning: ModelKind.meaning),
                try Reconstruction(section)
            )
        }
        data = try root.section("data", Configuration.DataSettings.init)
        latent = try root.section("latent") { (section) throws(Failure) in
            Latent(
                size: try section.integer("size", default: 64, 1 ... 1 << 20, meaning: "values of a latent vector z"))
        }
        encoder = try root.encoderLayers()
        root.note(
            "decoder", "list of layers", default: nil,
            meaning:
                "of an autoencoder: from a code to an example; with `bernoulli` to logits, without a sigmoid",
            example: "[relu]")
        decoder = try Layers.list(root, "decoder")
        var optimisers: [OptimiserSettings] = []
        try root.section("optimizer") { (section) throws(Failure) in
            for network in ["encoder", "decoder"] {
                optimisers.append(try section.section(network, OptimiserSettings.init))
            }
        }
        (encoderOptimiser, decoderOptimiser) = (optimisers[0], optimisers[1])
        (batch, steps) = try root.section("training") { (section) throws(Failure) in
            (try section.batch(), try section.steps())
        }
        exchange = try root.section("exchange", Configuration.Exchange.init)
        output = try root.section("output", Configuration.Output.init)
        try root.refuse(["generator", "discriminator", "objective", "spectral", "condition"], of: kind)
        let resolved = try root.finish()
        yaml = ConfigurationTree.text(of: resolved)
        leaves = ConfigurationTree.leaves(of: resolved)
        try checkShards()
        try checkLayers()
    }

    private func checkLayers() throws(Failure) {
        if data.labels != nil {
            throw .configuration(
                "data.labels", "\(kind.title) looks at no labels", remedy: "Leave it out.")
        }
        for (key, list) in [("encoder", encoder), ("decoder", decoder)] {
            if let found = list.conditions.first {
                throw .configuration(
                    key, "its layer \(found.layer) looks at a condition, and \(kind.title) has none",
                    remedy: "Leave it out.")
            }
        }
        if case .bernoulli = reconstruction, decoder.outputBounds != nil {
            throw .configuration(
                "decoder", "it ends in a layer that bounds its output, where the Bernoulli cost takes logits",
                remedy: "Take its last layer out, or set model.reconstruction: gaussian.")
        }
    }
}

extension Section {
    /// `encoder`, of any model that has one.
    func encoderLayers() throws(Failure) -> [any Layer] {
        note(
            "encoder", "list of layers", default: nil,
            meaning:
                "where `model.kind` has one: from an example to its code, `latent.size` values; of a `vae` to the "
                + "means of its code, then what deviations are made of: twice as many", example: "[relu]")
        return try Layers.list(self, "encoder")
    }
}

extension Reconstruction {
    private enum Kind: String, CaseIterable { case bernoulli, gaussian }

    /// Of the group `model`.
    init(_ section: Section) throws(Failure) {
        let kind = try section.choice(
            "reconstruction", default: Kind.bernoulli,
            meaning:
                "the distribution of each value of an example: 0 or 1 with the log-odds that the decoder makes, for "
                + "images, which are scaled to 0 … 1; or normal about the value that it makes")
        switch kind {
        case .bernoulli: self = .bernoulli
        case .gaussian: try self.init(gaussian: section)
        }
    }

    init(gaussian section: Section) throws(Failure) {
        self = .gaussian(
            deviation: try section.number(
                "deviation", default: 1, 1e-6 ... 1e6, meaning: "the standard deviation of each value"))
    }
}
