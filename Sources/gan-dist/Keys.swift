import ArgumentParser
import Recipes

struct Keys: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Print all keys of a configuration: values, defaults, meaning.",
        discussion: "Example:\n  gan-dist keys | grep batch"
    )

    func run() throws { print(try ConfigurationKeys.page(), terminator: "") }
}
