import Nets
import Support
import Testing
@testable import Recipes

@Suite struct OptimiserSettingsTests {
    private func configuration(_ settings: [String]) throws -> Configuration {
        var tree = try ConfigurationTree(yaml: ConfigurationTests.small, source: "test")
        for setting in settings { try tree.apply(Setting(setting)) }
        let configuration = try Configuration(tree: tree)
        #expect(try Configuration(yaml: configuration.yaml, source: "printed").yaml == configuration.yaml)
        return configuration
    }

    private func generator(_ settings: String) throws -> OptimiserSettings {
        try configuration(["optimizer.generator={\(settings)}"]).generatorOptimiser
    }

    private func refusal(_ setting: String) -> Failure? {
        do {
            _ = try configuration([setting])
            return nil
        } catch {
            return error as? Failure
        }
    }

    @Test func kindsHaveTheirDefaults() throws {
        #expect(try generator("kind: rmsprop").rule == .rmsprop(alpha: 0.99, epsilon: 1e-8))
        #expect(
            try generator("kind: adamw").rule == .adamW(beta1: 0.5, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.01))
        #expect(try generator("kind: rmsprop, alpha: 0.9, rate: 5e-5").rate == .constant(5e-5))
        #expect(try generator("kind: sgd, momentum: {from: 0, to: 0, epochs: 3}").rule == .descent)
        let plain = try generator("kind: adam")
        #expect(plain.clipNorm == nil && plain.clipWeights == nil)
        let clipped = try generator("kind: rmsprop, clip: {weights: 0.01}")
        #expect(clipped.clipNorm == nil && clipped.clipWeights == 0.01)
        #expect(try generator("clip: {norm: 1}").clipNorm == 1)
    }

    @Test(arguments: [
        (
            "{schedule: cosine, from: 2e-4, to: 5e-5, over: 10000000, unit: examples, warmup: 1000}",
            Schedule(.cosine(from: 2e-4, to: 5e-5, over: 10_000_000), unit: .examples, warmup: 1000)
        ),
        (
            "{schedule: linear, from: 0.5, to: 0, over: 3, unit: epochs}",
            Schedule(.linear(from: 0.5, to: 0, over: 3), unit: .epochs)
        ),
        (
            "{schedule: exponential, from: 0.1, to: 0.001, over: 500}",
            Schedule(.exponential(from: 0.1, to: 0.001, over: 500))
        ),
        ("{schedule: constant, value: 0.1, warmup: 50}", Schedule(.constant(0.1), warmup: 50)),
        ("0.25", .constant(0.25)),
        (
            "{initial: 0.1, decay: 1.000004, floor: 1.0e-6}",
            Schedule(.decay(initial: 0.1, decay: 1.000004, floor: 1e-6), unit: .updates)
        ),
        (
            "{initial: 0.1, final: 0.01, steps: 1000}",
            Schedule(.linear(from: 0.1, to: 0.01, over: 1000), unit: .updates)
        ),
    ])
    func ratesFollowSchedules(text: String, schedule: Schedule) throws {
        #expect(try generator("rate: \(text)").rate == schedule)
    }

    @Test func secondMomentsAndMomentaFollowSchedulesToo() throws {
        let beta2 = "beta2: {schedule: linear, from: 0.9, to: 0.99, over: 10}"
        let schedule = Schedule(.linear(from: 0.9, to: 0.99, over: 10))
        #expect(try generator(beta2).rule == .adam(beta1: 0.5, beta2: schedule, epsilon: 1e-8))
        #expect(
            try generator("kind: optimisticAdam, \(beta2)").rule
                == .optimisticAdam(beta1: 0.5, beta2: schedule, epsilon: 1e-8))
        let new = try generator("kind: sgd, momentum: {schedule: linear, from: 0, to: 0.9, over: 10}")
        #expect(new.rule == .momentum && new.momentum == Schedule(.linear(from: 0, to: 0.9, over: 10)))
        let old = try generator("kind: sgd, momentum: {from: 0.5, to: 0.7, epochs: 250}")
        #expect(old.momentum == Schedule(.ramp(from: 0.5, to: 0.7, over: 250), unit: .epochs))
    }

    /// Key, and a word of the message or of the remedy.
    @Test(arguments: [
        ("rate={schedule: cosin, from: 1, to: 0, over: 5}", "rate.schedule", "cosine"),
        ("rate={schedule: cosine, to: 0, over: 5}", "rate.from", "missing"),
        ("rate={schedule: cosine, from: 1, to: -1, over: 5}", "rate.to", "outside"),
        ("rate={schedule: cosine, from: 1, to: 0, over: 0}", "rate.over", "outside"),
        ("rate={schedule: exponential, from: 1, to: 0, over: 5}", "rate.to", "schedule: linear"),
        ("rate={schedule: exponential, from: 0, to: 1, over: 5}", "rate.from", "schedule: linear"),
        ("rate={schedule: constant, value: 1, over: 5}", "rate.over", "no such key"),
        ("rate={schedule: linear, from: 1, to: 0, over: 5, unit: updates}", "rate.unit", "epochs"),
        ("rate={schedule: linear, from: 1, to: 0, over: 5, unit: epochs, warmup: 1}", "rate.warmup", "examples"),
        ("rate={schedule: linear, from: 1, to: 0, over: 5, warmup: -1}", "rate.warmup", "outside"),
        ("rate={from: 1, to: 0, over: 5}", "rate.schedule", "linear"),
        ("rate={initial: 1, decay: 0.5}", "rate.decay", "outside"),
        ("beta2={schedule: linear, from: 0.9, to: 1, over: 5}", "beta2.to", "outside"),
        ("beta2=[1, 2]", "beta2", "not a number"),
        ("momentum=0.5", "momentum", "no such key"),
        ("clip={norm: 0}", "clip.norm", "outside"), ("clip={weight: 0.01}", "clip.weight", "weights"),
        ("clip=0.01", "clip", "group of keys"), ("weight_decay=0.1", "weight_decay", "no such key"),
    ])
    func nonsenseIsRefusedByName(setting: String, key: String, word: String) throws {
        let failure = try #require(refusal("optimizer.discriminator.\(setting)"), "accepted: \(setting)")
        #expect(failure.code == .badConfiguration)
        #expect(failure.message.contains("optimizer.discriminator.\(key)"), "\(failure.message)")
        #expect((failure.message + failure.remedy).contains(word), "\(failure.message) \(failure.remedy)")
    }

    /// Where 0 is not allowed, no warm-up is.
    @Test func aWarmupNeedsItsZero() throws {
        let tree = try ConfigurationTree(yaml: "x: {schedule: constant, value: 2, warmup: 3}", source: "test")
        let schedule = try Section(tree.root, path: "", tree.origins).schedule("x", 0 ... 5, meaning: "a number")
        #expect(schedule == Schedule(.constant(2), warmup: 3))
        let failure = #expect(throws: Failure.self) {
            try Section(tree.root, path: "", tree.origins).schedule("x", 1 ... 5, meaning: "a number")
        }
        #expect(failure?.message.contains("x.warmup") == true)
    }

    @Test func unrollingRefusesClipping() throws {
        var tree = try ConfigurationTree(yaml: Preset.named("unrolled-ring").yaml, source: "test")
        try tree.apply(Setting("optimizer.discriminator.clip={norm: 1}"))
        let clipping = tree
        let failure = #expect(throws: Failure.self) { try Configuration(tree: clipping) }
        #expect(failure?.message.contains("optimizer.discriminator.clip") == true)
    }

    @Test func aNewKindKeepsTheClip() throws {
        let configuration = try configuration([
            "optimizer.generator={kind: adam, beta1: 0, clip: {norm: 2}}", "optimizer.generator.kind=rmsprop",
        ])
        #expect(configuration.generatorOptimiser.clipNorm == 2)
    }

    /// What nobody asks for does not stand in the printed configuration, which is that of versions without it.
    @Test func newKeysShowWhereTheyAreGiven() throws {
        let plain = try Configuration(yaml: ConfigurationTests.small, source: "test")
        for word in ["clip", "spectral", "weight_decay", "alpha", "schedule"] { #expect(!plain.yaml.contains(word)) }
        #expect(try configuration(["optimizer.generator.clip={norm: 1}"]).yaml.contains("norm: 1"))
    }

    @Test func layersMayBeSpectral() throws {
        func isSpectral(_ value: String) throws -> Bool? {
            try (configuration(["discriminator.0.dense.spectral=\(value)"]).discriminator[0] as? Dense)?.isSpectral
        }
        #expect(try isSpectral("true") == true && isSpectral("false") == false)
        #expect(try configuration(["discriminator.0.dense.spectral=true"]).yaml.contains("spectral: true"))
        let image = """
            - {reshape: {shape: [4, 4, 2]}}
            - {convolution: {channels: 3, kernel: 3, spectral: true}}
            - {transposed_convolution: {channels: 3, kernel: 3, spectral: true}}
            - flatten
            - {maxout: {units: 3, pieces: 2, spectral: true}}
            - {dense: {units: 1}}
            """
        let yaml =
            ConfigurationTests.small.split(separator: "\n").dropLast().joined(separator: "\n")
            + "\ndiscriminator:\n" + image
        let layers = try Configuration(yaml: yaml, source: "test").discriminator
        #expect((layers[1] as? Convolution2D)?.isSpectral == true)
        #expect((layers[2] as? TransposedConvolution2D)?.isSpectral == true)
        #expect((layers[4] as? Maxout)?.isSpectral == true && (layers[5] as? Dense)?.isSpectral == false)
        let failure = try #require(refusal("discriminator.0.dense.spectral=2"))
        #expect(failure.message.contains("discriminator.0.dense.spectral") && failure.remedy.contains("true or false"))
        let misspelt = try #require(refusal("discriminator.0.dense.spectra=true"))
        #expect(misspelt.remedy.contains("Did you mean 'spectral'?"))
    }
}
