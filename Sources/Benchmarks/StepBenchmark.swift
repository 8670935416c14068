import Adversarial
import Collectives
import Foundation
import Kernels
import Nets
import Recipes
import Runs
import Storage
import Support

/// Times alternation steps of a configuration on random data in memory: what `gan-dist bench step` prints.
public struct StepBenchmark: Encodable {
    public struct Phases: Encodable {
        public let data: Double
        public let compute: Double
        public let communication: Double
        public let optimizer: Double
    }

    public let preset: String
    public let ranks: Int
    public let batch: Int
    public let secondsStepMedian: Double
    public let secondsStepMin: Double
    public let secondsStepQuartiles: [Double]
    public let samplesPerSecond: Double
    public let phases: Phases
    /// Of each update of a step: what the ranks have to sum.
    public let bytesOfGradients: [Int]
    /// Rank 0 alone measures them; none where nobody wants them.
    public let layers: [LayerTime]

    enum CodingKeys: String, CodingKey {
        case preset, ranks, batch, phases, layers
        case secondsStepMedian = "seconds_step_median", secondsStepMin = "seconds_step_min"
        case secondsStepQuartiles = "seconds_step_quartiles", samplesPerSecond = "samples_per_second",
            bytesOfGradients = "bytes_of_gradients"
    }

    /// `steps` counted steps after three that are not, and, if wanted, the passes of the layers one by one. Every
    /// rank calls it.
    public init(_ configuration: Configuration, steps: Int, layers wanted: Bool, communicator: any Communicator) throws
    {
        try configuration.requireTwoPlayers()
        let batch = configuration.training.batch
        let trainer = try Trainer.onRandomData(
            configuration, shards: configuration.exchange.shards ?? communicator.size, communicator: communicator)
        let shards = trainer.shards
        for _ in 0 ..< 3 { _ = try trainer.step() }
        var times: [Double] = []
        var clocks: [PhaseClock] = []
        for _ in 0 ..< steps {
            try communicator.barrier()
            let start = monotonicSeconds()
            _ = try trainer.step()
            times.append(monotonicSeconds() - start)
            clocks.append(trainer.clock)
        }
        preset = configuration.name
        ranks = communicator.size
        self.batch = batch
        let spread = Spread(times)
        (secondsStepMedian, secondsStepMin, secondsStepQuartiles) = (spread.median, spread.minimum, spread.quartiles)
        samplesPerSecond = Double(batch * configuration.training.discriminatorSteps) / secondsStepMedian
        bytesOfGradients = trainer.bytesOfGradients
        func phase(_ phase: PhaseClock.Phase) -> Double { median(clocks.map { $0[phase] }) }
        phases = Phases(
            data: phase(.data), compute: phase(.compute), communication: phase(.communication),
            optimizer: phase(.optimiser))
        layers =
            wanted && communicator.rank == 0
            ? try [trainer.generator, trainer.discriminator].flatMap { player in
                let rows =
                    shards.mostRowsOfAShard(batch: batch)
                    / (player.role == .discriminator ? configuration.training.packing : 1)
                return try LayerTime.all(
                    of: player, in: trainer.game, batch: rows, shards: shards.mine.count, step: spread.median)
            } : []
    }

    /// The figures as a person reads them.
    public var table: String {
        func milliseconds(_ seconds: Double) -> String { String(format: "%8.2f ms", seconds * 1e3) }
        var lines = [
            "\(preset): \(ranks) rank\(ranks == 1 ? "" : "s"), global batch \(batch)",
            "step           "
                + timesText(median: secondsStepMedian, minimum: secondsStepMin, quartiles: secondsStepQuartiles)
                + String(format: "   %.1f samples/s", samplesPerSecond),
        ]
        for (name, seconds) in [
            ("data", phases.data), ("compute", phases.compute), ("communication", phases.communication),
            ("optimizer", phases.optimizer),
        ] {
            lines.append(
                name.padding(toLength: 15, withPad: " ", startingAt: 0) + "       " + milliseconds(seconds)
                    + String(format: "  %5.1f %%", 100 * seconds / secondsStepMedian))
        }
        if !layers.isEmpty {
            lines.append(
                "one pass of each layer alone on a shard's batch: median, quartiles, and how often a step runs it, "
                    + "with what share of the step:"
            )
            lines += LayerTime.table(layers)
        }
        return lines.joined(separator: "\n")
    }
}

extension Configuration {
    /// The tables are of a generator and a discriminator.
    func requireTwoPlayers() throws(Failure) {
        guard encoder == nil else {
            throw .configuration(
                "model.kind", "bench knows games of two players", remedy: "Name a configuration without an encoder.")
        }
    }
}

extension Trainer {
    /// Of the discriminator's k updates and the generator's.
    var bytesOfGradients: [Int] {
        let bytes = { (player: Player) in MemoryLayout<Float>.size * player.network.store.count }
        return Array(repeating: bytes(discriminator), count: game.discriminatorSteps) + [bytes(generator)]
    }

    /// A trainer of a configuration whose dataset is random values in memory.
    static func onRandomData(
        _ configuration: Configuration, shards: Int, communicator: any Communicator
    ) throws -> Trainer {
        let batch = configuration.training.batch
        let table = try ShardTable(shards: shards, communicator: communicator)
        try table.check(batch: batch)
        let shape = try configuration.exampleShape()
        let data = TrainingData(
            random: 4096, shape: shape, seed: configuration.seed,
            condition: configuration.condition.flatMap { $0.isSettled ? $0.condition : nil })
        let images = try data.reader(batch: batch, rows: table.rows(batch: batch), seed: configuration.seed)
        return try Trainer(
            configuration.game(for: data), exampleShape: shape, reals: images, shards: table, communicator: communicator
        )
    }
}
