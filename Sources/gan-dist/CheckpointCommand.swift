import Adversarial
import ArgumentParser
import Foundation
import Runs
import Storage
import Support

struct CheckpointCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "checkpoint", abstract: "Look into checkpoint files, check them, compare them.",
        discussion: "Example:\n  gan-dist checkpoint diff runs/a/checkpoints/latest runs/b/checkpoints/latest",
        subcommands: [Info.self, Verify.self, Diff.self])

    struct Info: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "What a checkpoint holds.",
            discussion: "Example:\n  gan-dist checkpoint info runs/clothes/checkpoints/latest --json")
        @Argument(help: "A checkpoint file, or the folder of a run for its newest.") var file: String
        @Flag(help: "As JSON.") var json = false

        func run() throws {
            let checkpoint = try Checkpoint.read(file)
            let contents = checkpoint.contents
            if json {
                var object: [String: Any] = ["file": checkpoint.path]
                for (name, value) in contents.attributes { object[name] = value.json }
                object["arrays"] = contents.arrays.map {
                    ["path": $0.path, "shape": $0.dimensions, "layout": $0.layout] as [String: Any]
                }
                print(
                    String(
                        decoding: try JSONSerialization.data(
                            withJSONObject: object, options: [.prettyPrinted, .sortedKeys]), as: UTF8.self))
                return
            }
            print(checkpoint.path)
            for (name, value) in contents.attributes where name != "config" { print("  \(name): \(value)") }
            for array in contents.arrays { print("  \(array.path)  \(array.dimensions)  \(array.layout)") }
            print("  \(contents.arrays.count) arrays, \(contents.arrays.reduce(0) { $0 + $1.count }) values")
        }
    }

    struct Verify: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Check a checkpoint's length and SHA-256.",
            discussion: "Example:\n  gan-dist checkpoint verify runs/clothes/checkpoints/step-00001000.h5")
        @Argument(help: "A checkpoint file.") var file: String

        func run() throws {
            let identity = try CheckpointFile.verify(file)
            print("\(file): good, step \(identity.step), \(identity.byteCount) bytes, sha256 \(identity.sha256)")
        }
    }

    struct Diff: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Compare two checkpoints bit by bit: exit code 0 same, 1 different.",
            discussion:
                "Example:\n  gan-dist checkpoint diff a/checkpoints/step-00000100.h5 b/checkpoints/step-00000100.h5")
        @Argument(help: "A checkpoint file, or the folder of a run for its newest.") var first: String
        @Argument(help: "Another.") var second: String

        func run() throws {
            let differences = CheckpointDiff.run(
                try Checkpoint.read(first).contents, try Checkpoint.read(second).contents)
            for difference in differences { print(difference) }
            print(differences.isEmpty ? "the same training state, bit by bit" : "\(differences.count) differences")
            if !differences.isEmpty { throw ArgumentParser.ExitCode(1) }
        }
    }
}

extension AttributeValue {
    var json: Any {
        switch self {
        case .string(let text): text
        case .integer(let number): number
        case .double(let number): number
        case .doubles(let numbers): numbers
        }
    }
}
