import Collectives
import Foundation
import Kernels
import Nets
import Storage

/// Times alternation steps of a configuration on random data in memory: what `gan-dist bench step` prints.
public struct StepBenchmark: Encodable {
    public struct Phases: Encodable {
        public let data: Double
        public let compute: Double
        public let communication: Double
        public let optimizer: Double
    }

    /// One layer run alone on a shard's batch: median seconds of one pass and the arithmetic of its direct form per second.
    public struct LayerTime: Encodable {
        public let network: String
        public let layer: String
        public let pass: String
        public let seconds: Double
        public let gflops: Double
    }

    public let preset: String
    public let ranks: Int
    public let batch: Int
    public let secondsStepMedian: Double
    public let secondsStepMin: Double
    public let samplesPerSecond: Double
    public let phases: Phases
    public let layers: [LayerTime]

    enum CodingKeys: String, CodingKey {
        case preset, ranks, batch, phases, layers
        case secondsStepMedian = "seconds_step_median", secondsStepMin = "seconds_step_min", samplesPerSecond = "samples_per_second"
    }

    /// `steps` counted steps after three that are not; every rank calls it.
    public init(_ configuration: Configuration, steps: Int, communicator: any Communicator) throws {
        let batch = configuration.training.batch
        let shards = try ShardTable(shards: configuration.exchange.shards ?? communicator.size, communicator: communicator)
        try shards.check(batch: batch)
        let shape = try configuration.exampleShape()
        let data = TrainingData(random: 4096, shape: shape, seed: configuration.seed)
        let images = try data.reader(batch: batch, rows: shards.rows(batch: batch), seed: configuration.seed)
        let trainer = try Trainer(configuration, imageShape: shape, images: images, shards: shards, communicator: communicator)
        for _ in 0 ..< 3 { _ = try trainer.step() }
        var times: [Double] = []
        var clocks: [PhaseClock] = []
        for _ in 0 ..< steps {
            try communicator.barrier()
            let start = PhaseClock.now()
            _ = try trainer.step()
            times.append(PhaseClock.now() - start)
            clocks.append(trainer.clock)
        }
        preset = configuration.name
        ranks = communicator.size
        self.batch = batch
        secondsStepMedian = median(times)
        secondsStepMin = times.min()!
        samplesPerSecond = Double(batch * configuration.training.discriminatorSteps) / secondsStepMedian
        func phase(_ phase: PhaseClock.Phase) -> Double { median(clocks.map { $0[phase] }) }
        phases = Phases(data: phase(.data), compute: phase(.compute), communication: phase(.communication), optimizer: phase(.optimiser))
        let size = shards.mostRowsOfAShard(batch: batch)
        layers = communicator.rank == 0
            ? try LayerTime.all(of: trainer.generator.network, batch: size) + LayerTime.all(of: trainer.discriminator.network, batch: size) : []
    }

    /// The figures as a person reads them.
    public var table: String {
        func milliseconds(_ seconds: Double) -> String { String(format: "%8.2f ms", seconds * 1e3) }
        var lines = [
            "\(preset): \(ranks) rank\(ranks == 1 ? "" : "s"), global batch \(batch)",
            "step           median \(milliseconds(secondsStepMedian))   minimum \(milliseconds(secondsStepMin))   \(String(format: "%.1f", samplesPerSecond)) samples/s",
        ]
        for (name, seconds) in [("data", phases.data), ("compute", phases.compute), ("communication", phases.communication), ("optimizer", phases.optimizer)] {
            lines.append(name.padding(toLength: 15, withPad: " ", startingAt: 0) + "       " + milliseconds(seconds)
                + String(format: "  %5.1f %%", 100 * seconds / secondsStepMedian))
        }
        lines.append("one pass of each layer alone, on a shard's batch:")
        for layer in layers {
            let rate = layer.gflops > 0 ? String(format: "%8.1f GFLOP/s", layer.gflops) : ""
            lines.append("\(layer.network) \(layer.layer) \(layer.pass)".padding(toLength: 52, withPad: " ", startingAt: 0) + milliseconds(layer.seconds) + rate)
        }
        return lines.joined(separator: "\n")
    }
}

extension StepBenchmark.LayerTime {
    /// Forward, input gradient and weight gradient of every layer, each as a network of its own on random values.
    static func all(of network: Network, batch: Int) throws -> [StepBenchmark.LayerTime] {
        var times: [StepBenchmark.LayerTime] = []
        var shape = network.inputShape
        for (number, layer) in network.layers.enumerated() {
            let communicator = SoloCommunicator()
            let table = try ShardTable(shards: 1, communicator: communicator)
            let alone = try Network([layer], input: shape, capacity: batch, name: network.name) { LayerSums(count: $0, table: table, communicator) }
            alone.store.initialise(seed: 1, role: 0)
            let draws = Draws(seed: 1, purpose: .sample, step: 0)
            let inputMemory = FloatBuffer(count: batch * shape.count), gradientMemory = FloatBuffer(count: batch * alone.outputShape.count)
            let input = Batch(inputMemory.values, count: batch, shape: shape)
            let gradient = Batch(gradientMemory.values, count: batch, shape: alone.outputShape)
            draws.fillNormal(input.values, samples: batch)
            draws.fillNormal(gradient.values, samples: batch)
            let target = FloatBuffer(count: alone.store.count)
            let multiplications = Self.multiplications(layer, input: shape, output: alone.outputShape) * batch
            func time(_ pass: String, _ body: () throws -> Void) rethrows {
                let seconds = try median((0 ..< 5).map { _ in
                    let start = PhaseClock.now()
                    try body()
                    return PhaseClock.now() - start
                })
                times.append(Self(network: network.name, layer: "\(number).\(layer.name)", pass: pass, seconds: seconds,
                                  gflops: Double(2 * multiplications) / seconds / 1e9))
            }
            try withExtendedLifetime((inputMemory, gradientMemory)) {
                try time("forward") { _ = try alone.forward(input, mode: .training(draws)) }
                try time("input gradient") { _ = try alone.backward(from: gradient, into: nil, inputGradient: true) }
                if multiplications > 0 {
                    try time("weight gradient") { _ = try alone.backward(from: gradient, into: target.values, inputGradient: false) }
                }
            }
            shape = alone.outputShape
        }
        return times
    }

    /// Multiplications of the direct form for one example; 0 for layers without weights to multiply by.
    private static func multiplications(_ layer: any Layer, input: Shape, output: Shape) -> Int {
        guard let weight = layer.parameters(for: input).first(where: { $0.name == "weight" }) else { return 0 }
        switch (input, output) {
        case (.vector, .vector): return weight.count
        case (.image(let height, let width, _), .image(let outputHeight, let outputWidth, _)):
            // A convolution multiplies by the whole kernel at every place of its smaller side.
            return weight.count * min(height * width, outputHeight * outputWidth)
        default: return 0
        }
    }
}

/// The middle value; of an even number of values the mean of the two in the middle.
func median(_ values: [Double]) -> Double {
    let sorted = values.sorted()
    let middle = sorted.count / 2
    return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}
