import Foundation
import Kernels
import Nets
import Testing
@testable import Evaluation

@Suite struct ParzenTests {
    /// scikit-learn's KernelDensity is the same estimator.
    @Test func agreesWithScikitLearn() throws {
        let centres = try Fixture.examples("parzen", "centres", .vector(12)),
            examples = try Fixture.examples("parzen", "examples", .vector(12))
        expectClose(Parzen.deviations, try Fixture.numbers("parzen", "deviations"), 1e-12)
        let values = try Parzen.logLikelihoods(examples, centres: centres, deviations: Parzen.deviations, alone(), "")
        expectClose(values, try Fixture.numbers("parzen", "log_likelihoods"), 2e-3)
    }

    @Test func takesTheDeviationThatSuitsTheValidationImages() throws {
        let centres = try Fixture.examples("parzen", "centres", .vector(12)),
            all = try Fixture.examples("parzen", "examples", .vector(12))
        let expected = try Fixture.numbers("parzen", "log_likelihoods")
        let validation = all.first(60)
        let result = try Parzen.measure(centres: centres, validation: validation, test: all, alone())
        let means = (0 ..< 10).map { number in (0 ..< 60).map { expected[$0 * 10 + number] }.mean }
        let best = means.firstIndex(of: means.max()!)!
        let onTest = (0 ..< all.count).map { expected[$0 * 10 + best] }
        #expect(abs(try number(result.quantity("sigma")) - Parzen.deviations[best]) < 1e-12)
        #expect(abs(result.value - onTest.mean) < 1e-3)
        #expect(abs(try #require(result.standardError) - onTest.standardError) < 1e-3)
    }

    /// Real against real: for centres and test points of one normal distribution the estimate tends to that of the
    /// distribution widened by the window, E log N(x; 0, 1 + σ²).
    @Test func realAgainstRealHasItsKnownValue() throws {
        let count = 1500, deviation = 0.3
        let draw = { (step: Int) -> Examples in
            let buffer = FloatBuffer(count: count)
            Draws(seed: 5, purpose: .synthetic, step: step).fillNormal(buffer.values, samples: count)
            return Examples(buffer, shape: .vector(1))
        }
        let values = try Parzen.logLikelihoods(draw(1), centres: draw(2), deviations: [deviation], alone(), "")
        let variance = 1 + deviation * deviation
        let known = -0.5 * log(2 * Double.pi * variance) - 0.5 / variance
        #expect(abs(values.mean - known) < 5 * values.standardError)
    }

    @Test func theFigureDoesNotDependOnTheRanks() throws {
        let run = { @Sendable (context: EvaluationContext) -> [Double] in
            try Parzen.logLikelihoods(
                Fixture.examples("parzen", "examples", .vector(12)),
                centres: Fixture.examples("parzen", "centres", .vector(12)),
                deviations: Parzen.deviations, context, "")
        }
        let one = try run(alone())
        for values in try ranks(3, run) { #expect(values == one) }
    }
}
