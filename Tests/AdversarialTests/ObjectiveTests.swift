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

    /// At D = ½ everywhere V is −log 4 and the bound of the divergence 0 (theorem 1); a D that tells apart has more
    /// of both.
    @Test func equilibriumHasItsValues() {
        func odds(_ real: [Float], _ fake: [Float]) -> StepReport.LogOdds {
            let (real, fake) = (FloatBuffer(real), FloatBuffer(fake)), count = Double(real.count)
            let ofReal = LogOddsFigures(real.values, isReal: true), ofFake = LogOddsFigures(fake.values, isReal: false)
            return .init(
                dReal: ofReal.probability / count, dFake: ofFake.probability / count,
                value: (ofReal.value + ofFake.value) / count)
        }
        let equal = odds([0, 0, 0], [0, 0, 0])
        #expect(equal.dReal == 0.5 && equal.dFake == 0.5)
        #expect(abs(equal.value + log(4)) < 1e-15 && abs(equal.jsdBound) < 1e-15)
        let apart = odds([2, 2, 2], [-1, -1, -1])
        #expect(
            abs(apart.value - (log(1 / (1 + exp(-2.0))) + log(1 - 1 / (1 + exp(1.0))))) < 1e-12 && apart.jsdBound > 0.2)
    }

    /// One loop over rows: sums of the costs, and the derivatives of the mean over all rows of the minibatch.
    @Test(arguments: GeneratorLoss.allCases) func costsOfAShardAreSumsAndSlopesOfTheMinibatchsMean(loss: GeneratorLoss)
    {
        let half = DiscriminatorLoss(reduction: .mean, labelSmoothing: 0.1)
        let objective = StandardObjective(generator: loss, discriminator: half)
        let real = FloatBuffer([-2, 0.5, 3]), fake = FloatBuffer([1, -0.25, -4]), rows = 12
        let slopes = (real: FloatBuffer(count: 3), fake: FloatBuffer(count: 3))
        let costs = objective.discriminator(
            real: real.values, fake: fake.values, of: rows, into: (slopes.real.values, slopes.fake.values))
        #expect(abs(costs.real - real.values.array.reduce(0) { $0 + half.valueOnReal(Double($1)) }) < 1e-12)
        #expect(abs(costs.fake - fake.values.array.reduce(0) { $0 + half.valueOnFake(Double($1)) }) < 1e-12)
        for row in 0 ..< 3 {
            #expect(abs(Double(slopes.real.values[row]) - 0.5 / 12 * half.slopeOnReal(Double(real.values[row]))) < 1e-8)
            #expect(abs(Double(slopes.fake.values[row]) - 0.5 / 12 * half.slopeOnFake(Double(fake.values[row]))) < 1e-8)
        }
        let cost = objective.generator(fake: fake.values, of: rows, into: slopes.fake.values)
        #expect(abs(cost - fake.values.array.reduce(0) { $0 + loss.value(Double($1)) }) < 1e-12)
        for row in 0 ..< 3 {
            let expected = loss.slope(Double(fake.values[row])) / 12
            #expect(abs(Double(slopes.fake.values[row]) - expected) < 1e-6 * max(1, abs(expected)))
        }
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
