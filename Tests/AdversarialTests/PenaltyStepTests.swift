import AllocationCount
import Collectives
import Kernels
import Nets
import Testing
@testable import Adversarial

/// Steps with penalties: of which sums their gradients and figures are.
@Suite struct PenaltyStepTests {
    /// All penalties, some of them at some updates only, in packs, with two updates of D.
    private static func game(_ updates: [Update], _ objective: any Objective, leCam: LeCam?) -> Game {
        var game = smallGame()
        (game.updates, game.objective, game.leCam) = (updates, objective, leCam)
        game.packing = 2
        game.spectralPlayers = [.discriminator]
        game.discriminator.insert(Dropout(keepProbability: 0.8), at: 2)
        game.penalties = [
            Penalty(.r1, weight: Schedule(.linear(from: 2, to: 1, over: 3))), Penalty(.r2, weight: 0.5, every: 3),
            Penalty(.gradientPenalty(target: 1), weight: 3.0, every: 2),
            Penalty(.dragan(target: 0.5, deviation: 1.4), weight: 2.0),
        ]
        return game
    }

    /// Nothing here is of one shard: other shards are another order of the same sums.
    @Test(arguments: [
        (Update.alternating(discriminatorSteps: 2), true), (Update.alternating(discriminatorSteps: 2), false),
        (Update.alternating(discriminatorSteps: 1, generatorFirst: true), true), (Update.simultaneous(), true),
        (Update.simultaneous(), false),
    ])
    func shardsChangeNoSum(updates: [Update], together: Bool) throws {
        func train(shards: Int, ranks: Int) throws -> (parameters: [Double], reports: [StepReport]) {
            let objective: any Objective = together ? RelativisticAverage() : Relativistic()
            return try ThreadCommunicator.run(size: ranks) { communicator in
                let game = Self.game(updates, objective, leCam: together ? LeCam(weight: 0.3, decay: 0.9) : nil)
                let trainer = try game.trainer(shards: shards, communicator)
                let reports = try (0 ..< 4).map { _ in try trainer.step() }
                let parameters = trainer.players.flatMap { $0.network.store.values.values.array.map(Double.init) }
                return (parameters, reports)
            }[0]
        }
        let whole = try train(shards: 1, ranks: 1)
        for (shards, ranks) in [(2, 1), (3, 2)] {
            let divided = try train(shards: shards, ranks: ranks)
            #expect(relativeDistance(divided.parameters, whole.parameters) < 1e-5, "\(shards) shards")
            for (mine, theirs) in zip(divided.reports, whole.reports) {
                for path in [\StepReport.penaltyReal, \.penaltyFake, \.penaltyBetween, \.penaltyAround] {
                    guard let mine = mine[keyPath: path], let theirs = theirs[keyPath: path] else {
                        Issue.record("no figures of a penalty at step \(mine.step)")
                        continue
                    }
                    #expect(abs(mine.cost - theirs.cost) < 1e-4 * max(theirs.cost, 1e-2))
                    #expect(abs(mine.norm - theirs.norm) < 1e-4 * theirs.norm)
                    #expect(abs(mine.squaredNorm - theirs.squaredNorm) < 1e-4 * theirs.squaredNorm)
                }
            }
        }
    }

    /// At once, G's gradient goes back through the pass that the penalties have been through: it is the one without,
    /// but for the order of sums: penalised halves do not run as one with others.
    @Test func penaltiesLeaveTheGeneratorsGradientAlone() throws {
        func generator(penalised: Bool) throws -> [Float] {
            var game = Self.game(Update.simultaneous(), Relativistic(), leCam: nil)
            if !penalised { game.penalties = [] }
            return try ThreadCommunicator.run(size: 1) { [game] communicator in
                let trainer = try game.trainer(shards: 2, communicator)
                _ = try trainer.step()
                return trainer.generator.network.store.values.values.array
            }[0]
        }
        #expect(
            try relativeDistance(
                generator(penalised: true).map(Double.init), generator(penalised: false).map(Double.init)) < 1e-6)
    }

    /// A penalty that is taken at some updates only is reported as it was at the last of them, whichever update of the
    /// step that was.
    @Test func aLazyPenaltyIsReportedAsLastTaken() throws {
        var game = smallGame()
        game.penalties = [Penalty(.r1, weight: 1.0, every: 3)]
        let figures = try ThreadCommunicator.run(size: 1) { [game] communicator in
            let trainer = try game.trainer(shards: 2, communicator)
            return try (0 ..< 7).map { _ in try trainer.step().penaltyReal }
        }[0]
        #expect(figures[0] != nil && figures[0] == figures[1] && figures[1] == figures[2])
        #expect(figures[3] != figures[2] && figures[3] == figures[5] && figures[6] != figures[5])
        // The first of two updates, always.
        (game.updates, game.penalties) = (
            Update.alternating(discriminatorSteps: 2), [Penalty(.r2, weight: 1.0, every: 2)]
        )
        let ofTwo = try ThreadCommunicator.run(size: 1) { [game] communicator in
            let trainer = try game.trainer(shards: 2, communicator)
            return try (0 ..< 3).map { _ in try trainer.step().penaltyFake }
        }[0]
        #expect(ofTwo.allSatisfy { $0 != nil } && ofTwo[0] != ofTwo[1] && ofTwo[1] != ofTwo[2])
    }

    /// A step with pairs, R1 and R2, spectral norms and an average of G allocates nothing once it has run. Products of
    /// fewer multiplications than here may be ones for which OpenBLAS allocates.
    @Test func aSteadyStepAllocatesNothing() throws {
        var game = Game(
            generator: [Dense(units: 256), LeakyReLU(slope: 0.2), Dense(units: 256)],
            discriminator: [
                Dense(units: 256), Tanh(), LayerNormalisation(epsilon: 1e-5), Dense(units: 256), LeakyReLU(slope: 0.2),
                Dropout(keepProbability: 0.8), Dense(units: 1),
            ],
            latent: Latent(size: 256), objective: Relativistic(),
            penalties: [
                Penalty(.r1, weight: Schedule(.cosine(from: 2, to: 1, over: 90))), Penalty(.r2, weight: 1.0),
                Penalty(.gradientPenalty(target: 1), weight: 1.0, every: 2),
            ],
            spectralPlayers: [.discriminator], average: AverageSettings(halfLife: .constant(100), ramp: 0.05))
        game.batch = 32
        let communicator = SoloCommunicator(), table = try ShardTable(shards: 2, communicator: communicator)
        let trainer = try Trainer(
            game, exampleShape: .vector(256), reals: Zeros(count: 32 * 256), shards: table, communicator: communicator)
        for _ in 0 ..< 4 { _ = try trainer.step() }
        let before = allocationsOfThisThread()
        var norms = 0.0
        for _ in 0 ..< 10 { norms += try trainer.step().penaltyReal?.norm ?? .nan }
        #expect(allocationsOfThisThread() == before, "10 steps made \(allocationsOfThisThread() - before) allocations")
        #expect(norms > 0)
    }

    /// Minibatches of which each is the same.
    private final class Zeros: MinibatchSource {
        private let values: FloatBuffer
        init(count: Int) { values = FloatBuffer(count: count) }
        func minibatch(_ number: Int) -> Floats { values.values }
        func indices(minibatch number: Int) -> [Int] { [] }
        func epoch(minibatch number: Int) -> Int { 0 }
    }

    /// A hinge says nothing of logits beyond its edge, so that its cost may be finite where they are not.
    @Test func noFigureThatIsNotFinitePasses() throws {
        let slopes = FloatBuffer(count: 2), infinite = FloatBuffer([.infinity]), finite = FloatBuffer([-2])
        let costs = Hinge().discriminator(
            real: infinite.values, fake: finite.values, of: 1,
            into: (slopes.values[0 ..< 1], slopes.values[1 ..< 2]))
        #expect(costs.real == 0 && costs.fake == 0)
        func name(_ change: (inout StepReport) -> Void) -> String? {
            var report = StepReport()
            change(&report)
            return report.notFinite?.name
        }
        #expect(name { _ in } == nil)
        #expect(name { $0.logitReal = .infinity } == "logit_real")
        #expect(name { $0.logitFake = .nan } == "logit_fake")
        let figures = StepReport.PenaltyFigures(cost: .infinity, norm: 1, squaredNorm: 1)
        #expect(name { $0.penaltyBetween = figures } == "penalty_between")
        #expect(name { $0.leCam = .nan } == "lecam")
    }
}
