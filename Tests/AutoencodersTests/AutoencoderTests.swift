import AllocationCount
import Collectives
import Foundation
import Kernels
import Nets
import Testing
@testable import Adversarial
@testable import Autoencoders

/// Eight clusters of points on a ring: examples for tests.
private final class Ring: MinibatchSource {
    private let rows: Range<Int>
    private let memory: FloatBuffer

    init(rows: Range<Int>) { (self.rows, memory) = (rows, FloatBuffer(count: 2 * rows.count)) }

    func minibatch(_ number: Int) -> Floats {
        for (place, row) in rows.enumerated() {
            let angle = Double((number * 13 + row * 7) % 8) * .pi / 4
            memory.values[2 * place] = Float(2 * cos(angle))
            memory.values[2 * place + 1] = Float(2 * sin(angle))
        }
        return memory.values
    }

    func indices(minibatch number: Int) -> [Int] { [] }
    func epoch(minibatch number: Int) -> Int { 0 }
}

@Suite struct AutoencoderTests {
    private func small() -> Autoencoder {
        var autoencoder = Autoencoder(
            encoder: [Dense(units: 9), Tanh(), Dense(units: 6)],
            decoder: [Dense(units: 8), Tanh(), Dense(units: 2)], codeSize: 3,
            reconstruction: .gaussian(deviation: 0.5))
        autoencoder.batch = 12
        return autoencoder
    }

    private func trainer(
        _ autoencoder: Autoencoder, shards: Int, _ communicator: any Communicator, shape: Shape = .vector(2)
    ) throws -> AutoencoderTrainer {
        let table = try ShardTable(shards: shards, communicator: communicator)
        return try AutoencoderTrainer(
            autoencoder, exampleShape: shape, reals: Ring(rows: table.rows(batch: autoencoder.batch)), shards: table,
            communicator: communicator)
    }

    /// z, the divergence and the gradients by their definitions, one number after another in Double.
    @Test func codesAreThoseOfTheFormulas() {
        let size = 3, rows = 2, weight = 0.25
        let description = FloatBuffer([0.3, -1.2, 2, 0.5, -3, 8, -0.7, 0.1, 0, -20, 1, 2])
        let noise = FloatBuffer([0.4, -1, 2, 1.5, 0.2, -0.3]), slopes = FloatBuffer([1, -2, 0.5, 0.1, 3, -1])
        let code = GaussianCode(size: size, capacity: 4)
        let input = Batch(description.values, count: rows, shape: .vector(2 * size))
        let codes = code.codes(input, noise: noise.values).values.array
        let gradient = code.backward(
            from: Batch(slopes.values, count: rows, shape: .vector(size)), divergence: Float(weight)
        ).values.array
        func deviation(_ s: Double) -> Double { 1e-6 + log1p(exp(s)) }
        for row in 0 ..< rows {
            var divergence = 0.0
            for index in 0 ..< size {
                let place = row * size + index
                let mean = Double(description.values[2 * row * size + index])
                let s = Double(description.values[(2 * row + 1) * size + index])
                let epsilon = Double(noise.values[place]), slope = Double(slopes.values[place]), sigma = deviation(s)
                divergence += 0.5 * (mean * mean + sigma * sigma - log(sigma * sigma) - 1)
                #expect(abs(Double(codes[place]) - (mean + sigma * epsilon)) < 1e-6)
                #expect(abs(Double(gradient[2 * row * size + index]) - (slope + weight * mean)) < 1e-6)
                let ofDeviation = (slope * epsilon + weight * (sigma - 1 / sigma)) / (1 + exp(-s))
                #expect(
                    abs(Double(gradient[(2 * row + 1) * size + index]) - ofDeviation) < 1e-5 * max(1, abs(ofDeviation)))
            }
            #expect(abs(code.divergence(row: row) - divergence) < 1e-5 * divergence)
        }
    }

    /// The slopes are the cost's, by differences.
    @Test(arguments: [Reconstruction.bernoulli, .gaussian(deviation: 0.3)])
    func slopesAreThoseOfTheCost(_ reconstruction: Reconstruction) {
        let output: [Float] = [-3, 0.25, 0, 6], example = FloatBuffer([0, 0.5, 1, 0.75])
        let slopes = FloatBuffer(count: 4), values = FloatBuffer(output)
        reconstruction.slopes(of: values.values, example.values, factor: 0.5, into: slopes.values)
        for index in 0 ..< 4 {
            func cost(_ change: Float) -> Double {
                values.values[index] = output[index] + change
                defer { values.values[index] = output[index] }
                return reconstruction.cost(of: values.values, example.values)
            }
            let step: Float = 1 / 128, slope = (cost(step) - cost(-step)) / Double(2 * step)
            #expect(abs(Double(slopes.values[index]) - 0.5 * slope) < 1e-4 * max(1, abs(slope)))
        }
    }

    @Test func aBernoulliCostIsTheCrossEntropy() {
        let output = FloatBuffer([-2, 0.5, 40]), example = FloatBuffer([1, 0.25, 1])
        var expected = 0.0
        for index in 0 ..< 2 {
            let p = 1 / (1 + exp(-Double(output.values[index]))), x = Double(example.values[index])
            expected -= x * log(p) + (1 - x) * log(1 - p)
        }
        #expect(abs(Reconstruction.bernoulli.cost(of: output.values, example.values) - expected) < 1e-9)
    }

    /// Normalisation by shard and over the minibatch, residuals, dropout: the bits of six shards do not depend on the
    /// ranks.
    @Test(arguments: [Autoencoder.Code.gaussian, .point], [false, true])
    func sameBitsOnAnyRanks(code: Autoencoder.Code, synchronised: Bool) throws {
        func state(ranks: Int) throws -> [[UInt32]] {
            try ThreadCommunicator.run(size: ranks) { communicator in
                var autoencoder = small()
                let normalisation: any Layer =
                    synchronised ? Synchronised(BatchNormalisation()) : BatchNormalisation()
                (autoencoder.code, autoencoder.codeSize) = (code, code == .gaussian ? 3 : 6)
                autoencoder.encoder = [
                    Dense(units: 9), normalisation, Tanh(), Dropout(keepProbability: 0.8), Dense(units: 6),
                ]
                autoencoder.decoder = [Dense(units: 8), Residual(body: [normalisation, Tanh()]), Dense(units: 2)]
                let trainer = try trainer(autoencoder, shards: 6, communicator)
                for _ in 0 ..< 5 { _ = try trainer.step() }
                try trainer.requireEqualReplicas()
                return trainer.state.flatMap { $0.values.array.map(\.bitPattern) }
            }
        }
        let alone = try state(ranks: 1)[0]
        #expect(alone.allSatisfy { Float(bitPattern: $0).isFinite })
        for ranks in [2, 3, 5] { #expect(try state(ranks: ranks).allSatisfy { $0 == alone }, "\(ranks) ranks") }
    }

    /// The gradient of the whole, by differences of the mean cost along the gradient itself: descent by it lowers the
    /// cost of the same minibatch as the norm says.
    @Test func theGradientIsThatOfTheMeanCost() throws {
        var autoencoder = small()
        func cost(rate: Double) throws -> (before: AutoencoderReport, after: Double) {
            autoencoder.encoderOptimiser = OptimiserSettings(.descent, rate: .constant(rate))
            autoencoder.decoderOptimiser = autoencoder.encoderOptimiser
            let moved = try trainer(autoencoder, shards: 3, SoloCommunicator())
            let report = try moved.step()
            // The same minibatch with the same noise.
            try moved.resume(at: 0)
            return (report, -(try moved.step().bound!))
        }
        let rate = 1e-4, (before, after) = try cost(rate: rate)
        let squaredNorm =
            before.gradientNormEncoder * before.gradientNormEncoder
            + before.gradientNormDecoder * before.gradientNormDecoder
        let slope = (-before.bound! - after) / rate
        #expect(abs(slope - squaredNorm) < 0.01 * squaredNorm, "\(slope) and \(squaredNorm)")
    }

    @Test func itLearns() throws {
        var autoencoder = small()
        autoencoder.encoderOptimiser = OptimiserSettings(
            .adam(beta1: 0.5, beta2: 0.999, epsilon: 1e-8), rate: .constant(2e-2))
        autoencoder.decoderOptimiser = autoencoder.encoderOptimiser
        let trainer = try trainer(autoencoder, shards: 2, SoloCommunicator())
        let first = try trainer.step().bound!
        var last = first
        for _ in 0 ..< 300 { last = try trainer.step().bound! }
        #expect(last > first / 2, "\(first), \(last)")
        // The ring's 8 points, of norm 2, are made of their codes.
        let ring = Ring(rows: 0 ..< 8)
        let points = FloatBuffer(ring.minibatch(0).array)
        let made = try trainer.trained.reconstructions(points)
        #expect(Distances.squared(points.values, made.values) / 8 < 1)
        #expect(trainer.sampler.network.store === trainer.decoder.network.store)
    }

    @Test(arguments: [Autoencoder.Code.gaussian, .point])
    func aSteadyStepAllocatesNothing(code: Autoencoder.Code) throws {
        var autoencoder = Autoencoder(
            encoder: [Dense(units: 256), LeakyReLU(slope: 0.2), Dense(units: 256)],
            decoder: [Dense(units: 256), LeakyReLU(slope: 0.2), Dense(units: 256)],
            codeSize: code == .gaussian ? 128 : 256, code: code)
        autoencoder.batch = 64
        let communicator = SoloCommunicator(), table = try ShardTable(shards: 2, communicator: communicator)
        let trainer = try AutoencoderTrainer(
            autoencoder, exampleShape: .vector(256), reals: Zeros(count: 64 * 256), shards: table,
            communicator: communicator)
        for _ in 0 ..< 4 { _ = try trainer.step() }
        let before = allocationsOfThisThread()
        var bounds = 0.0
        for _ in 0 ..< 10 { bounds -= try trainer.step().reconstruction }
        #expect(allocationsOfThisThread() == before, "10 steps made \(allocationsOfThisThread() - before) allocations")
        #expect(bounds < 0)
    }

    private final class Zeros: MinibatchSource {
        private let values: FloatBuffer
        init(count: Int) { values = FloatBuffer(count: count) }
        func minibatch(_ number: Int) -> Floats { values.values }
        func indices(minibatch number: Int) -> [Int] { [] }
        func epoch(minibatch number: Int) -> Int { 0 }
    }

    @Test func whatDoesNotFitIsRefused() throws {
        func refusal(_ change: (inout Autoencoder) -> Void) -> String {
            var autoencoder = small()
            change(&autoencoder)
            do {
                _ = try trainer(autoencoder, shards: 2, SoloCommunicator())
                return ""
            } catch { return "\(error)" }
        }
        #expect(refusal { _ in } == "")
        #expect(refusal { $0.codeSize = 4 }.contains("encoder: its last layer makes [6] where it has to make [8]"))
        #expect(refusal { $0.code = .point }.contains("encoder: its last layer makes [6] where it has to make [3]"))
        #expect(refusal { $0.decoder = [Dense(units: 3)] }.contains("decoder: its last layer makes [3]"))
        #expect(refusal { $0.decoder = [Reshape(to: .vector(7))] }.contains("decoder: layer 0 (reshape)"))
    }
}
