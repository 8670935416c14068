import AllocationCount
import Collectives
import Foundation
import Kernels
import Nets
import Testing
@testable import Adversarial

@Suite struct NegativesTests {
    private func trainer(
        _ training: DiscriminatorTraining, shards: Int, _ communicator: any Communicator
    ) throws -> DiscriminatorTrainer {
        let table = try ShardTable(shards: shards, communicator: communicator)
        return try DiscriminatorTrainer(
            training, reals: RingExamples(batch: training.batch, rows: table.rows(batch: training.batch)),
            shards: table, communicator: communicator)
    }

    private func linear() -> DiscriminatorTraining {
        var training = DiscriminatorTraining(discriminator: [Dense(units: 1)], example: .vector(2))
        training.optimiser = OptimiserSettings(.descent, rate: .constant(0.3))
        (training.batch, training.negatives, training.updatesOfRound) = (12, 10, 2)
        training.ascent = .init(steps: 3, stepSize: 0.1, noise: 0.5)
        return training
    }

    /// s(x) = w·x + b, step by step in Double: plain descent on both means of costs, row i of step t against negative
    /// (12 t + i) mod 10, and x′ ← x′ + 3 · 0.1 · w after each second step.
    @Test(arguments: [1, 3]) func stepsAreThoseOfTheDefinition(shards: Int) throws {
        let trainer = try trainer(linear(), shards: shards, SoloCommunicator())
        let store = trainer.discriminator.network.store, examples = RingExamples(batch: 12, rows: 0 ..< 12)
        var w = store.entries[0].range.map { Double(store.values.values[$0]) }
        var b = Double(store.values.values[store.entries[1].range.lowerBound])
        var negatives = trainer.sharedState[0].values.array.map(Double.init)
        for step in 0 ..< 5 {
            let reals = examples.values(step).map(Double.init)
            var (costs, gradient) = ((real: 0.0, fake: 0.0), [0.0, 0.0, 0.0])
            for row in 0 ..< 12 {
                let number = (12 * step + row) % 10
                let x = [reals[2 * row], reals[2 * row + 1]], y = [negatives[2 * number], negatives[2 * number + 1]]
                let ofReal = w[0] * x[0] + w[1] * x[1] + b, ofNegative = w[0] * y[0] + w[1] * y[1] + b
                costs.real += log1p(exp(-ofReal)) / 12
                costs.fake += log1p(exp(ofNegative)) / 12
                let (up, down) = (1 / (1 + exp(ofReal)) / 12, 1 / (1 + exp(-ofNegative)) / 12)
                for axis in 0 ..< 2 { gradient[axis] += down * y[axis] - up * x[axis] }
                gradient[2] += down - up
            }
            w = [w[0] - 0.3 * gradient[0], w[1] - 0.3 * gradient[1]]
            b -= 0.3 * gradient[2]
            let report = try trainer.step()
            #expect(abs(report.lossReal - costs.real) < 1e-5 && abs(report.lossFake - costs.fake) < 1e-5)
            #expect(report.logOdds != nil && abs(report.loss - costs.real - costs.fake) < 1e-5)
            if step % 2 == 1 {
                for index in negatives.indices { negatives[index] += 0.3 * w[index % 2] }
                // The logit of each rises by w · 0.3 w.
                #expect(abs(try #require(report.ascentRise) - 0.3 * (w[0] * w[0] + w[1] * w[1])) < 1e-5)
            } else {
                #expect(report.ascentRise == nil)
            }
            for (mine, expected) in zip(trainer.sharedState[0].values.array, negatives) {
                #expect(abs(Double(mine) - expected) < 1e-5)
            }
        }
    }

    @Test func negativesStayWithinTheirBounds() throws {
        var training = linear()
        (training.bounds, training.ascent.stepSize) = (.unit, 5)
        let trainer = try trainer(training, shards: 2, SoloCommunicator())
        for _ in 0 ..< 6 { _ = try trainer.step() }
        let values = trainer.sharedState[0].values.array
        #expect(values.allSatisfy { (0 ... 1).contains($0) } && values.contains { $0 == 0 || $0 == 1 })
        #expect(trainer.sampler.range == 0 ... 1)
    }

    /// The samples that are looked at are the negatives, by their numbers.
    @Test func theMakerGivesTheNegatives() throws {
        let trainer = try trainer(linear(), shards: 1, SoloCommunicator())
        let made = try trainer.maker.samples(
            count: 4, Draws(seed: 5, purpose: .sample, step: 0, firstSample: 3), conditions: nil)
        #expect(made.array == Array(trainer.sharedState[0].values.array[6 ..< 14]) && trainer.maker.most == 10)
    }

    @Test func aSteadyStepAllocatesNothing() throws {
        var training = linear()
        training.discriminator = [Dense(units: 64), LeakyReLU(slope: 0.2), Dense(units: 1)]
        training.updatesOfRound = 5
        let communicator = SoloCommunicator(), table = try ShardTable(shards: 2, communicator: communicator)
        let trainer = try DiscriminatorTrainer(
            training, reals: Zeros(count: 12 * 2), shards: table, communicator: communicator)
        for _ in 0 ..< 10 { _ = try trainer.step() }
        let before = allocationsOfThisThread()
        var losses = 0.0
        for _ in 0 ..< 10 { losses += try trainer.step().loss }
        #expect(allocationsOfThisThread() == before, "10 steps made \(allocationsOfThisThread() - before) allocations")
        #expect(losses > 0)
    }

    private final class Zeros: MinibatchSource {
        private let values: FloatBuffer
        init(count: Int) { values = FloatBuffer(count: count) }
        func minibatch(_ number: Int) -> Floats { values.values }
        func indices(minibatch number: Int) -> [Int] { [] }
        func epoch(minibatch number: Int) -> Int { 0 }
    }
}
