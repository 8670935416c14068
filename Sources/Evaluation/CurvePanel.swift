import Foundation
import Storage

/// Curves over one axis: a drawing of one or more panels side by side, as SVG.
struct CurvePanel {
    struct Curve {
        let name: String
        let colour: String
        let points: [(x: Double, y: Double)]
    }

    /// What is drawn over what.
    let title: String
    /// Points outside the panel are not drawn.
    let curves: [Curve]
    let x: ClosedRange<Double>
    let y: ClosedRange<Double>
    let xTicks: [Double]
    let yTicks: [Double]

    private static let width = 420.0, height = 360.0, margin = 40.0
    private static let top = 60.0, bottom = 320.0

    /// The panels, below the names of the first one's curves.
    static func svg(_ panels: [CurvePanel]) -> String {
        let width = width * Double(panels.count), columns = panels.count + 1
        let names = panels[0].curves.enumerated().map { number, curve in
            Markup(
                "text",
                [
                    "x": Markup.place(margin + (width - margin) / Double(columns) * Double(number % columns)),
                    "y": Markup.place(18 + 18 * Double(number / columns)), "fill": curve.colour,
                ], text: curve.name)
        }
        return Markup(
            "svg",
            [
                "xmlns": "http://www.w3.org/2000/svg", "font-family": "sans-serif", "font-size": "13",
                "viewBox": "0 0 \(Int(width)) \(Int(height))",
            ], names + panels.enumerated().flatMap { $1.markup(left: self.width * Double($0)) }
        ).description + "\n"
    }

    private func markup(left: Double) -> [Markup] {
        func place(x value: Double) -> Double {
            left + Self.margin + (value - x.lowerBound) / (x.upperBound - x.lowerBound)
                * (Self.width - 1.5 * Self.margin)
        }
        func place(y value: Double) -> Double {
            Self.bottom - (value - y.lowerBound) / (y.upperBound - y.lowerBound) * (Self.bottom - Self.top)
        }
        func text(_ text: String, _ x: Double, _ y: Double, _ anchor: String) -> Markup {
            Markup(
                "text", ["x": Markup.place(x), "y": Markup.place(y), "text-anchor": anchor, "fill": "#555555"],
                text: text)
        }
        let grid = yTicks.flatMap { tick in
            [
                Markup(
                    "line",
                    [
                        "x1": Markup.place(place(x: x.lowerBound)), "x2": Markup.place(place(x: x.upperBound)),
                        "y1": Markup.place(place(y: tick)), "y2": Markup.place(place(y: tick)), "stroke": "#cccccc",
                    ]), text(String(format: "%g", tick), place(x: x.lowerBound) - 6, place(y: tick) + 4, "end"),
            ]
        }
        let scale = xTicks.map { text(String(format: "%g", $0), place(x: $0), Self.bottom + 16, "middle") }
        let middle = place(x: (x.lowerBound + x.upperBound) / 2)
        let lines = curves.map { curve in
            let shown = curve.points.filter { x.contains($0.x) && y.contains($0.y) }.map {
                Markup.place(place(x: $0.x)) + "," + Markup.place(place(y: $0.y))
            }
            return Markup(
                "polyline",
                ["fill": "none", "stroke": curve.colour, "stroke-width": "2", "points": shown.joined(separator: " ")])
        }
        return grid + scale + [text(title, middle, Self.bottom + 30, "middle")] + lines
    }
}
