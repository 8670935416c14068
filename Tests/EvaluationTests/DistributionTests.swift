import Foundation
import Kernels
import Nets
import Testing
@testable import Evaluation

/// The measures that compare two sets of vectors.
@Suite struct DistributionTests {
    /// Normal vectors; equal arguments give equal ones.
    private func normal(_ count: Int, _ length: Int, step: Int, deviation: Float = 1) -> Examples {
        let buffer = FloatBuffer(count: count * length)
        Draws(seed: 21, purpose: .synthetic, step: step).fillNormal(buffer.values, samples: count, deviation: deviation)
        return Examples(buffer, shape: .vector(length))
    }

    private func moved(_ examples: Examples, by shift: [Float]) -> Examples {
        let values = examples.buffer.array
        return Examples(FloatBuffer(values.indices.map { values[$0] + shift[$0 % shift.count] }), shape: examples.shape)
    }

    // MARK: - Fréchet distance

    @Test func theFrechetDistanceAgreesWithSciPy() throws {
        let first = FrechetDistance.Moments(try Fixture.examples("frechet", "first", .vector(5)))
        let second = FrechetDistance.Moments(try Fixture.examples("frechet", "second", .vector(5)))
        expectClose(first.covariance, try Fixture.numbers("frechet", "covariance"), 1e-12)
        #expect(abs(FrechetDistance.squared(first, second) - (try Fixture.number("frechet", "distance"))) < 1e-8)
    }

    /// Real against real is 0, and small for other draws; between N(0, I) and N(μ, σ²I) of D dimensions it is |μ|² +
    /// D(σ − 1)².
    @Test func theFrechetDistanceHasItsKnownValues() {
        let real = FrechetDistance.Moments(normal(4000, 8, step: 1))
        #expect(abs(FrechetDistance.squared(real, real)) < 1e-9)
        let again = FrechetDistance.squared(real, FrechetDistance.Moments(normal(4000, 8, step: 2)))
        #expect(again >= 0 && again < 0.03)
        let other = FrechetDistance.Moments(
            moved(normal(4000, 8, step: 3, deviation: 2), by: [1, 0, 0, 0, 0, 0, 0, -1]))
        #expect(abs(FrechetDistance.squared(real, other) - 10) < 0.6)
    }

    /// Fewer samples than dimensions: the covariance has no full rank, and the result still is a number.
    @Test func theFrechetDistanceOfFewSamplesIsFinite() {
        let few = FrechetDistance.Moments(normal(5, 20, step: 4))
        #expect(abs(FrechetDistance.squared(few, few)) < 1e-4)
        #expect(FrechetDistance.squared(few, FrechetDistance.Moments(normal(6, 20, step: 5))) > 0)
    }

    // MARK: - Kernel discrepancy

    @Test func discrepanciesAgreeWithScikitLearn() throws {
        let first = try Fixture.examples("discrepancy", "first", .vector(4)),
            second = try Fixture.examples("discrepancy", "second", .vector(4))
        let deviation = KernelDiscrepancy.medianDistance(second)
        #expect(abs(deviation - (try Fixture.number("discrepancy", "deviation"))) < 1e-5)
        let gaussian = try KernelDiscrepancy.estimates(first, second, .gaussian(deviation: deviation), alone(), "")
        expectClose(gaussian, try Fixture.numbers("discrepancy", "gaussian"), 1e-5)
        expectClose(
            try KernelDiscrepancy.estimates(first, second, .cubic, alone(), ""),
            try Fixture.numbers("discrepancy", "cubic"), 1e-4)
    }

    /// Unbiased: 0 within its error for equal distributions; for others not.
    @Test func realAgainstRealHasNoDiscrepancy() throws {
        let first = normal(1200, 3, step: 6), second = normal(1200, 3, step: 7)
        for kernel in [KernelDiscrepancy.Kernel.gaussian(deviation: 2), .cubic] {
            let same = try KernelDiscrepancy.estimates(first, second, kernel, block: 100, alone(), "")
            #expect(abs(same.mean) < 4 * same.standardError)
            let other = try KernelDiscrepancy.estimates(
                moved(first, by: [0.5, 0, 0]), second, kernel, block: 100, alone(), "")
            #expect(other.mean > 4 * other.standardError)
        }
    }

    // MARK: - Precision, recall, density, coverage

    @Test func manifoldsAgreeWithScikitLearn() throws {
        let real = try Fixture.examples("manifolds", "real", .vector(3)),
            samples = try Fixture.examples("manifolds", "samples", .vector(3))
        let results =
            try Manifolds.precisionAndRecall(samples, real, [], alone())
            + Manifolds.densityAndCoverage(samples, real, [], alone())
        #expect(results.map(\.name) == ["precision", "recall", "density", "coverage"])
        for result in results {
            #expect(abs(result.value - (try Fixture.number("manifolds", result.name))) < 1e-9, "\(result.name)")
        }
    }

    /// Real against real: a density of 1 on average, a coverage of 1 − Π (m − i)/(2m − i) over i = 1 … k, near 1 −
    /// 2⁻ᵏ (Naeem et al. 2020, §3.3), and nearly all within the balls of the other set.
    @Test func realAgainstRealIsDenseAndCovered() throws {
        let first = normal(700, 4, step: 8), second = normal(700, 4, step: 9)
        let density = try Manifolds.densityAndCoverage(first, second, [], alone())
        #expect(abs(density[0].value - 1) < 0.1)
        #expect(abs(density[1].value - 0.969) < 0.02)
        let precision = try Manifolds.precisionAndRecall(first, second, [], alone())
        #expect(precision.allSatisfy { $0.value > 0.8 })
        #expect(abs(precision[0].value - precision[1].value) < 0.03)
    }

    @Test func manifoldsDoNotDependOnTheRanks() throws {
        let run = { @Sendable (context: EvaluationContext) -> [Double] in
            let real = try Fixture.examples("manifolds", "real", .vector(3)),
                samples = try Fixture.examples("manifolds", "samples", .vector(3))
            return try
                (Manifolds.densityAndCoverage(samples, real, [], context) + [
                    KernelDiscrepancy.measure(samples, real, context)
                ]).map(\.value)
        }
        let one = try run(alone())
        for values in try ranks(3, run) { #expect(values == one) }
    }

    // MARK: - Sliced Wasserstein distance

    @Test func slicedDistancesAgreeWithSciPy() throws {
        let first = try Fixture.examples("sliced", "first", .vector(5)),
            second = try Fixture.examples("sliced", "second", .vector(5))
        let directions = FloatBuffer(try Fixture.numbers("sliced", "directions").map(Float.init))
        let vectors = try SlicedWasserstein.distance(
            SlicedWasserstein.descriptors(of: first), SlicedWasserstein.descriptors(of: second),
            directions: directions.values, alone(), "")
        #expect(abs(vectors - (try Fixture.number("sliced", "distance"))) < 1e-6)

        let shape = Shape.image(height: 9, width: 8, channels: 2),
            corners = try Fixture.numbers("sliced", "corners").map { Int($0) }
        let patches = try ["images", "other_images"].map {
            SlicedWasserstein.descriptors(of: try Fixture.examples("sliced", $0, shape), corners: corners)
        }
        let along = FloatBuffer(try Fixture.numbers("sliced", "patch_directions").map(Float.init))
        let distance = try SlicedWasserstein.distance(patches[0], patches[1], directions: along.values, alone(), "")
        #expect(abs(distance - (try Fixture.number("sliced", "patch_distance"))) < 1e-5)
    }

    @Test func thePyramidAgreesWithSciPy() throws {
        let shape = Shape.image(height: 28, width: 28, channels: 2)
        let levels = LaplacianPyramid.levels(try Fixture.examples("pyramid", "images", shape))
        #expect(levels.map(\.shape) == [shape, .image(height: 14, width: 14, channels: 2)])
        expectClose(levels[0].buffer.array.map(Double.init), try Fixture.numbers("pyramid", "detail"), 1e-6)
        expectClose(levels[1].buffer.array.map(Double.init), try Fixture.numbers("pyramid", "half"), 1e-6)
    }

    /// A set moved by δ is |δ·u| away along u, and the mean of that over all directions of the plane is 2|δ|/π; a set
    /// is 0 from itself, and real data from other real data of the order of 1/√n.
    @Test func slicedDistancesHaveTheirKnownValues() throws {
        let real = normal(1000, 2, step: 10)
        func measure(_ samples: Examples) throws -> Double {
            try SlicedWasserstein.measure(samples, real, directions: 100, seed: 1, alone()).value
        }
        #expect(try measure(real) == 0)
        #expect(abs(try measure(moved(real, by: [3, 4])) - 2 * 5 / Double.pi) < 0.5)
        #expect(try measure(normal(1000, 2, step: 11)) < 0.1)
    }

    @Test func imagesAreComparedLevelByLevel() throws {
        let shape = Shape.image(height: 28, width: 28, channels: 1)
        let images = { (step: Int) in Examples(self.normal(12, 784, step: step).buffer, shape: shape) }
        func measure(_ first: Examples, _ second: Examples) throws -> MetricResult {
            try SlicedWasserstein.measure(first, second, directions: 20, patches: 20, seed: 1, alone())
        }
        let same = try measure(images(12), images(12))
        #expect(same.value == 0 && same.quantity("levels") == .numbers([28, 14]))
        // Stripes differ from noise in every level, though their mean and deviation are the same.
        let stripes = images(13)
        for index in 0 ..< stripes.values.count {
            stripes.values[index] = stripes.values[index / 784 * 784 + index % 28]
        }
        #expect(try measure(stripes, images(14)).value > 1.5 * measure(images(13), images(14)).value)
    }
}
