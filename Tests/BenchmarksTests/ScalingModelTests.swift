import Adversarial
import Collectives
import Recipes
import Testing
@testable import Benchmarks

/// The model's arithmetic, on figures that are easily followed by hand, and beside a simulation of the exchange.
@Suite struct ScalingModelTests {
    /// 10 ms + 1 ms a sample; 8 ms of the optimiser; gradients of 4 and 8 MB, final when all is; 1 µs and 8 GB/s
    /// within a node.
    private func model(
        ranksOfNode: Int, latency: Double = 0, bytesPerSecond: Double = .infinity, message: Double? = nil,
        statistics: Int = 0,
        updates: [[ScalingModel.Gradient]] = [1_000_000, 2_000_000].map { [ScalingModelTests.gradient($0)] }
    ) -> ScalingModel {
        ScalingModel(
            compute: .init(fixed: 0.010, each: 0.001), optimiser: 0.008, updates: updates, samplesMeasured: 64,
            statistics: statistics, ranksOfNode: ranksOfNode,
            memory: ranksOfNode > 1 ? .init(latency: 1e-6, bytesPerSecond: 8e9) : nil,
            network: .init(latency: latency, bytesPerSecond: bytesPerSecond, secondsOfMessage: message))
    }

    private static func gradient(_ count: Int, _ ready: [(start: Int, lead: Double)] = []) -> ScalingModel.Gradient {
        .init(count: count, ready: ready)
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

    /// 4 ranks of one node: 16 samples, a quarter of the optimiser's 8 ms, 2 · 4 · 1 µs and 1.25 · 12 MB at 8 GB/s.
    @Test func withinANode() throws {
        let four = try #require(model(ranksOfNode: 4).strong(ranks: 4, batch: 64))
        let step = 0.028 + 8e-6 + 1.25 * 12e6 / 8e9
        #expect(isNear(four.secondsStep, step) && four.secondsHidden == 0)
        #expect(isNear(four.efficiency, 0.082 / (4 * step)) && four.nodes == 1)
    }

    /// 2 nodes of 4 ranks, whose vectors a node sums to one: each rank reads b and the other node's b/8, and writes
    /// b/8 to send and b/8 of the result.
    @Test func withinTwoNodes() {
        let memory = model(ranksOfNode: 4).parts(ranks: 8, samples: 1).times[.memory]!
        #expect(isNear(memory, 8e-6 + (1 + 3.0 / 8) * 12e6 / 8e9))
    }

    /// 8 nodes whose gradients are final at the end only: 2 · 12 MB · 7/8 at 1 GB/s; for each gradient a partial sum
    /// and a result of 1 ms, ⌈log₂8⌉ for the statistics of 7 other shards.
    @Test func betweenNodes() throws {
        let eight = try #require(
            model(ranksOfNode: 1, latency: 1e-3, bytesPerSecond: 1e9, statistics: 1000).strong(ranks: 8, batch: 64))
        #expect(isNear(eight.parts["latency"]!, 0.007))
        // Cache lines are not cut: a rank's slices are up to 16 values longer than others'.
        #expect(abs(eight.parts["wire"]! - 0.021007) < 1e-5 && eight.secondsHidden == 0)
        #expect(isNear(eight.secondsStep, eight.parts.values.reduce(0, +)))
        #expect(eight.limit == .wire && eight.nodes == 8)
    }

    /// A piece is 262,144 values: 4 are messages to, and results for, 7 others.
    @Test func messagesOfAllPiecesCount() {
        let one = model(ranksOfNode: 1, message: 1e-3, updates: [[Self.gradient(1 << 20)]])
        #expect(isNear(one.parts(ranks: 8, samples: 1).times[.wire]!, 4 * 14e-3))
    }

    /// Four pieces of 2 ms on 2 nodes. All but the last final early enough: that is waited for. The first final 5 ms
    /// before the end, the others with the last: of 8 ms 3 remain, or of the other three 6.
    @Test(arguments: [(0.1, 0.1, 2.0), (0.005, 0, 6), (0.0015, 0.0015, 6.5), (0, 0, 8)])
    func whatIsFinalEarlyTravelsBesideTheComputing(first: Double, middle: Double, waited: Double) {
        let count = 1 << 20, piece = 1 << 18
        let ready = [(count - piece, first), (piece, middle), (0, 0.0)]
        let parts = model(
            ranksOfNode: 1, bytesPerSecond: Double(4 * piece) / 2e-3,
            updates: [[Self.gradient(count, ready.map { (start: $0.0, lead: $0.1) })]]
        ).parts(ranks: 2, samples: 64)
        #expect(isNear(parts.times[.wire]!, waited * 1e-3) && isNear(parts.hidden, (8 - waited) * 1e-3))
    }

    /// With a quarter of the computing what is final early is so a quarter as long; a single piece never is.
    @Test func leadsShrinkWithTheComputing() {
        let update = [Self.gradient(1 << 20, [(start: 1 << 18, lead: 0.004), (start: 0, lead: 0)])]
        let four = model(ranksOfNode: 1, bytesPerSecond: Double(1 << 20) / 2e-3, updates: [update])
        // 10 ms + n · 1 ms: of 64 samples 74, of 27 half of it.
        #expect(isNear(four.parts(ranks: 2, samples: 64).hidden, 0.004))
        #expect(isNear(four.parts(ranks: 2, samples: 27).hidden, 0.002))
        let single = [Self.gradient(1 << 18, [(start: 0, lead: 1)])]
        #expect(model(ranksOfNode: 1, bytesPerSecond: 1, updates: [single]).parts(ranks: 2, samples: 64).hidden == 0)
    }

    /// Of both players' pieces the generator's follow the discriminator's on one wire.
    @Test func playersThatMoveTogetherShareTheWire() {
        let both = [Self.gradient(1 << 19, [(start: 0, lead: 0.003)]), Self.gradient(1 << 19)]
        let parts = model(ranksOfNode: 1, bytesPerSecond: Double(1 << 20) / 1e-3, updates: [both])
            .parts(ranks: 2, samples: 64)
        #expect(isNear(parts.times[.wire]!, 0.002) && isNear(parts.hidden, 0.002))
    }

    /// One node of many that do the same at the same time, message by message as `PipelinedExchange` carries them: a
    /// piece's partial sums go when it is final and fewer than three are under way; its results when the others'
    /// partial sums have come; all on one wire, half of a piece's time each.
    private func simulated(_ pieces: [(seconds: Double, ready: Double)], latency: Double) -> Double {
        var arrived: [Double] = [], done: [Double] = [], wire = 0.0
        while done.count < pieces.count {
            let begun = arrived.count
            var partial = Double.infinity
            if begun < pieces.count, begun < done.count + 3 {
                partial = max(pieces[begun].ready, begun >= 3 ? done[begun - 3] : 0, wire)
            }
            let result = done.count < begun ? max(arrived[done.count], wire) : .infinity
            if partial <= result {
                wire = partial + pieces[begun].seconds / 2
                arrived.append(wire + latency)
            } else {
                wire = result + pieces[done.count].seconds / 2
                done.append(wire + latency)
            }
        }
        return done.max()!
    }

    /// The formula is the simulation's end to less than half of what one piece takes, on wires that are mostly idle,
    /// mostly busy and in between.
    @Test func theFormulaIsWhatASimulationComesTo() {
        var generator = SplitMix64(state: 1)
        for _ in 0 ..< 2000 {
            let count = Int.random(in: 1 ... 40, using: &generator), end = Double.random(in: 0.01 ... 3)
            let seconds = Double.random(in: 0.01 ... 0.2), latency = Double.random(in: 0 ... 0.2) * seconds
            let ready = (1 ..< count).map { _ in Double.random(in: 0 ... end) }.sorted() + [end]
            let finished = simulated(ready.map { (seconds, $0) }, latency: latency)
            let (waited, all) = ScalingModel.waited(for: ready.map { (seconds, end - $0) })
            #expect(isNear(all, Double(count) * seconds))
            #expect(
                abs(finished - end - (waited + 2 * latency)) < 0.4 * (seconds + 2 * latency),
                "\(count) pieces of \(seconds), \(latency) late, final at \(ready)")
        }
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
            compute: .init(fixed: 0, each: 1), optimiser: 0, updates: [[Self.gradient(1)]], samplesMeasured: 1,
            statistics: 0, ranksOfNode: 1, memory: nil, network: .init(latency: 1, bytesPerSecond: .infinity))
        // 2 messages and 1: a step of 6 where one rank takes 3.
        #expect(isNear(free.weak(ranks: 2, samples: 3).efficiency, 0.5))
    }

    /// What is fitted from measured sums gives those sums back.
    @Test(arguments: [2, 3, 8]) func measuredSumsAreGivenBack(ranks: Int) {
        let sums = ScalingModel.Line(fixed: 3e-4, each: 2e-9)
        let measured = [1e3, 1e5, 1e6].map { (count: $0, seconds: sums($0)) }
        let near = ScalingModel(
            compute: .init(fixed: 0, each: 0), optimiser: 0, updates: [[Self.gradient(262_144)]], samplesMeasured: 1,
            statistics: 0, ranksOfNode: ranks, memory: ScalingBenchmark.memory(measured, ranks: ranks),
            network: .init(latency: 9, bytesPerSecond: 9))
        #expect(isNear(near.parts(ranks: ranks, samples: 1).times[.memory]!, sums(1_048_576)))
    }

    /// Where a larger sum was no slower the memory has no slope; it still has a finite speed, as JSON needs.
    @Test func noiseHidesTheMemory() {
        let link = ScalingBenchmark.memory([(100, 4e-6), (1000, 3e-6), (4000, 3e-6)], ranks: 2)
        #expect(isNear(link.bytesPerSecond, 1.5 * 4000 / 3e-6) && link.latency > 0)
    }
}

/// The same numbers in each run of the tests (Steele, Lea & Flood 2014).
private struct SplitMix64: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = (state ^ state >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }
}

/// The measurements, on ranks that are threads.
@Suite struct ScalingTimesTests {
    private static let yaml = """
        data: {synthetic: ring}
        latent: {size: 4}
        generator: [{dense: {units: 8}}, relu, {dense: {units: 2}}]
        discriminator: [{dense: {units: 8}}, dropout, {dense: {units: 1}}]
        training: {batch: 8, update: UPDATE}
        """

    /// The last layer's gradient is final before the first one's, and the discriminator's before the generator's.
    @Test(arguments: ["alternating", "simultaneous"]) func gradientsAreFinalFromTheirEnd(update: String) throws {
        let configuration = try Configuration(yaml: Self.yaml.replacing("UPDATE", with: update), source: "test")
        let alone = SoloCommunicator()
        let trainer = try Trainer.onRandomData(configuration, shards: 1, communicator: alone)
        for update in configuration.game.updates {
            let gradients = try GradientTimes(update, of: trainer, overlap: true, all: alone).gradients
            #expect(gradients.count == update.players.count)
            for gradient in gradients {
                #expect(gradient.ready.count == 2 && gradient.ready[1].start == 0 && gradient.ready[0].start > 0)
                #expect(gradient.ready[0].lead > gradient.ready[1].lead && gradient.ready[1].lead >= 0)
                #expect(gradient.lead(of: gradient.count) == gradient.ready[0].lead && gradient.lead(of: 0) >= 0)
            }
            if gradients.count == 2 { #expect(gradients[0].ready[1].lead > gradients[1].ready[0].lead) }
            let late = try GradientTimes(update, of: trainer, overlap: false, all: alone).gradients
            #expect(late.allSatisfy { $0.ready.allSatisfy { $0.lead == 0 } })
        }
    }

    @Test func messagesAreTimed() throws {
        for overlap in [true, false] {
            let links = try ThreadCommunicator.run(size: 3, ranksPerNode: 1, channelsAllowThreads: overlap) {
                let times = try MessageTimes($0)
                return (times.link, times.overlap)
            }
            for (link, overlaps) in links {
                #expect(link.latency > 0 && link.bytesPerSecond.isFinite && link.secondsOfMessage! >= 0)
                #expect(overlaps == overlap)
            }
        }
    }
}

@Suite struct SpreadTests {
    @Test func quartilesLieBetweenNeighbours() {
        let spread = Spread([4, 1, 3, 2])
        #expect(spread.median == 2.5 && spread.minimum == 1 && spread.quartiles == [1.75, 3.25])
        #expect(Spread([7]).quartiles == [7, 7])
    }
}
