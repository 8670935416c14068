import AllocationCount
import Collectives
import Foundation
import Kernels
import Nets
import Testing
@testable import Adversarial

/// What is drawn, how p moves, and what a step does with it. The step's gradients are PyTorch's:
/// `Tests/commands/test_reference.py`.
@Suite struct AugmentationTests {
    private static let layout = ImageLayout(height: 9, width: 12, channels: 3, stride: 3)
    private static let all = Set(Augmentation.Transformation.allCases)

    /// The maps of `count` images.
    private static func maps(
        _ policy: Set<Augmentation.Transformation> = all, probability: Double, count: Int = 4000,
        range: ClosedRange<Float> = -1 ... 1
    ) -> [ImageAugmentation] {
        let each = AugmentationDraw.allCases.count, draws = FloatBuffer(count: count * each)
        Draws(seed: 5, purpose: .augmentation, step: 3).fillUniform(draws.values, samples: count, low: 0, high: 1)
        return (0 ..< count).map {
            ImageAugmentation(
                draws.values[$0 * each ..< ($0 + 1) * each], policy, probability: probability, layout, range: range)
        }
    }

    /// The amounts of the source's code, for sides of 9 and 12: shifts by up to 1 and 2, cuts of 5 rows and 6 columns.
    @Test func amountsAreThoseOfTheSource() {
        let maps = Self.maps(probability: 1)
        func fills<Value: Comparable>(_ values: [Value], _ low: Value, _ high: Value) -> Bool {
            values.min()! == low && values.max()! == high
        }
        func spreads(_ values: [Float], _ range: ClosedRange<Float>) -> Bool {
            let mean = values.reduce(0, +) / Float(values.count), width = range.upperBound - range.lowerBound
            return values.allSatisfy(range.contains) && abs(mean - (range.lowerBound + width / 2)) < 0.02 * width
                && values.min()! < range.lowerBound + 0.01 * width && values.max()! > range.upperBound - 0.01 * width
        }
        #expect(abs(Double(maps.count(where: \.flips)) / 4000 - 0.5) < 0.03)
        #expect(spreads(maps.map(\.brightness), -0.5 ... 0.5))
        #expect(spreads(maps.map(\.saturation), 0 ... 2))
        #expect(spreads(maps.map(\.contrast), 0.5 ... 1.5))
        #expect(fills(maps.map(\.rowShift), -1, 1) && fills(maps.map(\.columnShift), -2, 2))
        // An odd length is around any of 9 rows, an even one around any of 13 edges between columns.
        #expect(fills(maps.map(\.cutRows.lowerBound), 0, 6) && fills(maps.map(\.cutRows.upperBound), 3, 9))
        #expect(fills(maps.map(\.cutColumns.lowerBound), 0, 9) && fills(maps.map(\.cutColumns.upperBound), 3, 12))
        #expect(maps.map(\.cutRows.count).max() == 5 && maps.map(\.cutColumns.count).max() == 6)
        #expect(maps.allSatisfy { $0.fill == 0 })
    }

    /// Each on its own with p, and those of the policy alone.
    @Test func eachHappensWithItsProbability() {
        let maps = Self.maps([.brightness, .contrast, .cutout], probability: 0.3)
        let shares = [
            maps.map { $0.brightness != 0 }, maps.map { $0.contrast != 1 }, maps.map { !$0.cutRows.isEmpty },
        ]
        for (number, share) in shares.enumerated() {
            #expect(abs(Double(share.count { $0 }) / 4000 - 0.3) < 0.03)
            let both = zip(share, shares[(number + 1) % 3]).count { $0 && $1 }
            #expect(abs(Double(both) / 4000 - 0.09) < 0.02)
        }
        #expect(maps.allSatisfy { !$0.flips && $0.saturation == 1 && $0.rowShift == 0 && $0.columnShift == 0 })
        let none = Self.maps(probability: 0)
        #expect(none.allSatisfy { !$0.flips && $0.brightness == 0 && $0.contrast == 1 && $0.cutRows.isEmpty })
    }

    /// The same pictures with values in [0, 1] are augmented to the same pictures.
    @Test func theRangeOfValuesChangesNoPicture() {
        let count = Self.layout.count
        for (signed, unit) in zip(
            Self.maps(probability: 0.7, count: 50), Self.maps(probability: 0.7, count: 50, range: 0 ... 1))
        {
            let first = FloatBuffer(count: count), second = FloatBuffer(count: count)
            Draws(seed: 1, purpose: .synthetic, step: 0).fillUniform(first.values, samples: 1, low: -1, high: 1)
            for index in 0 ..< count { second.values[index] = (first.values[index] + 1) / 2 }
            signed.apply(.map, to: first.values, Self.layout)
            unit.apply(.map, to: second.values, Self.layout)
            for index in 0 ..< count { #expect(abs((first.values[index] + 1) / 2 - second.values[index]) < 1e-6) }
        }
    }

    /// Images of 2 × 1 pixels and a channel.
    private static func game(_ augmentation: Augmentation?) -> Game {
        var game = smallGame()
        game.generator.append(Reshape(to: shape))
        game.discriminator.insert(Flatten(), at: 0)
        (game.augmentation, game.penalties) = (augmentation, [Penalty(.r1, weight: 1.0), Penalty(.r2, weight: 0.5)])
        return game
    }

    private static let shape = Shape.image(height: 2, width: 1, channels: 1)

    private static func adaptive(target: Double = 0.25, over: Double = 96, every: Int = 2) -> Augmentation {
        Augmentation(
            [.contrast, .cutout],
            probability: .adaptive(AdaptiveProbability(target: target, over: over, every: every)))
    }

    /// With p = 0 a step has the bits of one without augmentation; with more it has not.
    @Test(arguments: [Update.alternating(discriminatorSteps: 2), Update.simultaneous()])
    func nothingHappensWithProbabilityZero(updates: [Update]) throws {
        func parameters(_ probability: Double?) throws -> [[Float]] {
            var game = Self.game(probability.map { Augmentation(probability: .scheduled(.constant($0))) })
            game.updates = updates
            return try ThreadCommunicator.run(size: 1) { [game] communicator in
                let trainer = try game.trainer(shards: 2, communicator, exampleShape: Self.shape)
                for _ in 0 ..< 3 { _ = try trainer.step() }
                return trainer.players.map { $0.network.store.values.values.array }
            }[0]
        }
        #expect(try parameters(0) == parameters(nil))
        #expect(try zip(parameters(0.5), parameters(nil)).allSatisfy { $0 != $1 })
    }

    /// A pair, and every pass of an update, has one draw, and each update one of its own.
    @Test func pairsShareTheirDraw() throws {
        var game = Self.game(Augmentation([.brightness]))
        game.discriminatorOptimiser = OptimiserSettings(.descent, rate: .constant(0))
        game.updates = Update.alternating(discriminatorSteps: 2)
        let pass = AugmentationPass(game.augmentation!, game, example: Self.shape, rows: 4)
        pass.begin(at: Progress(steps: 0, epochs: 0, examples: 0, update: 1))
        func brightness(inner: Int) -> [Float] {
            let draws = Draws(seed: 1, purpose: .augmentation, step: 0, inner: inner, firstSample: 8)
            _ = pass.draw(draws, count: 4)
            let images = FloatBuffer(count: 24)
            pass.apply(.map, to: Batch(images.values, count: 12, shape: Self.shape), rows: 0 ..< 12)
            let first = stride(from: 0, to: 24, by: 2).map { images.values[$0] }
            #expect(Array(first[0 ..< 4]) == Array(first[4 ..< 8]) && Array(first[4 ..< 8]) == Array(first[8 ..< 12]))
            return Array(first[0 ..< 4])
        }
        let zeroth = brightness(inner: 0), last = brightness(inner: 2)
        #expect(Set(zeroth + last).count == 8)
    }

    /// p goes up and down by images / over every so many steps, within its bounds, and stands still at the target.
    @Test func anAdaptiveProbabilityFollowsTheSigns() throws {
        let pass = AugmentationPass(Self.adaptive(), Self.game(nil), example: Self.shape, rows: 12)
        let state = try #require(pass.state?.values)
        var course: [Float] = []
        // Of 24 logits in two steps the mean is above ¼ where their signs come to more than 6.
        for (step, signs) in [-12.0, -12, 4, 3, 6, 0, 12, 12, 2, 3, 12, 12, 12, 12, 12, 12, 12, 12].enumerated() {
            pass.follow(signs: signs, step: step + 1)
            if step == 2 { #expect(state.array == [0, 4]) }
            if step % 2 == 1 {
                course.append(state[0])
                #expect(state[1] == 0)
            }
        }
        #expect(course == [0, 0.25, 0.25, 0.5, 0.25, 0.5, 0.75, 1, 1])
        pass.begin(at: Progress(steps: 18, epochs: 0, examples: 0, update: 19))
        #expect(pass.probability == 1)
    }

    /// What a step reports is the p that it was made with, and the state moves by the signs of both its updates.
    @Test func stepsReportTheirProbability() throws {
        var game = Self.game(Self.adaptive(target: -1, over: 240))
        game.updates = Update.alternating(discriminatorSteps: 2)
        let reports = try ThreadCommunicator.run(size: 2) { [game] communicator in
            let trainer = try game.trainer(shards: 3, communicator, exampleShape: Self.shape)
            return try (0 ..< 6).map { _ in
                let report = try trainer.step()
                return (report.augmentProbability, report.realSign)
            }
        }
        let probabilities = reports[0].map { $0.0 ?? .nan }
        #expect(zip(probabilities, [0, 0, 0.2, 0.2, 0.4, 0.4]).allSatisfy { abs($0 - $1) < 1e-6 })
        // 24 logits a step.
        for sign in reports[0].map({ $0.1 ?? .nan }) { #expect(abs(sign * 24 - (sign * 24).rounded()) < 1e-9) }
        game.objective = Relativistic()
        game.augmentation = Augmentation([.cutout], probability: .scheduled(0.5))
        let other = try game.trainer(shards: 1, SoloCommunicator(), exampleShape: Self.shape).step()
        #expect(other.augmentProbability == 0.5 && other.realSign == nil)
    }

    @Test func noPassAllocates() {
        let pass = AugmentationPass(Augmentation(Self.all), Self.game(nil), example: Self.shape, rows: 12)
        let adaptive = AugmentationPass(Self.adaptive(), Self.game(nil), example: Self.shape, rows: 12)
        let images = FloatBuffer(count: 48), batch = Batch(images.values, count: 24, shape: Self.shape)
        func run(_ step: Int) {
            pass.begin(at: Progress(steps: step, epochs: 0, examples: 0, update: step + 1))
            _ = pass.draw(Draws(seed: 1, purpose: .augmentation, step: step), count: 12)
            for form in [ImageAugmentation.Form.map, .tangent, .adjoint] { pass.apply(form, to: batch, rows: 0 ..< 24) }
            adaptive.follow(signs: 3, step: step + 1)
        }
        for step in 0 ..< 3 { run(step) }
        let before = allocationsOfThisThread()
        for step in 3 ..< 53 { run(step) }
        #expect(allocationsOfThisThread() == before)
    }
}
