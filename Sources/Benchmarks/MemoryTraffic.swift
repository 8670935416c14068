import Adversarial
import Collectives
import Foundation
import Nets
import Recipes
import Support

/// The bytes that a step moves through the memory of a node of R ranks, counted, beside the time that a rank computes:
/// what `gan-dist bench traffic` prints.
///
/// A pass of a layer reads its input (or its output's gradient, or both) and its weights, and writes what it makes;
/// each counts once, as if no cache held it from one pass to the next, and as often as a step runs it: where the halves
/// of D's batch run as one, their weights count once. An optimiser's
/// update reads the gradient and reads and writes the parameters, their moments and, of a generator with one, the
/// average. The sum of the gradients reads those of all ranks and writes one. (Where a rank sums part by part what
/// moves its parameters, that one is neither written nor read: of many ranks' it is little, and is not taken off.)
///
/// The ranks have the same weights. Where each has a copy, each reads its own from memory and moves all of it; where a
/// node has one copy, each moves 1/R, and a last-level cache that holds the weights reads them from memory once a pass.
public struct MemoryTraffic: Encodable {
    /// Bytes of one step.
    public struct Bytes: Encodable, Equatable {
        /// Of a rank: activations and their gradients; its own gradient of the parameters; weights.
        var activations = 0, gradients = 0, weights = 0
        /// Of a whole set of parameters.
        var optimizer = 0
        /// Of the sums of gradients on a node of so many ranks.
        var exchange = 0
    }

    public let preset: String
    public let ranks: Int
    public let samplesOfRank: Int
    public let bytesPerSecond: Double
    /// Of the passes of a step of one rank alone, measured here.
    public let secondsCompute: Double
    public let bytes: Bytes

    enum CodingKeys: String, CodingKey {
        case preset, ranks, bytes
        case samplesOfRank = "samples_of_rank", bytesPerSecond = "bytes_per_second", secondsCompute = "seconds_compute"
    }

    /// Of `configuration`, whose batch is that of one of `ranks` ranks. Times a few of its steps on this rank. Throws
    /// where a step's passes cannot be counted.
    public init(_ configuration: Configuration, ranks: Int, bytesPerSecond: Double, steps: Int) throws {
        try configuration.requireTwoPlayers()
        let batch = configuration.training.batch, packing = configuration.training.packing
        let trainer = try Trainer.onRandomData(configuration, shards: 1, communicator: SoloCommunicator())
        var times: [Double] = []
        for step in 0 ..< steps + 2 {
            _ = try trainer.step()
            if step > 1 { times.append(trainer.clock[.compute]) }
        }
        (preset, self.ranks, samplesOfRank) = (configuration.name, ranks, batch)
        (self.bytesPerSecond, secondsCompute) = (bytesPerSecond, median(times))
        bytes = try Self.count(trainer, rows: batch, ranks: ranks, packing: packing)
    }

    /// What a step of `trainer` moves, of `rows` examples and one shard.
    static func count(_ trainer: Trainer, rows: Int, ranks: Int, packing: Int) throws -> Bytes {
        var bytes = Bytes()
        for player in [trainer.generator, trainer.discriminator] {
            let network = player.network, count = network.store.count
            let examples = player.role == .discriminator ? rows / packing : rows
            for number in network.nodes.indices {
                guard let counts = PassCounts(number, of: network, player.role, in: trainer.game) else {
                    let isUnrolled = trainer.game.updates.contains { $0.unrollingSteps > 0 }
                    throw Failure.configuration(
                        isUnrolled ? "training.unrolling_steps" : "objective.penalties",
                        "steps that unroll, or take a penalty at some updates only, have no "
                            + "number of passes", remedy: "Name a configuration whose steps are all alike.")
                }
                bytes.add(number, of: network, counts, examples: examples)
            }
            let updates = trainer.game.updates.count { $0.moves(player.role) }
            let averages = player.average == nil ? 0 : 2
            let vectors = 1 + 2 + 2 * player.optimiser.moments.count + averages
            bytes.optimizer += updates * vectors * count * bytesOfValue
            if ranks > 1 { bytes.exchange += updates * (ranks + 1) * count * bytesOfValue }
        }
        return bytes
    }

    static let bytesOfValue = MemoryLayout<Float>.size

    /// Bytes through the node's memory: with a copy of the weights a rank, with one a node of which each rank reads all
    /// from memory, and with one that the last-level cache holds.
    var ofNode: (copies: Int, one: Int, cached: Int) {
        let own = ranks * (bytes.activations + bytes.gradients) + bytes.exchange
        return (
            own + ranks * (bytes.weights + bytes.optimizer), own + ranks * bytes.weights + bytes.optimizer,
            own + bytes.weights + bytes.optimizer
        )
    }

    /// The figures as a person reads them.
    public var table: String {
        func megabytes(_ bytes: Int) -> String { String(format: "%.1f", Double(bytes) / 1e6) }
        func row(_ name: String, _ rank: Int, _ copies: Int, _ one: Int) -> String {
            "| \(name) | \(megabytes(rank)) | \(megabytes(copies)) | \(megabytes(one)) |"
        }
        func time(_ bytes: Int) -> String { String(format: "%.1f", Double(bytes) / bytesPerSecond * 1e3) }
        let node = ofNode
        return [
            "\(preset): a node of \(ranks) rank\(ranks == 1 ? "" : "s"), "
                + "\(samplesOfRank) sample\(samplesOfRank == 1 ? "" : "s") each, "
                + "MB a step:",
            "| | a rank | the node, a copy a rank | one copy a node |", "| --- | --- | --- | --- |",
            row(
                "activations and their gradients", bytes.activations, ranks * bytes.activations,
                ranks * bytes.activations),
            row("weights that the passes read", bytes.weights, ranks * bytes.weights, ranks * bytes.weights),
            row("the ranks' gradients, written", bytes.gradients, ranks * bytes.gradients, ranks * bytes.gradients),
            row("their sum", bytes.exchange / ranks, bytes.exchange, bytes.exchange),
            row("optimizer, average", bytes.optimizer, ranks * bytes.optimizer, bytes.optimizer),
            row("all", node.copies / ranks, node.copies, node.one), "",
            String(
                format:
                    "a rank computes %.1f ms; at %.0f GB/s the node's memory takes %@ ms with a copy a rank, %@ with "
                    + "one copy, %@ where the last-level cache holds it",
                secondsCompute * 1e3, bytesPerSecond / 1e9, time(node.copies), time(node.one), time(node.cached)),
        ].joined(separator: "\n")
    }
}

extension MemoryTraffic.Bytes {
    /// What the passes at node `number` move.
    fileprivate mutating func add(_ number: Int, of network: Network, _ counts: PassCounts, examples: Int) {
        let together = network.nodesComputed(at: number)
        guard let first = together.first, let last = together.last else { return }
        let inputs = network.nodes[number].isSum ? 2 : 1
        let input = inputs * examples * network.inputShapes[first].count
        let output = examples * network.outputShapes[last].count
        let parameters = network.store.entries.filter { $0.layer == number }.reduce(0) { $0 + $1.range.count }
        func values(_ pass: LayerPass) -> (activations: Int, weights: Int, gradients: Int) {
            switch pass {
            case .forward, .tangent: (input + output, parameters, 0)
            case .inputGradient, .adjoint: (output + input, parameters, 0)
            case .weightGradient: (input + output, 0, parameters)
            case .curvature: (2 * input + output, parameters, 0)
            // Its second part reads the tangent, too.
            case .parameterGradients: (2 * input + output, 0, parameters)
            }
        }
        for pass in LayerPass.allCases {
            let moved = values(pass), calls = counts.calls(pass) * MemoryTraffic.bytesOfValue
            activations += counts[pass] * MemoryTraffic.bytesOfValue * moved.activations
            weights += calls * moved.weights
            gradients += calls * moved.gradients
        }
    }
}
