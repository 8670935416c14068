import Foundation
import Kernels
import Nets
import Support
import Testing
@testable import Adversarial

/// Sampling with a discriminator, where the answer is known: G(z) = z, s(x) = a·x, so that e^s times the density of
/// N(0, I) is that of N(a, I).
@Suite struct SamplingTests {
    private static let draws = Draws(seed: 6, purpose: .sample, step: 0)

    /// A map x → W x + b of `size` values, then the layers `more`.
    private func network(_ weight: [Float], _ size: Int, _ more: [any Layer] = []) throws -> Network {
        let network = try Network(
            [Dense(units: weight.count / size)] + more, input: .vector(size), capacity: 64, name: "n")
        let values = network.store.values.values, start = network.store.entries[0].range.lowerBound
        values.fill(0)
        for (index, value) in weight.enumerated() { values[start + index] = value }
        return network
    }

    private func identity(
        _ distribution: Latent.Distribution = .normal, _ more: [any Layer] = [], truncation: Float? = nil
    ) throws -> Sampler {
        Sampler(
            try network([1, 0, 0, 1], 2, more), Latent(size: 2, distribution: distribution), truncation: truncation)
    }

    private func linear(_ a: [Float]) throws -> TrainedDiscriminator { TrainedDiscriminator(try network(a, 2)) }

    /// Mean and variance of value `place` of pairs.
    private func moments(_ values: FloatBuffer, _ place: Int) -> (mean: Double, variance: Double) {
        let part = stride(from: place, to: values.count, by: 2).map { Double(values.values[$0]) }
        let mean = part.reduce(0, +) / Double(part.count)
        return (mean, part.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(part.count))
    }

    @Test func langevinReachesTheReweighedDensity() throws {
        let chain = LangevinSampler(try identity(), try linear([1.5, -0.5]), steps: 150, stepSize: 0.1)
        let made = try chain.samples(count: 3000, Self.draws, conditions: nil)
        for (place, mean) in [(0, 1.5), (1, -0.5)] {
            let found = moments(made, place)
            #expect(abs(found.mean - mean) < 0.07)
            // A step of ε widens N(a, I) to a variance of 1 / (1 − ε/4).
            #expect(abs(found.variance - 1 / (1 - 0.025)) < 0.08)
        }
    }

    /// Uniform latents stay uniform where D has no opinion, truncated ones within their bound.
    @Test func chainsAreReflectedAtTheBoundsOfLatents() throws {
        let uniform = LangevinSampler(try identity(.uniform), try linear([0, 0]), steps: 40, stepSize: 0.3)
        let made = try uniform.samples(count: 2000, Self.draws, conditions: nil)
        let bound = Float(3).squareRoot()
        #expect(made.array.allSatisfy { abs($0) <= bound })
        let found = moments(made, 0)
        #expect(abs(found.mean) < 0.08 && abs(found.variance - 1) < 0.08)
        // Pulled to one end, they lie as e^(2z) does there: mean √3 − ½ but for what is cut off.
        let pulled = LangevinSampler(try identity(.uniform), try linear([2, 0]), steps: 300, stepSize: 0.02)
        let ends = try pulled.samples(count: 1000, Self.draws, conditions: nil)
        #expect(ends.array.allSatisfy { abs($0) <= bound })
        #expect(abs(moments(ends, 0).mean - (3.0.squareRoot() - 0.5)) < 0.1)

        let cut = LangevinSampler(try identity(truncation: 0.5), try linear([9, 0]), steps: 50, stepSize: 0.02)
        #expect(try cut.samples(count: 100, Self.draws, conditions: nil).array.allSatisfy { abs($0) <= 0.5 })
    }

    @Test(arguments: [-11.25, -3.5, -1.9, 0.3, 1, 1.5, 2.6, 7.7, 100.1]) func reflectionGoesBackAndForth(z: Double) {
        var place = z
        while abs(place) > 1.25 { place = (place > 0 ? 2.5 : -2.5) - place }
        #expect(abs(Double(LangevinSampler.reflected(Float(z), at: 1.25)) - place) < 1e-4)
    }

    /// With γ = 0 it is the ratio of densities to its greatest value: Azadi et al. 2018, eq. 7.
    @Test func theRuleIsThePapers() {
        let exact = AcceptanceRule(greatestLogit: 2, gamma: 0)
        for logit in [-3, 0, 1.2, 1.9] { #expect(abs(exact.probability(logit) - exp(logit - 2)) < 1e-5) }
        #expect(exact.probability(2) > 0.999 && exact.probability(5) == exact.probability(2))
        // What is at the percentile is accepted by half.
        let logits = (0 ... 100).map { Float($0) / 50 }
        let rule = AcceptanceRule(burnIn: logits, percentile: 80)
        #expect(rule.greatestLogit == 2 && abs(rule.probability(1.6) - 0.5) < 1e-6)
        #expect(rule.probability(1.7) > 0.5 && rule.probability(0.5) < 0.5 && rule.gamma > exact.gamma)
    }

    @Test func rejectionReachesTheReweighedDensity() throws {
        let sampler = try identity(), discriminator = try linear([0.8, 0])
        // Of all candidates one in 100,000 has a greater logit.
        let made = try RejectionSampler(sampler, discriminator, AcceptanceRule(greatestLogit: 3.2, gamma: 0))
            .samples(count: 1500, Self.draws, conditions: nil)
        let found = moments(made, 0), other = moments(made, 1)
        #expect(abs(found.mean - 0.8) < 0.08 && abs(found.variance - 1) < 0.12)
        #expect(abs(other.mean) < 0.08 && abs(other.variance - 1) < 0.12)
    }

    /// Where nothing is ever accepted there is an end, in words.
    @Test func rejectionThatAcceptsNothingEnds() throws {
        let sampler = RejectionSampler(
            try identity(), try linear([0.1, 0]), AcceptanceRule(greatestLogit: 4000, gamma: 0))
        let failure = #expect(throws: Failure.self) { try sampler.samples(count: 1, Self.draws, conditions: nil) }
        #expect(failure?.remedy.contains("--percentile") == true)
    }

    @Test func ascentGoesTheWayOfTheGradient() throws {
        let sampler = try identity(), still = try linear([0, 0]), discriminator = try linear([2, -1])
        func made(_ discriminator: TrainedDiscriminator, _ sampler: Sampler) throws -> [Float] {
            try DiscriminatorAscent(sampler, discriminator, steps: 10, stepSize: 0.5, deviation: 3)
                .samples(count: 200, Self.draws, conditions: nil).array
        }
        let noise = try made(still, sampler), moved = try made(discriminator, sampler)
        let deviation = (noise.reduce(0) { $0 + $1 * $1 } / Float(noise.count)).squareRoot()
        #expect(abs(deviation - 3) < 0.3)
        for index in noise.indices {
            #expect(abs(moved[index] - noise[index] - (index % 2 == 0 ? 10 : -5)) < 1e-4)
        }
        // Within the range of G's output, and from noise that fills it.
        let bounded = try identity(.normal, [Tanh()])
        let start = try made(still, bounded)
        #expect(start.allSatisfy { abs($0) <= 1 } && start.contains { $0 > 0.9 } && start.contains { $0 < -0.9 })
        #expect(try made(discriminator, bounded) == start.indices.map { $0 % 2 == 0 ? 1 : -1 })
    }

    /// An example does not depend on how many are made with it in a whole batch of the network.
    @Test func examplesAreKeyedByTheirNumber() throws {
        let sampler = try identity(), discriminator = try linear([0.5, 0.5])
        let makers: [any ExampleMaker] = [
            DiscriminatorAscent(sampler, discriminator, steps: 3, stepSize: 0.1, deviation: 1),
            LangevinSampler(sampler, discriminator, steps: 3, stepSize: 0.1),
            RejectionSampler(sampler, discriminator, AcceptanceRule(greatestLogit: 2, gamma: 0)),
        ]
        for maker in makers {
            let all = try maker.samples(count: 150, Self.draws, conditions: nil).array
            let rest = try maker.samples(count: 22, Self.draws.from(128), conditions: nil).array
            #expect(Array(all[256...]) == rest)
            #expect(Set(all).count > 250)
        }
    }
}
