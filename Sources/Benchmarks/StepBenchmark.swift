import Adversarial
import Collectives
import Foundation
import Kernels
import Nets
import Recipes
import Runs
import Storage
import Support

/// Times steps of a configuration on random data in memory: what `gan-dist bench step` prints.
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
    /// Rank 0 alone measures them; none where nobody wants them, and of other models than games of two players.
    public let layers: [LayerTime]

    enum CodingKeys: String, CodingKey {
        case preset, ranks, batch, phases, layers
        case secondsStepMedian = "seconds_step_median", secondsStepMin = "seconds_step_min"
        case secondsStepQuartiles = "seconds_step_quartiles", samplesPerSecond = "samples_per_second",
            bytesOfGradients = "bytes_of_gradients"
    }

    /// `steps` counted steps after three that are not, and, if wanted, the passes of the layers one by one. Every
    /// rank calls it.
    public init(_ model: ModelConfiguration, steps: Int, layers wanted: Bool, communicator: any Communicator) throws {
        guard let configuration = model.generator else {
            throw Failure.configuration(
                "model.kind", "a mixture has no steps of minibatches: each goes over all examples",
                remedy: "Name another model; the log of a mixture's run says what its steps take.")
        }
        let random = try configuration.randomData(
            shards: configuration.exchange.shards ?? communicator.size, communicator)
        let trainer = try configuration.trained(onAny: random.data)
            .trainer(random.data, reals: random.reals, shards: random.shards, communicator)
        let (times, clocks) = try Self.time(trainer, steps: steps, communicator)
        preset = configuration.name
        ranks = communicator.size
        batch = configuration.batch
        let spread = Spread(times)
        (secondsStepMedian, secondsStepMin, secondsStepQuartiles) = (spread.median, spread.minimum, spread.quartiles)
        samplesPerSecond = Double(batch * trainer.minibatchesOfStep) / secondsStepMedian
        let game = trainer as? Trainer
        bytesOfGradients = game?.bytesOfGradients ?? trainer.players.map(\.bytesOfGradient)
        func phase(_ phase: PhaseClock.Phase) -> Double { median(clocks.map { $0[phase] }) }
        phases = Phases(
            data: phase(.data), compute: phase(.compute), communication: phase(.communication),
            optimizer: phase(.optimiser))
        layers =
            if wanted, communicator.rank == 0, let game, game.encoder == nil {
                try Self.layers(of: game, step: spread.median)
            } else {
                []
            }
    }

    private static func time(
        _ trainer: some NetworkTrainer, steps: Int, _ communicator: any Communicator
    ) throws -> (seconds: [Double], clocks: [PhaseClock]) {
        func step() throws { _ = try trainer.step(stopVote: false, checkpointVote: false) }
        for _ in 0 ..< 3 { try step() }
        var times: [Double] = [], clocks: [PhaseClock] = []
        for _ in 0 ..< steps {
            try communicator.barrier()
            let start = monotonicSeconds()
            try step()
            times.append(monotonicSeconds() - start)
            clocks.append(trainer.clock)
        }
        return (times, clocks)
    }

    private static func layers(of trainer: Trainer, step: Double) throws -> [LayerTime] {
        let shards = trainer.shards, rows = shards.mostRowsOfAShard(batch: trainer.batch)
        return try [trainer.generator, trainer.discriminator].flatMap { player in
            try LayerTime.all(
                of: player, in: trainer.game,
                batch: player.role == .discriminator ? rows / trainer.game.packing : rows,
                shards: shards.mine.count, step: step)
        }
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
        Array(repeating: discriminator.bytesOfGradient, count: game.discriminatorSteps)
            + [generator.bytesOfGradient] + (encoder.map { [$0.bytesOfGradient] } ?? [])
    }

    /// A trainer of a configuration whose dataset is random values in memory.
    static func onRandomData(
        _ configuration: Configuration, shards: Int, communicator: any Communicator
    ) throws -> Trainer {
        let random = try configuration.randomData(shards: shards, communicator)
        return try Trainer(
            configuration.game(for: random.data), exampleShape: random.data.shape, reals: random.reals,
            shards: random.shards, communicator: communicator)
    }
}

extension Player {
    fileprivate var bytesOfGradient: Int { MemoryLayout<Float>.size * network.store.count }
}

extension GeneratorConfiguration {
    /// Random values in memory in the place of its dataset, and this rank's rows of their minibatches.
    fileprivate func randomData(
        shards: Int, _ communicator: any Communicator
    ) throws -> (data: TrainingData, reals: MinibatchReader, shards: ShardTable) {
        let table = try communicator.agreed {
            let table = try ShardTable(shards: shards, communicator: communicator)
            try table.check(batch: batch)
            return table
        }
        let data = TrainingData(
            random: 4096, shape: try exampleShape(), seed: seed,
            condition: condition.flatMap { $0.isSettled ? $0.condition : nil })
        return (data, try data.reader(batch: batch, rows: table.rows(batch: batch), seed: seed), table)
    }
}
