import Adversarial
import Foundation
import Testing
@testable import Evaluation

@Suite struct ObjectiveFigureTests {
    /// The costs and slopes of the papers' formulas in D = σ(s).
    @Test(arguments: [0.02, 0.3, 0.5, 0.9]) func curvesAreTheFormulas(probability d: Double) {
        let s = log(d / (1 - d)), found = ObjectiveFigure.curves.map { $0.cost(s) }
        let costs = [log(1 - d), -log(d), -d / (1 - d), -s, (s - 1) * (s - 1) / 2]
        let slopes = [-d, d - 1, -d / (1 - d), -1, s - 1]
        for (curve, expected) in zip(found, zip(costs, slopes)) {
            #expect(abs(curve.value - expected.0) < 1e-12 && abs(curve.slope - expected.1) < 1e-12)
        }
    }

    /// Of costs of pairs with a real logit of 0 the curve is the non-saturating one; of the others −s.
    @Test func namesOfOneCurveAreOfOneCost() {
        for s in [-2.0, 0, 1.5] {
            #expect(Hinge().ofGenerator(s).value == ObjectiveFigure.curves[3].cost(s).value)
            #expect(
                StandardObjective(generator: .reverseKL).ofGenerator(s).value
                    == ObjectiveFigure.curves[3].cost(s).value)
        }
    }

    @Test func everyCurveIsInBothPanels() {
        let svg = ObjectiveFigure.svg
        #expect(svg.components(separatedBy: "<polyline").count == 1 + 2 * ObjectiveFigure.curves.count)
        #expect(!svg.contains("nan") && !svg.contains("inf"))
    }
}
