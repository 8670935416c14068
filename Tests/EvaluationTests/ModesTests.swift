import Kernels
import Nets
import Storage
import Testing
@testable import Evaluation

@Suite struct ModesTests {
    @Test func agreesWithSciPy() throws {
        let means = try Fixture.numbers("modes", "means")
        let mixture = Mixture(
            modes: stride(from: 0, to: means.count, by: 2).map { [means[$0], means[$0 + 1]] },
            deviation: try Fixture.number("modes", "deviation"))
        let points = try Fixture.examples("modes", "points", .vector(2))
        #expect(Modes.counts(points, mixture).map(Double.init) == (try Fixture.numbers("modes", "counts")))
        let result = Modes.measure(points, mixture)
        #expect(result.value == 3)
        #expect(abs(try number(result.quantity("reverse_kl")) - (try Fixture.number("modes", "reverse_kl"))) < 1e-12)
    }

    /// Real against real, the constants of a perfect sampler: 1 − e^(−4.5) of high quality (one dimension:
    /// erf(3/√2)), all modes, and a divergence of (K − 1) / 2n from counting n points. The mean of 20 draws of 2,500
    /// points stays within 4 errors.
    @Test(arguments: [(SyntheticKind.ring, 0.98889, 0.0014), (.grid, 0.98889, 0.0048), (.gaussian1d, 0.99730, 0)])
    func realPointsHaveTheirKnownValues(kind: SyntheticKind, quality: Double, divergence: Double) throws {
        let draws = 20, count = Modes.points, dimension = kind.dimension, mixture = try #require(kind.mixture)
        // All points together have equally many of each mode; a draw of one in twenty varies nearly as independent
        // points do.
        let pool = shuffled(kind, count: draws * count, seed: 3)
        var qualities: [Double] = [], divergences: [Double] = []
        for draw in 0 ..< draws {
            let points = Array(pool[draw * count * dimension ..< (draw + 1) * count * dimension])
            let result = Modes.measure(Examples(FloatBuffer(points), shape: .vector(dimension)), mixture)
            #expect(result.value == Double(kind.modes.count))
            qualities.append(try number(result.quantity("high_quality")))
            divergences.append(try number(result.quantity("reverse_kl")))
        }
        #expect(abs(qualities.mean - quality) < 4 * qualities.standardError)
        #expect(abs(divergences.mean - divergence) <= 4 * divergences.standardError + 0.06 * divergence)
    }

    @Test func aCollapsedGeneratorIsSeen() throws {
        let ring = try #require(SyntheticKind.ring.mixture), points = FloatBuffer([Float](repeating: 0, count: 200))
        for row in 0 ..< 100 { points.values[2 * row] = 1 }
        let result = Modes.measure(Examples(points, shape: .vector(2)), ring)
        #expect(result.value == 1)
        #expect(abs(try number(result.quantity("reverse_kl")) - 2.0794415) < 1e-6)  // log 8
        let nowhere = Modes.measure(Examples(FloatBuffer([3, 3]), shape: .vector(2)), ring)
        #expect(nowhere.value == 0)
        #expect(try number(nowhere.quantity("reverse_kl")) == .infinity)
    }
}
