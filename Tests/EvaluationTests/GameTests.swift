import Adversarial
import Foundation
import Kernels
import Nets
import Runs
import Storage
import Testing
@testable import Evaluation

@Suite struct GameTests {
    /// Linear players of one-dimensional data: x = ½ z + `centre`, logit = `slope` x + `offset`.
    private func checkpoint(centre: Float, slope: Float, offset: Float) -> Checkpoint {
        let yaml = """
            name: line
            data: {synthetic: gaussian1d}
            latent: {size: 1, distribution: normal}
            generator: [{dense: {units: 1}}]
            discriminator: [{dense: {units: 1}}]
            """
        let arrays = [
            ("generator/0.dense/weight", [1, 1], Float(0.5)), ("generator/0.dense/bias", [1], centre),
            ("discriminator/0.dense/weight", [1, 1], slope), ("discriminator/0.dense/bias", [1], offset),
        ]
        return Checkpoint(
            path: "line",
            contents: CheckpointContents(
                attributes: [("step", .integer(7)), ("config", .string(yaml))],
                arrays: arrays.map { CheckpointArray(path: $0.0, dimensions: $0.1, layout: "", values: [$0.2]) }))
    }

    private func result(_ checkpoint: Checkpoint) throws -> MetricResult {
        let model = try GeneratorModel(checkpoint)
        let real = Examples(
            FloatBuffer(SyntheticKind.gaussian1d.points(count: 5000, seed: 2).samples), shape: .vector(1))
        let generated = Examples(
            try model.sampler.samples(count: 5000, Draws(seed: 1, purpose: .sample, step: 0)), shape: .vector(1))
        return try Game.measure(
            DiscriminatorModel(checkpoint), real: real, heldOut: real.first(1000), generated: generated, alone())
    }

    /// At the equilibrium V = −log 4 exactly, whatever the samples are, since D is ½.
    @Test func equilibrium() throws {
        let result = try result(checkpoint(centre: 4, slope: 0, offset: 0))
        #expect(abs(result.value + log(4)) < 1e-12)
        #expect(abs(try number(result.quantity("jsd_bound"))) < 1e-12)
        for name in ["d_real", "d_generated", "d_held_out"] { #expect(try number(result.quantity(name)) == 0.5) }
    }

    /// For N(4, ½²) and N(5, ½²) the optimal logit is 18 − 4x, and V = −log 4 + 2 JSD, which SciPy has integrated.
    @Test func theOptimalDiscriminatorReachesTheDivergence() throws {
        let checkpoint = checkpoint(centre: 5, slope: -4, offset: 18)
        let result = try result(checkpoint), jsd = try Fixture.number("divergence_of_two_normals", "jsd")
        let error = try #require(result.standardError)
        #expect(error > 0 && error < 0.02)
        #expect(abs(result.value - (2 * jsd - log(4))) < 4 * error)
        #expect(abs(try number(result.quantity("jsd_bound")) - jsd) < 2 * error)
    }

    @Test func theExactOptimumIsDrawnAgainstD() throws {
        let draw = { (checkpoint: Checkpoint) in
            try OptimalDiscriminator(
                #require(SyntheticKind.gaussian1d.mixture), GeneratorModel(checkpoint), DiscriminatorModel(checkpoint),
                samples: 20_000, seed: 1, alone())
        }
        let optimal = try draw(checkpoint(centre: 5, slope: -4, offset: 18))
        #expect(optimal.distance < 0.02)
        #expect(abs(optimal.dataDensity.reduce(0, +) * (optimal.x[1] - optimal.x[0]) - 1) < 1e-3)
        #expect(optimal.arrows.count == 21 && optimal.arrows.allSatisfy { abs($0.x - (0.5 * $0.z + 5)) < 1e-5 })
        #expect(optimal.svg.hasPrefix("<svg") && optimal.svg.contains("polyline"))
        // D = ½ where the optimum is σ(18 − 4x): E |½ − σ(18 − 4x)| over half data, half generated, is the JSD's
        // cousin, the total variation over 2.
        let half = try draw(checkpoint(centre: 5, slope: 0, offset: 0))
        #expect(abs(half.distance - 0.5 * erf(1 / 2.0.squareRoot())) < 0.015)
    }
}
