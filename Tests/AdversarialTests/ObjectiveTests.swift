import Foundation
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

    @Test func equilibriumHasItsValues() {
        var report = StepReport()
        report.value = -softplus(0) - softplus(0)
        #expect(abs(report.value + log(4)) < 1e-15)
        #expect(abs(report.jsdBound) < 1e-15)
    }
}
