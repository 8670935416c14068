import Collectives
import Foundation
import Kernels
import Nets
import Testing
@testable import Adversarial

/// Every objective, by the formulas of its paper in Double and by differences.
@Suite struct ObjectivesTests {
    static let all: [any Objective] = [
        StandardObjective(), StandardObjective(generator: .reverseKL), LeastSquares(), LeastSquares(weight: 0.5),
        Hinge(), Wasserstein(), Relativistic(), RelativisticAverage(),
    ]
    private static let real: [Float] = [-2, 0.5, 3, 0.25, -0.75], fake: [Float] = [1, -0.25, -4, 0.5, 0.125]

    /// Means over the pairs of logits x of real and y of generated examples.
    private static func formula(_ objective: any Objective, _ x: [Double], _ y: [Double]) -> (d: Double, g: Double) {
        func mean(_ values: [Double]) -> Double { values.reduce(0, +) / Double(values.count) }
        func sp(_ value: Double) -> Double { log(1 + exp(value)) }
        let (meanX, meanY) = (mean(x), mean(y))
        switch objective {
        case let objective as StandardObjective:
            let g = objective.generatorLoss == .reverseKL ? mean(y.map { -$0 }) : mean(y.map { sp(-$0) })
            return (mean(x.map { sp(-$0) }) + mean(y.map { sp($0) }), g)
        case let objective as LeastSquares:
            let d = mean(x.map { ($0 - 1) * ($0 - 1) / 2 }) + mean(y.map { $0 * $0 / 2 })
            return (objective.weight * d, mean(y.map { ($0 - 1) * ($0 - 1) / 2 }))
        case is Hinge: return (mean(x.map { max(0, 1 - $0) }) + mean(y.map { max(0, 1 + $0) }), -meanY)
        case is Wasserstein: return (meanY - meanX, -meanY)
        case is Relativistic:
            return (mean(zip(x, y).map { sp($1 - $0) }), mean(zip(x, y).map { sp($0 - $1) }))
        default:
            return (
                mean(x.map { sp(meanY - $0) }) + mean(y.map { sp($0 - meanX) }),
                mean(x.map { sp($0 - meanY) }) + mean(y.map { sp(meanX - $0) })
            )
        }
    }

    @Test(arguments: all.indices) func costsAreThePapersAndSlopesTheirDerivatives(number: Int) {
        let objective = Self.all[number], n = Self.real.count
        let real = FloatBuffer(Self.real), fake = FloatBuffer(Self.fake)
        let (x, y) = (Self.real.map(Double.init), Self.fake.map(Double.init))
        let slopes = (real: FloatBuffer(count: n), fake: FloatBuffer(count: n))
        let costs = objective.discriminator(
            real: real.values, fake: fake.values, of: n, into: (slopes.real.values, slopes.fake.values))
        let right = Self.formula(objective, x, y)
        #expect(abs(objective.weight * (costs.real + costs.fake) / Double(n) - right.d) < 1e-12)
        for row in 0 ..< n {
            let ofReal = Self.derivative { Self.formula(objective, Self.moved(x, row, by: $0), y).d }
            let ofFake = Self.derivative { Self.formula(objective, x, Self.moved(y, row, by: $0)).d }
            #expect(abs(Double(slopes.real.values[row]) - ofReal) < 1e-7)
            #expect(abs(Double(slopes.fake.values[row]) - ofFake) < 1e-7)
        }
        let cost = objective.generator(
            real: objective.isRelativistic ? real.values : nil, fake: fake.values, of: n, into: slopes.fake.values)
        #expect(abs(cost / Double(n) - right.g) < 1e-12)
        for row in 0 ..< n {
            let ofFake = Self.derivative { Self.formula(objective, x, Self.moved(y, row, by: $0)).g }
            #expect(abs(Double(slopes.fake.values[row]) - ofFake) < 1e-7)
        }
        withExtendedLifetime((real, fake, slopes)) {}
    }

    private static func moved(_ values: [Double], _ row: Int, by distance: Double) -> [Double] {
        var values = values
        values[row] += distance
        return values
    }

    private static func derivative(_ function: (Double) -> Double) -> Double {
        (function(1e-5) - function(-1e-5)) / 2e-5
    }

    /// Where D tells nothing apart, the costs are those that charts draw as balance.
    @Test(arguments: all.indices) func balanceIsTheCostOfEqualLogits(number: Int) throws {
        let objective = Self.all[number], level = objective is LeastSquares ? 0.5 : 0
        let right = Self.formula(objective, [level, level], [level, level])
        let balance = try #require(objective.balance)
        #expect(abs(balance.discriminator - right.d) < 1e-12)
        if let generator = balance.generator { #expect(abs(generator - right.g) < 1e-12) }
        #expect(objective.balancedProbability == (objective.isLogOdds ? 0.5 : nil))
    }

    /// With smoothed labels the best D of equal densities is not ½: its cost there is the least that any logit has.
    @Test func balanceOfSmoothedLabels() throws {
        let loss = DiscriminatorLoss(reduction: .mean, labelSmoothing: 0.2)
        let objective = StandardObjective(discriminator: loss)
        func cost(_ probability: Double) -> Double {
            -(0.8 * log(probability) + 0.2 * log(1 - probability) + log(1 - probability)) / 2
        }
        let least = (1 ..< 10_000).map { cost(Double($0) / 10_000) }.min()!
        let balance = try #require(objective.balance), probability = try #require(objective.balancedProbability)
        #expect(abs(probability - 0.4) < 1e-12 && abs(balance.discriminator - least) < 1e-12)
        #expect(abs(try #require(balance.generator) + log(0.4)) < 1e-12)
        let schedule = Schedule(.linear(from: 0.2, to: 0, over: 9))
        let changing = StandardObjective(generator: .minimax, reduction: .sum, labelSmoothing: schedule)
        #expect(changing.balance == nil && changing.balancedProbability == nil)
    }

    /// One network's steps on 1, 2 and 3 ranks end in the same bits, and their figures are equal.
    @Test(arguments: all.indices, [false, true]) func anyNumberOfRanksMakesTheSameSteps(
        number: Int, together: Bool
    ) throws {
        var game = smallGame()
        game.objective = Self.all[number]
        game.updates =
            together
            ? Update.simultaneous() : Update.alternating(discriminatorSteps: 2, generatorFirst: number % 2 == 1)
        let ends = try [1, 2, 3].map { ranks in
            try ThreadCommunicator.run(size: ranks) { [game] communicator -> [UInt64] in
                let trainer = try game.trainer(shards: 3, communicator)
                var report = StepReport()
                for _ in 0 ..< 3 { report = try trainer.step() }
                #expect(trainer.minibatchesDone == 3 * game.minibatchesOfStep)
                #expect((report.lossReal == nil) == game.objective.isRelativistic)
                return [
                    trainer.fingerprint, report.lossDiscriminator.bitPattern, report.lossGenerator.bitPattern,
                    report.pairGap.bitPattern, report.pairsRanked.bitPattern,
                ]
            }
        }
        for rank in ends.flatMap({ $0 }) { #expect(rank == ends[0][0]) }
    }

    /// A relativistic cost takes real examples of its own for the generator: k + 1 minibatches a step, in their order.
    @Test func theGeneratorsRealsAreFresh() throws {
        var game = smallGame()
        game.objective = Relativistic()
        game.updates = Update.alternating(discriminatorSteps: 2)
        let recorder = MinibatchRecorder()
        let trainer = try game.trainer(shards: 1, SoloCommunicator())
        trainer.trace = recorder
        for _ in 0 ..< 2 { _ = try trainer.step() }
        let source = RingExamples(batch: game.batch, rows: 0 ..< game.batch)
        #expect(recorder.indices == (0 ..< 6).map(source.indices(minibatch:)))
        #expect(recorder.inner == [0, 1, nil, 0, 1, nil])
    }

    /// With equal networks the gap of a pair is 0 and half of what could be told apart is.
    @Test func figuresOfLogits() {
        let real = FloatBuffer([1, 2, 3]), fake = FloatBuffer([0, 2, 4])
        let figures = LogitFigures((real.values, fake.values))
        #expect(figures.real == 6 && figures.fake == 6 && figures.ranked == 1)
        withExtendedLifetime((real, fake)) {}
    }
}

/// Which minibatches of real examples a step takes.
private final class MinibatchRecorder: StepTrace {
    var indices: [[Int]] = []
    var inner: [Int?] = []

    func real(_ inner: Int?, _ rows: Floats, range: Range<Int>, indices: [Int], shape: Shape) {
        self.indices.append(indices)
        self.inner.append(inner)
    }
    func noise(_ noise: Batch, inner: Int?, rows: Range<Int>) {}
    func masks(of network: Network, inner: Int?) {}
    func penaltyDraws(_ name: String, _ values: Floats, dimensions: [Int], inner: Int, packs: Range<Int>) {}
    func gradient(_ gradient: Floats, of player: Player, inner: Int) {}
    func augmentation(_ draws: Floats, probability: Double, inner: Int?, rows: Range<Int>) {}
    func losses(inner: Int?, _ losses: KeyValuePairs<String, Double>) {}
    func finishStep(_ players: [Player]) throws {}
}

extension ObjectivesTests {
    /// Label smoothing may follow a schedule: at each step the targets are those of that step.
    @Test func labelSmoothingFollowsItsSchedule() throws {
        let schedule = Schedule(.linear(from: 0.2, to: 0, over: 4))
        func report(_ objective: any Objective, steps: Int) throws -> StepReport {
            var game = smallGame()
            game.objective = objective
            // Nothing moves, so that every step has the same logits but for its minibatch.
            game.generatorOptimiser = OptimiserSettings(.descent, rate: 0.0)
            game.discriminatorOptimiser = OptimiserSettings(.descent, rate: 0.0)
            let trainer = try game.trainer(shards: 2, SoloCommunicator())
            for _ in 1 ..< steps { _ = try trainer.step() }
            return try trainer.step()
        }
        for step in 1 ... 5 {
            let changing = try report(
                StandardObjective(generator: .nonSaturating, reduction: .sum, labelSmoothing: schedule), steps: step)
            let smoothing = 0.2 * Double(max(0, 5 - step)) / 4
            let fixed = try report(
                StandardObjective(discriminator: DiscriminatorLoss(labelSmoothing: smoothing)), steps: step)
            #expect(abs((changing.lossReal ?? 0) - (fixed.lossReal ?? 1)) < 1e-12)
        }
    }
}
