import Adversarial
import Foundation
import Storage

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

    private static let points = 400
    private static let width = 420.0, height = 300.0, margin = 40.0

    /// The two panels side by side.
    public static var svg: String {
        let names = curves.enumerated().map { number, curve in
            Markup(
                "text",
                [
                    "x": Markup.place(margin + 280 * Double(number % 3)),
                    "y": Markup.place(18 + 18 * Double(number / 3)), "fill": curve.colour,
                ], text: curve.name)
        }
        let panels =
            panel("G's cost", at: 0, values: -6 ... 6, ticks: [-5, 0, 5]) { $0.value }
            + panel("minus its slope by the logit", at: width, values: -1 ... 4, ticks: [0, 1, 2, 3]) { -$0.slope }
        return Markup(
            "svg",
            [
                "xmlns": "http://www.w3.org/2000/svg", "font-family": "sans-serif", "font-size": "13",
                "viewBox": "0 0 \(Int(2 * width)) \(Int(height) + 60)",
            ], names + panels
        ).description + "\n"
    }

    private static func panel(
        _ title: String, at left: Double, values: ClosedRange<Double>, ticks: [Double],
        _ value: (LogitCost) -> Double
    ) -> [Markup] {
        let (top, bottom) = (60.0, height + 30)
        func x(_ probability: Double) -> Double { left + margin + probability * (width - 1.5 * margin) }
        func y(_ value: Double) -> Double {
            bottom - (value - values.lowerBound) / (values.upperBound - values.lowerBound) * (bottom - top)
        }
        func text(_ text: String, _ x: Double, _ y: Double, _ anchor: String) -> Markup {
            Markup(
                "text", ["x": Markup.place(x), "y": Markup.place(y), "text-anchor": anchor, "fill": "#555555"],
                text: text)
        }
        let grid = ticks.flatMap { tick in
            [
                Markup(
                    "line",
                    [
                        "x1": Markup.place(x(0)), "x2": Markup.place(x(1)), "y1": Markup.place(y(tick)),
                        "y2": Markup.place(y(tick)), "stroke": "#cccccc",
                    ]), text(String(format: "%g", tick), x(0) - 6, y(tick) + 4, "end"),
            ]
        }
        let scale = [0, 0.5, 1].map { text(String(format: "%g", $0), x($0), bottom + 16, "middle") }
        let lines = curves.map { curve in
            // Only what is within the panel, which each curve crosses once.
            let shown = (1 ..< points).map { Double($0) / Double(points) }.compactMap { probability -> String? in
                let found = value(curve.cost(log(probability / (1 - probability))))
                return values.contains(found) ? Markup.place(x(probability)) + "," + Markup.place(y(found)) : nil
            }
            return Markup(
                "polyline",
                ["fill": "none", "stroke": curve.colour, "stroke-width": "2", "points": shown.joined(separator: " ")])
        }
        return grid + scale + [text(title + " over D(G(z))", x(0.5), bottom + 32, "middle")] + lines
    }
}
