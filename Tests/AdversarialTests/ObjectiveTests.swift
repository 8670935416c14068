import Foundation
import Kernels
import Testing
@testable import Adversarial

@Suite struct ObjectiveTests {
    static let logits: [Double] = [-1e4, -800, -50, -3, -0.5, -1e-8, 0, 1e-8, 0.5, 3, 29.9, 50, 800, 1e4]

    @Test(arguments: GeneratorLoss.allCases) func costsAndSlopesAreFiniteForAnyLogit(loss: GeneratorLoss) {
        for logit in Self.logits {
            #expect(loss.value(logit).isFinite)
            #expect(Float(loss.value(logit)).isFinite)
            #expect(loss.slope(logit).isFinite)
        }
    }

    @Test(arguments: GeneratorLoss.allCases) func slopeIsTheDerivative(loss: GeneratorLoss) {
        for logit in [-20.0, -3, -0.5, 0, 0.5, 3, 10, 35] {
            let h = 1e-6 * max(1, abs(logit))
            let numeric = (loss.value(logit + h) - loss.value(logit - h)) / (2 * h)
            #expect(abs(numeric - loss.slope(logit)) <= 1e-5 * max(1e-3, abs(loss.slope(logit))))
        }
    }

    @Test(arguments: [0.0, 0.1]) func discriminatorSlopesAreTheDerivatives(smoothing: Double) {
        let loss = DiscriminatorLoss(reduction: .sum, labelSmoothing: smoothing)
        for logit in [-20.0, -3, -0.5, 0, 0.5, 3, 20] {
            let h = 1e-6 * max(1, abs(logit))
            let real = (loss.valueOnReal(logit + h) - loss.valueOnReal(logit - h)) / (2 * h)
            let fake = (loss.valueOnFake(logit + h) - loss.valueOnFake(logit - h)) / (2 * h)
            #expect(abs(real - loss.slopeOnReal(logit)) < 1e-7)
            #expect(abs(fake - loss.slopeOnFake(logit)) < 1e-7)
        }
    }

    /// The formulas of Goodfellow et al. 2014, taken directly where they do not overflow.
    @Test func costsAreThoseOfThePaper() {
        for logit in [-5.0, -1, 0, 0.3, 4] {
            let d = 1 / (1 + exp(-logit))
            #expect(abs(GeneratorLoss.minimax.value(logit) - log(1 - d)) < 1e-12)
            #expect(abs(GeneratorLoss.nonSaturating.value(logit) + log(d)) < 1e-12)
            #expect(abs(GeneratorLoss.maximumLikelihood.value(logit) + d / (1 - d)) < 1e-9 * d / (1 - d))
            let loss = DiscriminatorLoss(reduction: .mean, labelSmoothing: 0.1)
            #expect(abs(loss.valueOnReal(logit) - (-0.9 * log(d) - 0.1 * log(1 - d))) < 1e-12)
            #expect(abs(loss.valueOnFake(logit) + log(1 - d)) < 1e-12)
        }
    }

    /// The tails, where 1 − σ(x) would be zero: σ(−40) is e⁻⁴⁰.
    @Test func tailsAreExact() {
        #expect(abs(sigmoid(-40) / exp(-40) - 1) < 1e-12)
        #expect(abs(softplus(-40) / exp(-40) - 1) < 1e-12)
        #expect(softplus(1e4) == 1e4)
        #expect(sigmoid(1e4) == 1)
        #expect(sigmoid(-1e4) == 0)
    }

    /// Sums over the rows of D and of the terms of V, which a D that tells apart raises.
    @Test func whatLogOddsSayIsSummedOverTheRows() {
        let logits = FloatBuffer([2, -1, 0.5]), d = [2, -1, 0.5].map { 1 / (1 + exp(-$0)) }
        let real = LogOddsFigures(logits.values, isReal: true), fake = LogOddsFigures(logits.values, isReal: false)
        #expect(abs(real.probability - d.reduce(0, +)) < 1e-12 && abs(fake.probability - d.reduce(0, +)) < 1e-12)
        #expect(abs(real.value - d.reduce(0) { $0 + log($1) }) < 1e-12)
        #expect(abs(fake.value - d.reduce(0) { $0 + log(1 - $1) }) < 1e-12)
    }

    /// One loop over rows: sums of the costs, and the derivatives of the mean over all rows of the minibatch, as
    /// formulas of D.
    @Test(arguments: GeneratorLoss.allCases) func costsOfAShardAreSumsAndSlopesOfTheMinibatchsMean(loss: GeneratorLoss)
    {
        let objective = StandardObjective(
            generator: loss, discriminator: DiscriminatorLoss(reduction: .mean, labelSmoothing: 0.1))
        let real = FloatBuffer([-2, 0.5, 3]), fake = FloatBuffer([1, -0.25, -4]), rows = 12
        let slopes = (real: FloatBuffer(count: 3), fake: FloatBuffer(count: 3))
        let costs = objective.discriminator(
            real: real.values, fake: fake.values, of: rows, into: (slopes.real.values, slopes.fake.values))
        let ofReal = real.array.map { 1 / (1 + exp(-Double($0))) },
            ofFake = fake.array.map { 1 / (1 + exp(-Double($0))) }
        #expect(abs(costs.real - ofReal.reduce(0) { $0 - 0.9 * log($1) - 0.1 * log(1 - $1) }) < 1e-12)
        #expect(abs(costs.fake - ofFake.reduce(0) { $0 - log(1 - $1) }) < 1e-12)
        expect(slopes.real, ofReal.map { ($0 - 0.9) / 24 })
        expect(slopes.fake, ofFake.map { $0 / 24 })
        let cost = objective.generator(real: nil, fake: fake.values, of: rows, into: slopes.fake.values)
        let (right, derivatives): ([Double], [Double]) =
            switch loss {
            case .minimax: (ofFake.map { log(1 - $0) }, ofFake.map { -$0 })
            case .nonSaturating: (ofFake.map { -log($0) }, ofFake.map { $0 - 1 })
            case .maximumLikelihood: (ofFake.map { -$0 / (1 - $0) }, ofFake.map { -$0 / (1 - $0) })
            case .reverseKL: (ofFake.map { log(1 - $0) - log($0) }, ofFake.map { _ in -1 })
            }
        #expect(abs(cost - right.reduce(0, +)) < 1e-12)
        expect(slopes.fake, derivatives.map { $0 / 12 })
    }

    private func expect(_ slopes: FloatBuffer, _ right: [Double]) {
        #expect(slopes.count == right.count)
        for (slope, right) in zip(slopes.array, right) { #expect(abs(Double(slope) - right) < 1e-6 * abs(right)) }
    }

    @Test func aStepIsAListOfUpdates() {
        #expect(
            Update.alternating(discriminatorSteps: 2) == [
                Update(players: [.discriminator], inner: 0), Update(players: [.discriminator], inner: 1),
                Update(players: [.generator]),
            ])
        #expect(Update.simultaneous() == [Update(players: [.discriminator, .generator])])
    }
}
