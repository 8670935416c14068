@testable import Runs
import Adversarial
import Foundation
import Kernels
import Storage
import Support
import Testing

@Suite struct InterpolationTests {
    @Test(arguments: Interpolation.Path.allCases) func beginsAndEndsAtTheLatents(path: Interpolation.Path) {
        for angle in [0, 0.3, 1.5, 3.0, Double.pi] {
            let (start, end) = (path.shares(0, angle: angle), path.shares(1, angle: angle))
            #expect(abs(start.0 - 1) < 1e-12 && abs(start.1) < 1e-12)
            #expect(abs(end.0) < 1e-12 && abs(end.1 - 1) < 1e-12)
        }
    }

    /// Points of the circle through two unit vectors, the angle between them divided evenly.
    @Test func sphericalWalksKeepTheDistanceFromTheOrigin() {
        let angle = 1.2
        for t in stride(from: 0.0, through: 1, by: 0.125) {
            let (a, b) = Interpolation.Path.spherical.shares(t, angle: angle)
            let (x, y) = (a + b * cos(angle), b * sin(angle))
            #expect(abs(x * x + y * y - 1) < 1e-12)
            #expect(abs(atan2(y, x) - t * angle) < 1e-12)
        }
        let (a, b) = Interpolation.Path.linear.shares(0.25, angle: angle)
        #expect(a == 0.75 && b == 0.25)
    }

    /// Uniform latents lie within ±√3: the walk goes from one end to the other, and no other value moves.
    @Test func aWalkAlongADimensionMovesOneValue() throws {
        let yaml = """
            name: line
            data: {synthetic: gaussian1d}
            latent: {size: 3, distribution: uniform}
            generator: [{dense: {units: 1}}]
            discriminator: [{dense: {units: 1}}]
            """
        let arrays = [("weight", [3, 1], [Float](repeating: 1, count: 3)), ("bias", [1], [0])]
        let checkpoint = Checkpoint(
            path: "line",
            contents: CheckpointContents(
                attributes: [("step", .integer(7)), ("config", .string(yaml))],
                arrays: arrays.map {
                    CheckpointArray(path: "generator/0.dense/\($0.0)", dimensions: $0.1, layout: "", values: $0.2)
                }))
        let model = try GeneratorModel(checkpoint)
        let points = Interpolation(rows: 2, columns: 5, seed: 1, dimension: 1).latents(model).array
        let bases = model.sampler.latents(count: 2, Draws(seed: 1, purpose: .sample, step: 0))
        for point in 0 ..< 10 {
            let bound = Float(3).squareRoot(), value = bound * (Float(point % 5) / 2 - 1)
            #expect(Array(points[3 * point ..< 3 * point + 3]) == [bases[point / 5][0], value, bases[point / 5][2]])
        }
        let path = try GeneratorModel(checkpoint)
        #expect(throws: Failure.self) {
            try Interpolation(rows: 1, columns: 2, seed: 1, dimension: 3).picture(path)
        }
    }
}
