import Foundation
import Kernels
import Nets
import Testing
@testable import Evaluation

/// What the measures say of the dimension, the correlations and the sharpness of examples.
@Suite struct ShapeOfImagesTests {
    // MARK: - Intrinsic dimension

    @Test func theDimensionAgreesWithOthers() throws {
        let points = try Fixture.examples("intrinsic_dimension", "points", .vector(4))
        let found = try IntrinsicDimension.estimate(points, neighbours: 6, alone())
        #expect(abs(found.dimension - (try Fixture.number("intrinsic_dimension", "dimension"))) < 1e-5)
        #expect(abs(found.standardError - (try Fixture.number("intrinsic_dimension", "error"))) < 1e-5)
        // One point is there twice.
        #expect(found.used == points.count - 2)
        // What scikit-dimension 0.5 says of all but the copy: MLE(K=6).fit(points, n_neighbors=6, comb="mle").
        let single = try IntrinsicDimension.estimate(points.first(points.count - 1), neighbours: 6, alone())
        #expect(abs(single.dimension - 1.9385043052562783) < 1e-5 && single.used == points.count - 1)
    }

    /// `count` points of N(0, I) in `dimension` dimensions, put into 12 by a fixed map.
    private func plane(_ dimension: Int, count: Int, bent: Bool) -> Examples {
        let normal = FloatBuffer(count: count * dimension), map = FloatBuffer(count: dimension * 12)
        Draws(seed: 4, purpose: .synthetic, step: 1).fillNormal(normal.values, samples: count)
        Draws(seed: 4, purpose: .synthetic, step: 2).fillNormal(map.values, samples: dimension)
        let points = FloatBuffer(count: count * 12)
        Matrix.multiply(normal.values, by: map.values, into: points.values, rows: count, columns: 12, inner: dimension)
        if bent { for index in 0 ..< points.count { points.values[index] = sin(points.values[index] / 2) } }
        return Examples(points, shape: .vector(12))
    }

    /// Of flat and of bent sheets of known dimension: within a tenth, and below where the dimension is high.
    @Test(arguments: [(1, false), (2, false), (5, false), (2, true), (4, true)])
    func theDimensionOfASheetIsFound(dimension: Int, bent: Bool) throws {
        let found = try IntrinsicDimension.estimate(plane(dimension, count: 2000, bent: bent), alone())
        #expect(abs(found.dimension / Double(dimension) - 1) < 0.12)
        #expect(found.used == 2000 && found.standardError > 0 && found.standardError < 0.1 * found.dimension)
    }

    /// Copies have no distance to look at.
    @Test func oneAnswerHasNoDimension() throws {
        let copies = Examples(FloatBuffer([Float](repeating: 2, count: 90)), shape: .vector(3))
        let found = try IntrinsicDimension.estimate(copies, neighbours: 5, alone())
        #expect(found.used == 0 && found.dimension == 0)
    }

    // MARK: - Pixels

    private func images(_ name: String) throws -> Examples {
        try Fixture.examples("pixels", name, .image(height: 6, width: 5, channels: 2))
    }

    @Test func correlationsAgreeWithNumPy() throws {
        let found = try PixelCorrelation.measure(images("samples"), images("data"), alone())
        #expect(abs(found.value - (try Fixture.number("pixels", "difference"))) < 1e-5)
        for name in ["by_distance", "samples_by_distance", "data_by_distance"] {
            guard case .numbers(let values) = try #require(found.quantity(name)) else { continue }
            expectClose(values, try Fixture.numbers("pixels", name), 1e-5)
        }
        let same = try PixelCorrelation.measure(images("data"), images("data"), alone())
        #expect(same.value == 0)
    }

    @Test func sharpnessAgreesWithSciPy() throws {
        let samples = try images("samples"), data = try images("data")
        expectClose(Sharpness.variances(samples), try Fixture.numbers("pixels", "sharpness"), 1e-6)
        let found = Sharpness.measure(samples, data)
        let theirs = try Fixture.numbers("pixels", "data_sharpness")
        #expect(abs(found.value - (try Fixture.numbers("pixels", "sharpness")).mean) < 1e-6)
        #expect(abs(try number(found.quantity("data")) - theirs.mean) < 1e-6)
    }

    @Test func theFiguresDoNotDependOnTheRanks() throws {
        let run = { @Sendable (context: EvaluationContext) -> [Double] in
            let shape = Shape.image(height: 6, width: 5, channels: 2)
            let samples = try Fixture.examples("pixels", "samples", shape),
                data = try Fixture.examples("pixels", "data", shape),
                points = try Fixture.examples("intrinsic_dimension", "points", .vector(4))
            return [
                try PixelCorrelation.measure(samples, data, context).value,
                try IntrinsicDimension.estimate(points, neighbours: 6, context).dimension,
            ]
        }
        let one = try run(alone())
        for values in try ranks(3, run) { #expect(values == one) }
    }
}
