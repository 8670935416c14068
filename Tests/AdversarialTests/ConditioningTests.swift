import Collectives
import Kernels
import Nets
import Testing
@testable import Adversarial

/// Examples with classes beside them: how these are drawn, and where they go.
@Suite struct ConditioningTests {
    /// ``RingExamples`` with the cluster of each example as its class.
    private final class LabelledRing: MinibatchSource {
        private let ring: RingExamples
        private let rows: Range<Int>
        private let labels: FloatBuffer

        init(batch: Int, rows: Range<Int>) {
            ring = RingExamples(batch: batch, rows: rows)
            self.rows = rows
            labels = FloatBuffer(count: rows.count)
        }

        func indices(minibatch number: Int) -> [Int] { ring.indices(minibatch: number) }
        func epoch(minibatch number: Int) -> Int { ring.epoch(minibatch: number) }
        var conditions: Floats { labels.values }

        func minibatch(_ number: Int) -> Floats {
            for (place, index) in indices(minibatch: number)[rows].enumerated() {
                labels.values[place] = Float(index % 8)
            }
            return ring.minibatch(number)
        }
    }

    /// Keeps the labels of a step, by update.
    private final class LabelRecorder: StepTrace {
        var labels: [(inner: Int?, areReal: Bool, first: Int, values: [Float])] = []

        func conditions(_ values: Floats, of condition: Condition, areReal: Bool, inner: Int?, rows: Range<Int>) {
            labels.append((inner, areReal, rows.lowerBound, values.array))
        }
        func real(_ inner: Int?, _ rows: Floats, range: Range<Int>, indices: [Int], shape: Shape) {}
        func noise(_ noise: Batch, inner: Int?, rows: Range<Int>) {}
        func masks(of network: Network, inner: Int?) {}
        func penaltyDraws(_ name: String, _ values: Floats, dimensions: [Int], inner: Int, packs: Range<Int>) {}
        func augmentation(_ draws: Floats, probability: Double, inner: Int?, rows: Range<Int>) {}
        func gradient(_ gradient: Floats, of player: Player, inner: Int) {}
        func losses(inner: Int?, _ losses: KeyValuePairs<String, Double>) {}
        func finishStep(_ players: [Player]) throws {}

        /// The labels of an update in the order of rows.
        func of(_ inner: Int?, real: Bool) -> [Float] {
            labels.filter { $0.inner == inner && $0.areReal == real }.sorted { $0.first < $1.first }.flatMap(\.values)
        }
    }

    private static let counts = [30, 10, 20, 5, 5, 10, 5, 5]

    private static func game(_ objective: any Objective, _ updates: [Update]) -> Game {
        let classes = Condition.classes(8)
        // Plain steps downhill: Adam would make rounding of small gradients large.
        var game = smallGame()
        game.generator = [Embedding(size: 3, of: classes), Dense(units: 7), Tanh(), Dense(units: 2)]
        game.discriminator = [JoinedCondition(classes), Dense(units: 6), Tanh(), Projection(of: classes)]
        (game.conditioning, game.objective) = (Conditioning(classCounts: counts), objective)
        (game.updates, game.batch) = (updates, 12)
        return game
    }

    private static func trainer(_ game: Game, shards: Int, _ communicator: any Communicator) throws -> Trainer {
        let table = try ShardTable(shards: shards, communicator: communicator)
        return try Trainer(
            game, exampleShape: .vector(2), reals: LabelledRing(batch: 12, rows: table.rows(batch: 12)), shards: table,
            communicator: communicator)
    }

    /// Classes come as often as their examples do, and are the same whatever is drawn before them.
    @Test func classesAreDrawnByTheirCounts() {
        let conditioning = Conditioning(classCounts: Self.counts), drawn = FloatBuffer(count: 9000)
        let draws = Draws(seed: 3, purpose: .generatorNoise, step: 4)
        conditioning.fill(drawn.values, count: 9000, draws)
        for (number, count) in Self.counts.enumerated() {
            let expected = 9000.0 * Double(count) / 90, found = Double(drawn.array.count { $0 == Float(number) })
            // Five deviations of a binomial count.
            #expect(abs(found - expected) < 5 * expected.squareRoot(), "class \(number): \(found) of \(expected)")
        }
        let later = FloatBuffer(count: 10)
        conditioning.fill(
            later.values, count: 10, Draws(seed: 3, purpose: .generatorNoise, step: 4, firstSample: 5000))
        #expect(later.array == Array(drawn.array[5000 ..< 5010]))
        let others = FloatBuffer(count: 9000)
        conditioning.fill(others.values, count: 9000, Draws(seed: 3, purpose: .discriminatorNoise, step: 4))
        let areOthers = others.array != drawn.array
        #expect(areOthers)
    }

    /// A vector is that of a row, all of it.
    @Test func vectorsAreDrawnByRows() {
        let conditioning = Conditioning(vectors: FloatBuffer([0, 10, 1, 11, 2, 12]), numbers: 2)
        let drawn = FloatBuffer(count: 200)
        conditioning.fill(drawn.values, count: 100, Draws(seed: 1, purpose: .sample, step: 0))
        #expect((0 ..< 100).allSatisfy { drawn.array[2 * $0 + 1] == drawn.array[2 * $0] + 10 })
        #expect(Set((0 ..< 100).map { drawn.array[2 * $0] }) == [0, 1, 2])
    }

    @Test func aPairSharesItsClass() throws {
        for (objective, pairs) in [(Relativistic(), true), (Hinge(), false)] as [(any Objective, Bool)] {
            let recorder = LabelRecorder()
            let trainer = try Self.trainer(
                Self.game(objective, Update.alternating(discriminatorSteps: 2)), shards: 3, SoloCommunicator())
            trainer.trace = recorder
            _ = try trainer.step()
            let reals = try (0 ..< 3).map { number -> [Float] in
                let source = LabelledRing(batch: 12, rows: 0 ..< 12)
                _ = source.minibatch(number)
                return try #require(source.conditions.array.count == 12 ? source.conditions.array : nil)
            }
            #expect(recorder.of(0, real: true) == reals[0] && recorder.of(1, real: true) == reals[1])
            let updates: [Int?] = [0, 1, nil]
            for (update, real) in zip(updates, reals) {
                let fakes = recorder.of(update, real: false)
                #expect(fakes.count == 12)
                #expect((fakes == real) == pairs, "update \(String(describing: update))")
            }
            #expect(recorder.of(nil, real: true) == (pairs ? reals[2] : []))
        }
    }

    /// A penalty between a pair is of one class too; in G's update, which has no reals, classes are drawn, whoever
    /// moves first.
    @Test(arguments: [false, true]) func whatLiesBetweenIsOfOneClass(generatorFirst: Bool) throws {
        var game = Self.game(
            Wasserstein(), Update.alternating(discriminatorSteps: 2, generatorFirst: generatorFirst))
        #expect(!game.pairsShareConditions)
        game.penalties = [Penalty(.r1, weight: 1.0), Penalty(.gradientPenalty(target: 1), weight: 1.0)]
        #expect(game.pairsShareConditions)
        let recorder = LabelRecorder(), trainer = try Self.trainer(game, shards: 3, SoloCommunicator())
        trainer.trace = recorder
        _ = try trainer.step()
        for update in 0 ..< 2 { #expect(recorder.of(update, real: false) == recorder.of(update, real: true)) }
        let drawn = FloatBuffer(count: 12)
        Conditioning(classCounts: Self.counts).fill(
            drawn.values, count: 12, Draws(seed: game.seed, purpose: .generatorNoise, step: 0))
        #expect(recorder.of(nil, real: false) == drawn.array && recorder.of(nil, real: true) == [])
    }

    /// With penalties in all places, pairs and drawn classes: the bits do not depend on the ranks, and other shards are
    /// another order of the same sums.
    @Test(arguments: [false, true]) func ranksChangeNoBitAndShardsNoSum(pairs: Bool) throws {
        func train(shards: Int, ranks: Int) throws -> [Float] {
            try ThreadCommunicator.run(size: ranks) { communicator in
                var game = Self.game(
                    pairs ? Relativistic() : StandardObjective(), Update.alternating(discriminatorSteps: 2))
                game.penalties = [
                    Penalty(.r1, weight: 1.0), Penalty(.r2, weight: 1.0),
                    Penalty(.dragan(target: 1, deviation: 1), weight: 1.0),
                ]
                game.spectralPlayers = [.discriminator]
                let trainer = try Self.trainer(game, shards: shards, communicator)
                for _ in 0 ..< 4 { _ = try trainer.step() }
                return trainer.players.flatMap { $0.network.store.values.values.array }
            }[0]
        }
        let alone = try train(shards: 5, ranks: 1)
        for ranks in [2, 3, 5] { #expect(try train(shards: 5, ranks: ranks) == alone, "\(ranks) ranks") }
        let whole = try train(shards: 1, ranks: 1)
        #expect(relativeDistance(alone.map(Double.init), whole.map(Double.init)) < 1e-4)
    }

    /// Layers of eight classes, and examples that have none, or two.
    @Test func networksOfOtherConditionsAreRefused() throws {
        var game = Self.game(StandardObjective(), Update.alternating(discriminatorSteps: 1))
        game.conditioning = nil
        #expect(throws: (any Error).self) { try Self.trainer(game, shards: 1, SoloCommunicator()) }
        game.conditioning = Conditioning(classCounts: [1, 1])
        #expect(throws: (any Error).self) { try Self.trainer(game, shards: 1, SoloCommunicator()) }
    }
}
