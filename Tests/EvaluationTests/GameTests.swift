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
            let discriminator = try DiscriminatorModel(checkpoint)
            return try OptimalDiscriminator(
                #require(SyntheticKind.gaussian1d.mixture), GeneratorModel(checkpoint).sampler, seed: 1, alone()
            ) { try discriminator.logits(FloatBuffer($0)) }
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

    // MARK: - The theory on a line

    /// q = N(5, ½²) exactly, D the logistic line: what SciPy has integrated. The bins leave 1e-3 of what they divide.
    @Test(arguments: [("gaussian1d", SyntheticKind.gaussian1d), ("mixture1d", .mixture1d)])
    func theoryIsThatOfTheIntegrals(name: String, kind: SyntheticKind) throws {
        let expected = "line_" + name
        let checkpoint = checkpoint(centre: 5, slope: -1, offset: 4.5), model = try GeneratorModel(checkpoint)
        let discriminator = try DiscriminatorModel(checkpoint)
        let curves = try OptimalDiscriminator(#require(kind.mixture), model.sampler, seed: 1, alone()) {
            try discriminator.logits(FloatBuffer($0))
        }
        #expect(abs(curves.divergence - (try Fixture.number(expected, "jsd"))) < 2e-4)
        #expect(abs(curves.value - (try Fixture.number(expected, "value"))) < 2e-3)
        #expect(abs(curves.bestValue - (try Fixture.number(expected, "best_value"))) < 4e-4)
        #expect(abs(curves.distance - (try Fixture.number(expected, "distance"))) < 2e-3)
        #expect(curves.bestValue >= curves.value)
    }

    private func gradient(_ checkpoint: Checkpoint) throws -> LogitGradient {
        try LogitGradient(
            GeneratorModel(checkpoint, backward: true).sampler,
            #require(DiscriminatorModel(checkpoint, backward: true).trained))
    }

    /// Of x = ½ z + 5 and s = −x + 4.5 the gradient of an example is −c′(s) · (z, 1): by its definition in a loop,
    /// and as SciPy has integrated it over z.
    @Test func varianceIsThatOfTheDefinition() throws {
        let checkpoint = checkpoint(centre: 5, slope: -1, offset: 4.5), count = 4000
        let found = try GradientVariance.measure(gradient(checkpoint), count: count, seed: 3, alone())
        let latents = try GeneratorModel(checkpoint).sampler.latents(
            count: count, Draws(seed: 3, purpose: .sample, step: 0))
        for (result, cost) in zip(found, GradientVariance.costs) {
            let gradients = latents.map { latent in
                let z = Double(latent[0]), slope = -cost.loss.slope(4.5 - (0.5 * z + 5))
                return [slope * z, slope]
            }
            let means = (0 ..< 2).map { value in gradients.map { $0[value] }.mean }
            let variance =
                gradients.reduce(0) { sum, gradient in
                    sum + zip(gradient, means).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
                } / Double(count - 1)
            #expect(abs(result.value / variance - 1) < 1e-4, "\(cost.name)")
            let norm = try number(result.quantity("norm"))
            #expect(abs(norm / (means[0] * means[0] + means[1] * means[1]).squareRoot() - 1) < 1e-4, "\(cost.name)")
            let squares = gradients.map { $0[0] * $0[0] + $0[1] * $0[1] }
            let exact = try Fixture.number("gradient_variance", cost.name)
            #expect(abs(result.value - exact) < 4 * squares.standardError + 1e-9, "\(cost.name)")
            #expect(
                abs(try number(result.quantity("noise_scale")) - result.value / (norm * norm)) < 1e-6 * result.value
                    / (norm * norm))
        }
    }

    @Test func varianceIsTheSameOnAnyRanks() throws {
        let alone = try GradientVariance.measure(
            gradient(checkpoint(centre: 5, slope: -1, offset: 4.5)), count: 1000, seed: 3, alone()
        ).map(\.value)
        for size in [2, 3, 5] {
            let found = try ranks(size) { context in
                try GradientVariance.measure(
                    gradient(checkpoint(centre: 5, slope: -1, offset: 4.5)), count: 1000, seed: 3, context
                ).map(\.value)
            }
            for values in found { #expect(values == alone) }
        }
    }
}
