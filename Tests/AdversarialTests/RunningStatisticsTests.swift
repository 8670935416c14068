import Collectives
import Kernels
import Nets
import Testing
@testable import Adversarial

/// Which passes of a step move the running statistics, in which order, and by what.
@Suite struct RunningStatisticsTests {
    private static let momentum = 0.25

    /// running ← (1 − momentum) · running + momentum · (mean over the shards' examples of each shard's statistic).
    private struct Running {
        var mean: [Double], variance: [Double]

        init(size: Int) {
            mean = [Double](repeating: 0, count: size)
            variance = [Double](repeating: 1, count: size)
        }

        /// `rows`: one pass over a minibatch; `shards`: how many of them each shard has.
        mutating func follow(_ rows: [[Double]], shards: [Int]) {
            for index in mean.indices {
                var means = 0.0, variances = 0.0, start = 0
                for count in shards {
                    let values = rows[start ..< start + count].map { $0[index] }
                    let mean = values.reduce(0, +) / Double(count)
                    means += Double(count) * mean
                    variances += Double(count) * values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(count - 1)
                    start += count
                }
                mean[index] += momentum * (means / Double(rows.count) - mean[index])
                variance[index] += momentum * (variances / Double(rows.count) - variance[index])
            }
        }
    }

    /// The statistics of a network whose first layer normalises, which are those of what it is given.
    private static func expect(_ running: Running, of network: Network, _ what: String) {
        for (entry, right) in zip(network.store.statisticEntries, [running.mean, running.variance]) {
            let values = network.store.statistics.values[entry.range].array.map(Double.init)
            #expect(relativeDistance(values, right) < 1e-5, "\(what): \(entry.name)")
        }
    }

    /// The generator's: one pass of each step of D, then its own (or before them, where it moves first); at once, that
    /// of D alone.
    @Test(
        arguments: [
            Update.alternating(discriminatorSteps: 2), Update.alternating(discriminatorSteps: 2, generatorFirst: true),
            Update.simultaneous(),
        ], [1, 2])
    func ofTheGenerator(updates: [Update], ranks: Int) throws {
        var game = smallGame()
        (game.updates, game.batch) = (updates, 7)
        game.generator.insert(BatchNormalisation(momentum: Float(Self.momentum)), at: 0)
        _ = try ThreadCommunicator.run(size: ranks) { [game] communicator in
            let trainer = try game.trainer(shards: 2, communicator)
            var running = Running(size: 3)
            for step in 0 ..< 3 {
                for update in updates {
                    let isD = update.moves(.discriminator), noise = FloatBuffer(count: 7 * 3)
                    let purpose: Purpose = isD ? .discriminatorNoise : .generatorNoise
                    Draws(seed: game.seed, purpose: purpose, step: step, inner: update.inner).fillNormal(
                        noise.values, samples: 7, layer: 255)
                    let values = noise.array.map(Double.init)
                    running.follow((0 ..< 7).map { Array(values[3 * $0 ..< 3 * $0 + 3]) }, shards: [3, 4])
                }
                _ = try trainer.step()
                Self.expect(running, of: trainer.generator.network, "step \(step)")
            }
        }
    }

    /// The discriminator's, in packs: the real pass of each of its steps, then the generated one, then the generator's
    /// pass; at once, the two of its own.
    @Test(
        arguments: [
            Update.alternating(discriminatorSteps: 2), Update.alternating(discriminatorSteps: 2, generatorFirst: true),
            Update.simultaneous(),
        ], [1, 2])
    func ofTheDiscriminator(updates: [Update], ranks: Int) throws {
        var game = smallGame()
        (game.updates, game.batch, game.packing) = (updates, 12, 2)
        game.discriminator.insert(BatchNormalisation(momentum: Float(Self.momentum)), at: 0)
        // A generator that always makes the same: it does not learn, and its examples are known.
        game.generatorOptimiser = OptimiserSettings(.descent, rate: .constant(0))
        _ = try ThreadCommunicator.run(size: ranks) { [game] communicator in
            let trainer = try game.trainer(shards: 2, communicator)
            let generator = ReferenceNetwork(trainer.generator.network)
            let real = RingExamples(batch: 12, rows: 0 ..< 12)
            func packs(_ values: [Double]) -> [[Double]] { (0 ..< 6).map { Array(values[4 * $0 ..< 4 * $0 + 4]) } }
            var running = Running(size: 4)
            for step in 0 ..< 3 {
                for update in updates {
                    let isD = update.moves(.discriminator), noise = FloatBuffer(count: 12 * 3)
                    let purpose: Purpose = isD ? .discriminatorNoise : .generatorNoise
                    Draws(seed: game.seed, purpose: purpose, step: step, inner: update.inner).fillNormal(
                        noise.values, samples: 12, layer: 255)
                    let latents = noise.array.map(Double.init)
                    if isD {
                        let minibatch = step * game.discriminatorSteps + update.inner
                        running.follow(packs(real.values(minibatch).map(Double.init)), shards: [3, 3])
                    }
                    running.follow(
                        packs((0 ..< 12).flatMap { generator.forward(Array(latents[3 * $0 ..< 3 * $0 + 3])) }),
                        shards: [3, 3])
                }
                _ = try trainer.step()
                Self.expect(running, of: trainer.discriminator.network, "step \(step)")
            }
        }
    }
}
