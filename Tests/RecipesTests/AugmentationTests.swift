import Adversarial
import Nets
import Testing
@testable import Recipes

@Suite struct AugmentationTests {
    private func configuration(_ settings: String...) throws -> Configuration {
        var tree = try ConfigurationTree(yaml: Preset.named("dcgan-32").yaml, source: "test")
        for setting in settings { try tree.apply(Setting(setting)) }
        let configuration = try Configuration(tree: tree)
        #expect(try Configuration(yaml: configuration.yaml, source: "printed").yaml == configuration.yaml)
        return configuration
    }

    @Test func theDefaultsAreThoseOfDiffAugment() throws {
        #expect(try configuration().training.augmentation == nil)
        #expect(try !configuration().yaml.contains("augment"))
        let augmentation = try #require(try configuration("training.augment={policy: null}").game.augmentation)
        #expect(augmentation.policy == [.brightness, .saturation, .contrast, .translation, .cutout])
        guard case .scheduled(1.0) = augmentation.probability else { throw Wrong(augmentation) }
    }

    /// However the policy is written, it is one: a resumed run is not told that it contradicts its checkpoint.
    @Test func theOrderOfAPolicyIsNone() throws {
        let first = try configuration("training.augment={policy: [cutout, flip, contrast]}")
        #expect(first.training.augmentation?.policy == [.flip, .contrast, .cutout])
        #expect(try first.yaml == configuration("training.augment.policy=[flip, contrast, cutout]").yaml)
    }

    @Test func probabilitiesHaveTheirForms() throws {
        let scheduled = try configuration(
            "training.augment.probability={schedule: cosine, from: 0, to: 0.55, over: 1000, unit: examples}"
        ).training.augmentation
        let schedule = Schedule(.cosine(from: 0, to: 0.55, over: 1000), unit: .examples)
        guard case .scheduled(schedule)? = scheduled?.probability else { throw Wrong(scheduled) }
        let adaptive = try configuration("training.augment={adaptive: {over: 1e5}}").training.augmentation
        guard case .adaptive(let settings)? = adaptive?.probability else { throw Wrong(adaptive) }
        #expect(settings.target == 0.6 && settings.over == 1e5 && settings.every == 4)
        // It needs logits that say real above 0.
        #expect(throws: Never.self) {
            try configuration("objective={loss: hinge}", "training.augment={adaptive: {target: 0.5}}")
        }
    }

    private struct Wrong: Error {
        let what: Augmentation?
        init(_ what: Augmentation?) { self.what = what }
    }
}
