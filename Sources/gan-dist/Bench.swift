import Adversarial
import ArgumentParser
import Benchmarks
import Collectives
import Evaluation
import Foundation
import Recipes
import Runs
import Support

struct Bench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench",
        abstract:
            "Measure this machine: training steps, layers, the exchange of gradients, the reader; predict larger ones.",
        discussion: "Example:\n  mpirun -n 2 gan-dist bench step --preset dcgan-32 --batch 64 --json",
        subcommands: [Step.self, Layers.self, AllReduce.self, Data.self, Scaling.self, Traffic.self])

    /// What the steps are of.
    struct Work: ParsableArguments {
        @Option(help: "A preset's name; default dcgan-32.") var preset: String?
        @Option(help: ArgumentHelp("A configuration file in its place; its data are not read.", valueName: "FILE.yaml"))
        var config: String?
        @Option(help: "Examples in a global minibatch.") var batch: String?
        @Option(help: ArgumentHelp("Any value of the configuration; may be repeated.", valueName: "key.path=value"))
        var set: [String] = []

        func validate() throws {
            if preset != nil, config != nil { throw ValidationError("--preset and --config exclude each other.") }
        }

        /// That of a game of players. Collective.
        func configuration(_ communicator: any Communicator) throws -> Configuration {
            let model = try model(communicator)
            guard let game = model.game else {
                throw AgreedFailure(
                    .configuration(
                        "model.kind", "\(model.name) is no game of two players, of which this measures the steps",
                        remedy: "gan-dist bench step measures every model that learns by steps."))
            }
            return game
        }

        /// What rank 0 reads: the other nodes need no file. Collective.
        func model(_ communicator: any Communicator) throws -> ModelConfiguration {
            let parts = try communicator.decidedByRoot {
                var settings = try set.map { try Setting($0) }
                if let batch { settings.append(Setting("--batch", "training.batch", batch)) }
                let tree =
                    try config.map { try ConfigurationTree(file: $0, settings) }
                    ?? ConfigurationTree(preset: preset ?? "dcgan-32", settings)
                let configuration = try ModelConfiguration(tree: tree)
                return [configuration.yaml, configuration.source].joined(separator: "\u{1F}")
            }.components(separatedBy: "\u{1F}")
            return try ModelConfiguration(stored: parts[0], source: parts[1])
        }
    }

    struct Step: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract:
                "Training steps of a preset, or of your own configuration, on random data, by phase and by layer.",
            discussion: "Example:\n  mpirun -n 2 gan-dist bench step --config mine.yaml --batch 64 --steps 10")
        @OptionGroup var work: Work
        @Option(help: "Steps that are counted, after three that are not.") var steps = 10
        @Flag(inversion: .prefixedNo, help: "Also each layer's passes alone, of two players.") var layers = true
        @Flag(help: "As JSON.") var json = false

        func validate() throws {
            try check("--steps", steps, 1 ... 1_000_000_000)
        }

        func run() throws {
            let (work, count, withLayers, asJSON) = (work, steps, layers, json)
            Job.run { communicator in
                let model = try work.model(communicator)
                let benchmark = try StepBenchmark(
                    model, steps: count, layers: withLayers, communicator: communicator)
                if communicator.rank == 0 { print(asJSON ? try jsonText(benchmark) : benchmark.table) }
                return 0
            }
        }
    }

    struct Layers: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract:
                "Dense layers and convolutions over a grid of shapes, beside OpenBLAS and what the processor can do.",
            discussion: """
                On one core, some minutes.
                Example:
                  gan-dist bench layers --json >layers.json
                """)
        @Option(help: "Only layers whose line has this word, such as dense, or 3×3.") var only: String?
        @Flag(help: "As JSON.") var json = false

        func run() throws {
            let (word, asJSON) = (only ?? "", json)
            Job.run { communicator in
                _ = try communicator.decidedByRoot {
                    let grid = try LayerGrid(only: word)
                    print(asJSON ? try jsonText(grid) : grid.table)
                    return ""
                }
                return 0
            }
        }
    }

    struct AllReduce: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "allreduce", abstract: "Sums of gradients over the ranks, by kind of exchange and size.",
            discussion: "Example:\n  mpirun -n 2 gan-dist bench allreduce --json")
        @Option(help: "Repetitions of each size.") var repetitions = 15
        @Flag(help: "As JSON.") var json = false

        func validate() throws { try check("--repetitions", repetitions, 1 ... 1_000_000) }

        func run() throws {
            let asJSON = json
            let count = repetitions
            Job.run { communicator in
                let benchmark = try AllReduceBenchmark(repetitions: count, communicator: communicator)
                if communicator.rank == 0 { print(asJSON ? try jsonText(benchmark) : benchmark.table) }
                return 0
            }
        }
    }

    struct Data: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Minibatches from a dataset, out of memory and out of the file.",
            discussion: "Example:\n  mpirun -n 2 gan-dist bench data data/fashion-mnist.h5 --batch 64 --json")
        @Argument(help: "The dataset, an HDF5 file.") var file: String
        @Option(help: "The dataset's path in the file; default /images or /samples.") var dataset: String?
        @Option(help: "Examples in a global minibatch.") var batch = 64
        @Option(help: "Minibatches that are counted, after two that are not.") var minibatches = 200
        @Option(
            help: ArgumentHelp(
                "Read as a run with this data.memory_limit does, "
                    + "such as 1GB; without it from memory and from the file.",
                valueName: "bytes")) var memoryLimit: String?
        @Flag(help: "As JSON.") var json = false

        func validate() throws {
            try check("--batch", batch, 1 ... 1 << 24)
            try check("--minibatches", minibatches, 1 ... 1_000_000_000)
            if let memoryLimit, ByteCount.parse(memoryLimit) == nil {
                throw ValidationError(
                    "--memory-limit '\(memoryLimit)' is not a number of bytes, such as 4GB or 512MiB.")
            }
        }

        func run() throws {
            let (path, name, examples, count, asJSON) = (file, dataset, batch, minibatches, json)
            let limit = memoryLimit.flatMap(ByteCount.parse)
            Job.run { communicator in
                let benchmark = try DataBenchmark(
                    file: path, dataset: name, batch: examples, minibatches: count,
                    memoryLimit: limit, communicator: communicator)
                if communicator.rank == 0 { print(asJSON ? try jsonText(benchmark) : benchmark.table) }
                return 0
            }
        }
    }

    struct Scaling: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Predict steps on 8 to 512 ranks from what the ranks at hand take.",
            discussion: """
                Start all ranks on one node, whose shared memory is then measured, or one rank on each of several \
                nodes: then the network is.
                Example:
                  mpirun -n 2 gan-dist bench scaling --preset dcgan-32 --cores-per-node 8 --bandwidth 10 --latency 50
                """)
        @OptionGroup var work: Work
        @Option(help: "Steps that are counted of each size, after two that are not.") var steps = 5
        @Option(help: "Ranks of a node; by default as many as on the one at hand.") var coresPerNode: Int?
        @Option(help: "Gbit/s between nodes; by default what is measured, or 10.") var bandwidth: Double?
        @Option(help: "Microseconds for a message between nodes; with --bandwidth 50 by default.") var latency: Double?
        @Flag(help: "As JSON.") var json = false

        func validate() throws {
            try check("--steps", steps, 1 ... 1_000_000_000)
            if let coresPerNode { try check("--cores-per-node", coresPerNode, 1 ... 1_000_000) }
            if let bandwidth, !(bandwidth > 0 && bandwidth.isFinite) {
                throw ValidationError("--bandwidth must be a number above 0.")
            }
            if let latency, !(latency >= 0 && latency.isFinite) {
                throw ValidationError("--latency must be at least 0.")
            }
            if latency != nil, bandwidth == nil { throw ValidationError("--latency needs --bandwidth.") }
        }

        func run() throws {
            let (work, count, cores, asJSON) = (work, steps, coresPerNode, json)
            let network = bandwidth.map {
                ScalingModel.Link(latency: (latency ?? 50) * 1e-6, bytesPerSecond: $0 * 1e9 / 8)
            }
            Job.run { communicator in
                let configuration = try work.configuration(communicator)
                let benchmark = try ScalingBenchmark(
                    configuration, steps: count, ranksOfNode: cores, network: network, communicator: communicator)
                if communicator.rank == 0 { print(asJSON ? try jsonText(benchmark) : benchmark.table) }
                return 0
            }
        }
    }
}

extension Bench {
    struct Traffic: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "The bytes that a step moves through the memory of a node of many ranks, counted.",
            discussion: """
                On one rank, which also says how long a rank's samples take to compute. A rank of the node has --batch \
                samples of each minibatch.
                Example:
                  gan-dist bench traffic --preset dcgan-32 --batch 1 --ranks 64 --memory-bandwidth 200
                """)
        @OptionGroup var work: Work
        @Option(help: "Ranks of the node.") var ranks = 64
        @Option(help: "GB/s of the node's memory.") var memoryBandwidth = 200.0
        @Option(help: "Steps that are timed, after two that are not.") var steps = 5
        @Flag(help: "As JSON.") var json = false

        func validate() throws {
            try check("--ranks", ranks, 1 ... 1_000_000)
            try check("--steps", steps, 1 ... 1_000_000_000)
            guard memoryBandwidth > 0 && memoryBandwidth.isFinite else {
                throw ValidationError("--memory-bandwidth must be a number above 0.")
            }
        }

        func run() throws {
            let (work, ranks, bandwidth, count, asJSON) = (work, ranks, memoryBandwidth * 1e9, steps, json)
            Job.run { communicator in
                let configuration = try work.configuration(communicator)
                _ = try communicator.decidedByRoot {
                    let traffic = try MemoryTraffic(
                        configuration, ranks: ranks, bytesPerSecond: bandwidth, steps: count)
                    print(asJSON ? try jsonText(traffic) : traffic.table)
                    return ""
                }
                return 0
            }
        }
    }
}

private func jsonText(_ value: some Encodable) throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
    return String(decoding: try encoder.encode(value), as: UTF8.self)
}
