import Kernels
import Nets
import Support
import Testing
@testable import Recipes

@Suite struct ConfigurationTests {
    static let small = """
        data: {synthetic: ring}
        latent: {size: 4}
        generator: [{dense: {units: 8}}, relu, {dense: {units: 2}}]
        discriminator: [{dense: {units: 8}}, relu, {dense: {units: 1}}]
        """

    private func refusal(_ yaml: String, _ settings: [String] = []) -> Failure? {
        do {
            var tree = try ConfigurationTree(yaml: yaml, source: "test")
            for setting in settings { try tree.apply(Setting(setting)) }
            _ = try Configuration(tree: tree)
            return nil
        } catch {
            return error
        }
    }

    @Test(arguments: Preset.all.map(\.name)) func presetsAreCompleteAndPrintedWhole(name: String) throws {
        let first = try ModelConfiguration(tree: ConfigurationTree(preset: name, []))
        let second = try ModelConfiguration(tree: ConfigurationTree(yaml: first.yaml, source: "printed"))
        #expect(first.yaml == second.yaml)
        #expect(first.leaves.map(\.path) == second.leaves.map(\.path))
        #expect(first.name == name)
    }

    @Test func defaultsAreWrittenOut() throws {
        let configuration = try Configuration(yaml: Self.small, source: "test")
        #expect(configuration.yaml.contains("beta2: 0.999"))
        #expect(configuration.yaml.contains("label_smoothing: 0"))
        #expect(configuration.leaves.contains { $0.path == "generator.0.dense.weights" && $0.value == "glorot" })
    }

    @Test func unknownKeysAreNamedWithTheNearest() throws {
        let failure = try #require(refusal(Self.small, ["training.bach=3"]))
        #expect(failure.code == .badConfiguration)
        #expect(failure.message.contains("training.bach"))
        #expect(failure.remedy.contains("Did you mean 'batch'?"))
        let layer = try #require(refusal(Self.small.replacing("relu", with: "rellu")))
        #expect(layer.message.contains("generator.1") && layer.remedy.contains("'relu'"))
    }

    @Test(arguments: [
        ("training.batch=0", "training.batch"), ("training.batch=many", "training.batch"),
        ("training.batch=1.5", "training.batch"),
        ("optimizer.generator.rate=-1", "optimizer.generator.rate"),
        ("optimizer.generator.rate=.nan", "optimizer.generator.rate"),
        ("optimizer.generator.rate=1e999", "optimizer.generator.rate"),
        ("optimizer.generator.kind=adamm", "optimizer.generator.kind"),
        ("exchange.shards=1000", "exchange.shards"), ("seed=-1", "seed"), ("training=5", "training"),
        ("generator.7.dense.units=3", "generator.7"),
        ("exchange.precision=half", "exchange.precision"), ("training.update=simultaneous", ""),
        ("exchange.precision=bfloat16", ""), ("latent.size=99999999999999999999", "latent.size"), ("name=../x", "name"),
    ]) func badValuesAreRefusedByName(setting: String, key: String) throws {
        let failure = refusal(Self.small, [setting])
        if key.isEmpty { #expect(failure == nil); return }
        #expect(failure?.code == .badConfiguration)
        #expect(failure?.message.contains(key) == true, "\(failure?.message ?? "accepted")")
        #expect(failure?.remedy.isEmpty == false)
    }

    @Test func onlyMessagesOfOurOwnAreRounded() throws {
        let failure = try #require(refusal(Self.small, ["exchange.kind=mpi", "exchange.precision=bfloat16"]))
        #expect(failure.code == .badConfiguration && failure.message.contains("exchange.precision"))
    }

    @Test func kernelsAndStridesHaveAHeightAndAWidth() throws {
        let image = Self.small.replacing(
            "[{dense: {units: 8}}, relu, {dense: {units: 1}}]",
            with: "[{reshape: {shape: [8, 10, 2]}}, {convolution: {channels: 3, KERNEL}}, flatten, {dense: {units: 1}}]"
        )
        func layer(_ settings: String) throws -> Convolution2D? {
            let configuration = try Configuration(yaml: image.replacing("KERNEL", with: settings), source: "test")
            #expect(try Configuration(yaml: configuration.yaml, source: "printed").yaml == configuration.yaml)
            return configuration.discriminator[1] as? Convolution2D
        }
        let rectangular = try #require(try layer("kernel: [3, 5], stride: [2, 1]"))
        #expect(rectangular.kernel == Extent(height: 3, width: 5) && rectangular.stride == Extent(height: 2, width: 1))
        let square = try #require(try layer("kernel: 4"))
        #expect(square.kernel == 4 && square.stride == 1)
        for bad in [
            "kernel: [3]", "kernel: [3, 0]", "kernel: [3, 4, 5]", "kernel: [3, x]", "kernel: 0", "kernel: 1.5",
            "kernel: {height: 3}", "kernel: [2000, 3]",
            "kernel: [[3], 4]",
        ] {
            let failure = refusal(image.replacing("KERNEL", with: bad))
            #expect(
                failure?.code == .badConfiguration
                    && failure?.message.contains("discriminator.1.convolution.kernel") == true,
                "\(bad): \(failure?.message ?? "accepted")")
        }
    }

    private static func withLayer(_ layer: String) -> String {
        """
        data: {synthetic: ring}
        latent: {size: 2}
        generator: [{dense: {units: 6}}, \(layer), {dense: {units: 2}}]
        discriminator: [{dense: {units: 1}}]
        """
    }

    @Test func residualsAreReadAtAnyDepthAndWrittenOut() throws {
        let yaml = Self.withLayer(
            "{residual: {body: [relu, {residual: {body: [{dense: {units: 6}}]}}], skip: [{leaky_relu: {slope: 0.5}}]}}")
        let configuration = try Configuration(yaml: yaml, source: "test")
        let outer = try #require(configuration.generator[1] as? Residual)
        let inner = try #require(outer.body[1] as? Residual)
        #expect(outer.body[0] is ReLU && (outer.skip[0] as? LeakyReLU)?.slope == 0.5)
        #expect((inner.body[0] as? Dense)?.units == 6 && inner.skip.isEmpty)
        #expect(try configuration.exampleShape() == .vector(2))
        let leaves = configuration.leaves.filter { $0.path.hasPrefix("generator.1") }
        #expect(leaves.contains { $0 == ("generator.1.residual.body.1.residual.body.0.dense.units", "6") })
        #expect(!leaves.contains { $0.path.contains("body.1.residual.skip") })
        let again = try Configuration(yaml: configuration.yaml, source: "its own print")
        #expect(again.yaml == configuration.yaml)
        var tree = try ConfigurationTree(yaml: yaml, source: "test")
        try tree.set("generator.1.residual.skip.0.leaky_relu.slope", toYAML: "0.25")
        let changed = try #require(try Configuration(tree: tree).generator[1] as? Residual)
        #expect((changed.skip[0] as? LeakyReLU)?.slope == 0.25)
    }

    @Test(arguments: [
        ("{residual: {body: [relu], skp: [relu]}}", ["generator.1.residual.skp", "skip"]),
        ("{residual: {skip: [relu]}}", ["generator.1.residual.body", "missing"]),
        ("residual", ["generator.1.residual.body", "missing"]),
        ("{residual: {body: []}}", ["generator.1.residual.body", "no layers"]),
        ("{residual: {body: [relu], skip: []}}", ["generator.1.residual.skip", "no layers"]),
        ("{residual: {body: relu}}", ["generator.1.residual.body", "list of layers"]),
        ("{residual: {body: [relu, {dense: {unts: 6}}]}}", ["generator.1.residual.body.1.dense.unts", "units"]),
        ("{residual: {body: [{residual: {body: [rleu]}}]}}", ["generator.1.residual.body.0.residual.body.0", "relu"]),
    ]) func mistakesInResidualsAreNamed(layer: String, words: [String]) {
        let message = refusal(Self.withLayer(layer)).map { "\($0.message) \($0.remedy)" } ?? "accepted"
        for word in words { #expect(message.contains(word), "\(layer): \(message)") }
    }

    @Test func layersInResidualsAreThoseOfTheGame() throws {
        let coupling = try Configuration(
            yaml: Self.withLayer(
                "{residual: {body: [{dense: {units: 6, spectral: true}}, "
                    + "{batch_normalisation: {statistics: minibatch}}]}}"),
            source: "test")
        #expect(coupling.game.normalisesMinibatches && coupling.game.normalisesSpectrally)
        let plain = try Configuration(yaml: Self.withLayer("relu"), source: "test")
        #expect(!plain.game.normalisesMinibatches && !plain.game.normalisesSpectrally)
        // A layer of images only, which has no parameters for a vector.
        let attentive = try Configuration(
            yaml: Self.withLayer("{reshape: {shape: [2, 2, 8]}}, {self_attention: {spectral: true}}, flatten")
                .replacing("units: 6", with: "units: 32"), source: "test")
        #expect(attentive.game.normalisesSpectrally)
        let penalised = Self.withLayer("relu").replacing(
            "discriminator: [", with: "discriminator: [{residual: {body: [relu, batch_normalisation]}}, ")
        let refused = refusal(penalised + "\nobjective: {penalties: [{kind: r1}]}")
        #expect(refused?.message.contains("layer 0.residual.body.1 of the discriminator (batch_normalisation)") == true)
    }

    @Test func duplicateKeysAndBrokenYAMLAreRefused() {
        #expect(refusal("seed: 1\nseed: 2\n" + Self.small)?.code == .badConfiguration)
        #expect(refusal("generator: [")?.code == .badConfiguration)
        #expect(refusal("")?.code == .badConfiguration)
        #expect(refusal("42")?.code == .badConfiguration)
    }

    @Test func aChangedKindDropsTheOldKindsConstants() throws {
        var tree = try ConfigurationTree(yaml: Preset.named("goodfellow-mnist").yaml, source: "test")
        try tree.set("optimizer.generator.kind", to: "adam")
        try tree.set("optimizer.generator.rate", to: "0.001")
        let configuration = try Configuration(tree: tree)
        #expect(configuration.generatorOptimiser.rule == .adam(beta1: 0.5, beta2: 0.999, epsilon: 1e-8))
        #expect(configuration.discriminatorOptimiser.rule == .momentum)
        #expect(configuration.generatorOptimiser.rate == .constant(0.001))
    }

    /// Unrolling is of one game only; packs must fill the batch.
    @Test(arguments: [
        ("unrolled-ring", "objective.generator=nonSaturating", "minimax"),
        ("unrolled-ring", "training.update=alternating", "simultaneous"),
        ("unrolled-ring", "objective.discriminator=mean", "sum"),
        ("unrolled-ring", "optimizer.discriminator.kind=sgd", "adam"),
        ("pacgan-ring", "training.packing=3", "multiple of 3"),
    ]) func whatDoesNotFitTogetherIsRefused(preset: String, setting: String, word: String) throws {
        let failure = try #require(refusal(Preset.named(preset).yaml, [setting]))
        #expect(failure.code == .badConfiguration)
        #expect((failure.message + failure.remedy).contains(word), "\(failure.message)")
    }

    @Test func schedulesAreThePapers() throws {
        let settings = try Preset.named("goodfellow-mnist").configuration().generatorOptimiser
        func progress(update: Int, epochs: Int) -> Progress {
            Progress(steps: 0, epochs: epochs, examples: 0, update: update)
        }
        #expect(abs(settings.rate.value(at: progress(update: 1001, epochs: 0)) - 0.1 / 1.004007980) < 1e-6)
        #expect(settings.rate.value(at: progress(update: 100_000_001, epochs: 0)) == 1e-6)
        #expect(settings.momentum.value(at: progress(update: 1, epochs: 0)) == 0.5)
        #expect(settings.momentum.value(at: progress(update: 1, epochs: 1000)) == 0.7)
    }
}
