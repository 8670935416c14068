import Adversarial
import Collectives
import Recipes
import Testing
@testable import Benchmarks

/// The model's arithmetic, on figures that are easily followed by hand.
@Suite struct ScalingModelTests {
    /// 10 ms + 1 ms a sample; 8 ms of the optimiser; gradients of 4 and 8 MB; 1 µs and 8 GB/s within a node.
    private func model(
        ranksOfNode: Int, latency: Double = 0, bytesPerSecond: Double = .infinity, statistics: Int = 0
    ) -> ScalingModel {
        ScalingModel(
            compute: .init(fixed: 0.010, each: 0.001), optimiser: 0.008, gradients: [4_000_000, 8_000_000],
            statistics: statistics, ranksOfNode: ranksOfNode,
            memory: ranksOfNode > 1 ? .init(latency: 1e-6, bytesPerSecond: 8e9) : nil,
            network: .init(latency: latency, bytesPerSecond: bytesPerSecond))
    }

    private func isNear(_ value: Double, _ expected: Double) -> Bool {
        abs(value - expected) <= 1e-9 * max(abs(expected), 1)
    }

    @Test func aLineIsFound() {
        let line = ScalingModel.Line.fit([(1, 5), (2, 7), (10, 23)])
        #expect(isNear(line.fixed, 3) && isNear(line.each, 2) && isNear(line(4), 11))
        #expect(line.worstDeviation([(4, 11)]) < 1e-9 && isNear(line.worstDeviation([(4, 22)]), 0.5))
    }

    /// By relative errors: (1, 2) and (1, 4) are met at the weighted mean (2/4 + 4/16)/(1/4 + 1/16) = 2.4.
    @Test func errorsAreRelative() {
        let line = ScalingModel.Line.fit([(0, 2), (0, 4), (1000, 2000)])
        #expect(isNear(line.fixed, 2.4) && isNear(line(1000), 2000))
    }

    @Test func noCoefficientIsNegative() {
        let steep = ScalingModel.Line.fit([(1, 1), (2, 4)])
        #expect(steep.fixed == 0 && isNear(steep.each, 1.2))
        let falling = ScalingModel.Line.fit([(1, 4), (2, 4), (3, 2)])
        #expect(falling.each == 0 && falling.fixed > 2 && falling.fixed < 4)
    }

    @Test func oneRankComputesOnly() throws {
        let one = try #require(model(ranksOfNode: 1, latency: 1, bytesPerSecond: 1).strong(ranks: 1, batch: 64))
        #expect(
            isNear(one.secondsStep, 0.010 + 0.064 + 0.008) && isNear(one.efficiency, 1) && one.limit == .samples
                && one.nodes == 1)
    }

    /// 4 ranks of one node: 16 samples, the optimiser's 8 ms, 2 · log₂4 · 1 µs and 1.25 · 12 MB at 8 GB/s.
    @Test func withinANode() throws {
        let four = try #require(model(ranksOfNode: 4).strong(ranks: 4, batch: 64))
        let step = 0.035879
        #expect(isNear(four.secondsStep, step) && isNear(four.secondsStepOverlapped, step))
        #expect(isNear(four.efficiency, 0.082 / (4 * step)) && four.nodes == 1)
    }

    /// 8 nodes: each gradient's 14 messages; 2 · 12 MB · 7/8 at 1 GB/s; the statistics of 7 other shards, in ⌈log₂8⌉
    /// messages.
    @Test func betweenNodes() throws {
        let eight = try #require(
            model(ranksOfNode: 1, latency: 1e-3, bytesPerSecond: 1e9, statistics: 1000).strong(ranks: 8, batch: 64))
        // 10 + 8 ms of computing, 8 of the optimiser, 52.007 of messages.
        #expect(isNear(eight.parts["latency"]!, 0.031) && isNear(eight.parts["wire"]!, 0.021007))
        #expect(isNear(eight.secondsStep, 0.078007))
        #expect(isNear(eight.secondsStepOverlapped, 0.060007))
        #expect(eight.limit == .latency && eight.nodes == 8)
    }

    /// A slice of 8 MB over 2 ranks is 4 messages of 1 MB, 4 MB over 2 are 2: 2 · (4 + 2) of gradients and one of
    /// statistics.
    @Test func longSlicesAreSeveralMessages() {
        let parts = model(ranksOfNode: 1, latency: 1).parts(ranks: 2, samples: 1)
        #expect(isNear(parts[.latency]!, 13))
    }

    @Test func samplesRunOut() throws {
        let small = model(ranksOfNode: 8)
        #expect(small.strong(ranks: 128, batch: 64) == nil)
        let uneven = try #require(small.strong(ranks: 48, batch: 64))
        #expect(uneven.samplesOfRank == 2 && uneven.nodes == 6)
        #expect(small.weak(ranks: 512, samples: 64).samplesOfRank == 64)
    }

    @Test func weakScalingIsMeasuredByTheSameWork() {
        let free = ScalingModel(
            compute: .init(fixed: 0, each: 1), optimiser: 0, gradients: [4], statistics: 0,
            ranksOfNode: 1, memory: nil, network: .init(latency: 1, bytesPerSecond: .infinity))
        // 2 messages and 1: a step of 6 where one rank takes 3.
        #expect(isNear(free.weak(ranks: 2, samples: 3).efficiency, 0.5))
    }

    /// What is fitted from measured sums gives those sums back.
    @Test(arguments: [2, 3, 8]) func measuredExchangesAreGivenBack(ranks: Int) {
        let exchange = ScalingModel.Line(fixed: 3e-4, each: 2e-9)
        let near = ScalingModel(
            compute: .init(fixed: 0, each: 0), optimiser: 0, gradients: [1_048_576], statistics: 0,
            ranksOfNode: ranks, memory: ScalingBenchmark.memory(exchange, ranks: ranks),
            network: .init(latency: 9, bytesPerSecond: 9))
        #expect(isNear(near.parts(ranks: ranks, samples: 1)[.memory]!, exchange(1_048_576)))
        let far = ScalingModel(
            compute: .init(fixed: 0, each: 0), optimiser: 0, gradients: [1_048_576], statistics: 0,
            ranksOfNode: 1, memory: nil, network: ScalingBenchmark.network(exchange, nodes: ranks)
        ).parts(ranks: ranks, samples: 1)
        // ⌈log₂P⌉ messages of the statistics come on top.
        let messages: Double = ranks == 2 ? 1 : ranks == 3 ? 2 : 3
        let statistics = messages * exchange.fixed / Double(2 * (ranks - 1))
        #expect(isNear(far[.latency]! - statistics + far[.wire]!, exchange(1_048_576)))
    }
}

@Suite struct PassCountTests {
    private func counts(_ role: Player.Role, _ training: String) throws -> PassCounts? {
        PassCounts(
            role,
            in: try Configuration(
                yaml: """
                    data: {synthetic: ring}
                    latent: {size: 4}
                    generator: [{dense: {units: 8}}, relu, {dense: {units: 2}}]
                    discriminator: [{dense: {units: 8}}, relu, {dense: {units: 1}}]
                    """ + "\ntraining: {\(training)}", source: "test"
            ).training
        )
    }

    /// D judges real and generated examples in each of its k steps, and generated ones once more for G.
    @Test func alternating() throws {
        let generator = try #require(try counts(.generator, "update: alternating, discriminator_steps: 3"))
        #expect(
            generator.forward == 4 && generator.weightGradient == 1 && generator.inputGradient == 1
                && generator.firstInputGradient == 0)
        let discriminator = try #require(try counts(.discriminator, "update: alternating, discriminator_steps: 3"))
        #expect(
            discriminator.forward == 7 && discriminator.weightGradient == 6 && discriminator.inputGradient == 7
                && discriminator.firstInputGradient == 1)
    }

    @Test func simultaneous() throws {
        let generator = try #require(try counts(.generator, "update: simultaneous"))
        #expect(generator.forward == 1 && generator.weightGradient == 1)
        let discriminator = try #require(try counts(.discriminator, "update: simultaneous"))
        #expect(discriminator.forward == 2 && discriminator.weightGradient == 2 && discriminator.inputGradient == 3)
    }
}

@Suite struct SpreadTests {
    @Test func quartilesLieBetweenNeighbours() {
        let spread = Spread([4, 1, 3, 2])
        #expect(spread.median == 2.5 && spread.minimum == 1 && spread.quartiles == [1.75, 3.25])
        #expect(Spread([7]).quartiles == [7, 7])
    }
}
