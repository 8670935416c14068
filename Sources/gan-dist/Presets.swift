import Adversarial
import ArgumentParser
import Recipes

struct Presets: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "List the presets, or print one whole as YAML.",
        discussion:
            "Example:\n  gan-dist presets dcgan-32 > mine.yaml && "
            + "gan-dist train --config mine.yaml --data data/fashion-mnist.h5"
    )

    @Argument(help: "A preset's name; none lists them all.") var name: String?

    func run() throws {
        if let name {
            print(try Preset.named(name).yaml, terminator: "")
        } else {
            let width = Preset.all.map(\.name.count).max() ?? 0
            for preset in Preset.all {
                print(preset.name.padding(toLength: width + 2, withPad: " ", startingAt: 0) + preset.summary)
            }
        }
    }
}
