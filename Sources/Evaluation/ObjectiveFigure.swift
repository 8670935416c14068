import Adversarial
import Foundation

/// G's costs of one generated example over D(G(z)) = σ(s), and how hard each pushes: minus the slope by the logit s.
/// After figure 16 of Goodfellow 2016, "NIPS 2016 tutorial: Generative adversarial networks", with the objectives that
/// came later; of those that are no log-odds D(G(z)) is another scale for s alone.
public enum ObjectiveFigure {
    struct Curve: Sendable {
        let name: String
        let colour: String
        let cost: @Sendable (_ logit: Double) -> LogitCost
    }

    /// Relativistic pairing is the non-saturating cost of s_y − s_x; the hinge cost and Wasserstein's are −s, which is
    /// the reverse divergence's too.
    static let curves: [Curve] = [
        Curve(name: "minimax", colour: "#d08000", cost: StandardObjective(generator: .minimax).ofGenerator),
        Curve(
            name: "non-saturating; relativistic, s_x = 0", colour: "#4070e0",
            cost: StandardObjective(generator: .nonSaturating).ofGenerator),
        Curve(
            name: "maximum likelihood", colour: "#b04090",
            cost: StandardObjective(generator: .maximumLikelihood).ofGenerator),
        Curve(name: "reverse KL, hinge, Wasserstein", colour: "#20a060", cost: Wasserstein().ofGenerator),
        Curve(name: "least squares", colour: "#888888", cost: LeastSquares().ofGenerator),
    ]

    public static var costs: Int { curves.count }

    private static let points = 150

    /// The two panels side by side.
    public static var svg: String {
        func panel(
            _ title: String, _ values: ClosedRange<Double>, _ ticks: [Double], _ value: (LogitCost) -> Double
        ) -> CurvePanel {
            let drawn = curves.map { curve in
                CurvePanel.Curve(
                    name: curve.name, colour: curve.colour,
                    points: (1 ..< points).map { number in
                        let probability = Double(number) / Double(points)
                        return (probability, value(curve.cost(log(probability / (1 - probability)))))
                    })
            }
            return CurvePanel(
                title: title + " over D(G(z))", curves: drawn, x: 0 ... 1, y: values, xTicks: [0, 0.5, 1],
                yTicks: ticks)
        }
        return CurvePanel.svg([
            panel("G's cost", -6 ... 6, [-5, 0, 5]) { $0.value },
            panel("minus its slope by the logit", -1 ... 4, [0, 1, 2, 3]) { -$0.slope },
        ])
    }
}
