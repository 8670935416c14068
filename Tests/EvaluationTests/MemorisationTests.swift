import Kernels
import Nets
import Storage
import Support
import Testing
@testable import Evaluation

@Suite struct MemorisationTests {
    @Test func theRankSumTestAgreesWithSciPy() throws {
        let first = try Fixture.numbers("rank_sum", "first"), second = try Fixture.numbers("rank_sum", "second")
        let test = RankSumTest(first, second)
        #expect(abs(test.probability * 50 * 70 - (try Fixture.number("rank_sum", "statistic"))) < 1e-9)
        #expect(abs(test.pValueLess - (try Fixture.number("rank_sum", "p_value"))) < 1e-9)
        expectClose(
            Memorisation.quantiles.map(first.sorted().quantile), try Fixture.numbers("rank_sum", "quantiles"), 1e-12)
    }

    /// 300 examples are several blocks of the search.
    @Test func neighboursAgreeWithScikitLearn() throws {
        let data = SampleSource(vectors: try Fixture.numbers("nearest", "data").map(Float.init), dimension: 6)
        let found = try NearestExamples.find(
            Fixture.examples("nearest", "queries", .vector(6)), in: data, count: 5, block: 64, alone(), "")
        #expect(found.map { Double($0.index) } == (try Fixture.numbers("nearest", "indices")))
        expectClose(found.map(\.distance), try Fixture.numbers("nearest", "distances"), 1e-6)
    }

    private func points(_ count: Int, step: Int) -> Examples {
        let buffer = FloatBuffer(count: count * 4)
        Draws(seed: 11, purpose: .synthetic, step: step).fillNormal(buffer.values, samples: count)
        return Examples(buffer, shape: .vector(4))
    }

    private func measure(_ samples: Examples, _ training: Examples) throws -> MetricResult {
        try Memorisation.measure(
            samples: samples, heldOut: points(500, step: 2),
            training: SampleSource(vectors: training.buffer.array, dimension: 4), alone())
    }

    /// Real against real: fresh points are as far from the training data as held-out ones.
    @Test func freshRealDataAreNoCopies() throws {
        let result = try measure(points(500, step: 3), points(800, step: 1))
        #expect(abs(try number(result.quantity("z"))) < 3)
        #expect(abs(result.value - 0.5) < 3 * 0.0183)  // √((2 · 500 + 1) / (12 · 500²))
        #expect(try number(result.quantity("copies")) == 0)
    }

    @Test func copiesAreFound() throws {
        let training = points(800, step: 1)
        let copied = try measure(training.first(500), training)
        #expect(copied.value == 0)
        #expect(try number(copied.quantity("p_value")) < 1e-100)
        #expect(try number(copied.quantity("copies")) == 500)
    }

    @Test func theDistancesDoNotDependOnTheRanks() throws {
        let run = { @Sendable (context: EvaluationContext) -> [Double] in
            let data = SampleSource(vectors: try Fixture.numbers("nearest", "data").map(Float.init), dimension: 6)
            return try NearestExamples.find(
                Fixture.examples("nearest", "data", .vector(6)), in: data, count: 2, context, ""
            ).map(\.distance)
        }
        let one = try run(alone())
        #expect(stride(from: 0, to: one.count, by: 2).allSatisfy { one[$0] == 0 && one[$0 + 1] > 0 })
        for values in try ranks(2, run) { #expect(values == one) }
    }
}
