import Foundation
import Storage

/// The path of a game of two numbers in their plane, for one or more runs, as SVG: as in the figures of Mescheder et
/// al. 2018, "Which training methods for GANs do actually converge?". Both axes have one scale: a circle is one.
struct PlaneChart {
    struct Path {
        let name: String
        /// θ and ψ at the logged steps.
        let points: [(x: Double, y: Double)]
        /// The number of its colour.
        let colour: Int
    }

    let paths: [Path]
    /// Where neither player moves, if it is known.
    let equilibrium: (x: Double, y: Double)?

    /// Nil where no run is of such a game.
    init?(_ runs: [(run: RunHistory, name: String)]) {
        let played = runs.enumerated().compactMap { number, element -> (RunHistory, Path)? in
            let points = zip(
                element.run.values("parameter_generator"), element.run.values("parameter_discriminator")
            ).filter { $0.isFinite && $1.isFinite }
            guard !points.isEmpty else { return nil }
            return (
                element.run, Path(name: element.name, points: points.map { (x: $0, y: $1) }, colour: number % 8)
            )
        }
        guard !played.isEmpty else { return nil }
        paths = played.map(\.1)
        // Of data at 0: G makes them, and D, one weight, is as flat as everywhere.
        equilibrium = played.allSatisfy { $0.0.game?.data.synthetic == .point } ? (0, 0) : nil
    }

    private let width = 640.0, height = 420.0
    private let left = 56.0, right = 20.0, top = 12.0, bottom = 34.0
    /// Points that are drawn of a path, at most.
    private let mostPoints = 4000

    var html: Markup {
        let names = paths.flatMap {
            [Markup(text: " "), Markup("span", ["class": "key s\($0.colour)"], text: $0.name)]
        }
        let note = "θ of G and ψ of D at the logged steps, from the ring to the dot"
        let area = Area(paths.flatMap(\.points) + (equilibrium.map { [$0] } ?? []), in: self)
        let picture = Markup(
            "svg",
            [
                "viewBox": "0 0 \(Int(width)) \(Int(height))", "role": "img",
                "aria-label": "the path of both players' parameters in their plane",
            ], grid(area) + paths.flatMap { line(of: $0, area) } + mark(area))
        let caption = [Markup("b", text: "The players' path")] + names + [Markup("small", text: note)]
        return Markup("figure", [:], [Markup("figcaption", [:], caption), picture])
    }

    /// What is shown, in the middle, with some room: units of the picture for one of the plane.
    private struct Area {
        let scale: Double
        let centre: (x: Double, y: Double)
        let x, y: ClosedRange<Double>

        init(_ points: [(x: Double, y: Double)], in chart: PlaneChart) {
            func range(_ values: [Double]) -> (centre: Double, span: Double) {
                let low = values.min()!, high = values.max()!
                return ((low + high) / 2, max(1.12 * (high - low), 1e-9))
            }
            let (x, y) = (range(points.map(\.x)), range(points.map(\.y)))
            let (width, height) = (chart.width - chart.left - chart.right, chart.height - chart.top - chart.bottom)
            scale = min(width / x.span, height / y.span)
            centre = (x.centre, y.centre)
            self.x = x.centre - width / scale / 2 ... x.centre + width / scale / 2
            self.y = y.centre - height / scale / 2 ... y.centre + height / scale / 2
        }
    }

    private func place(x: Double, _ area: Area) -> Double {
        (left + width - right) / 2 + area.scale * (x - area.centre.x)
    }

    private func place(y: Double, _ area: Area) -> Double {
        (top + height - bottom) / 2 - area.scale * (y - area.centre.y)
    }

    private func text(_ point: (x: Double, y: Double), _ area: Area) -> String {
        Markup.place(place(x: point.x, area)) + " " + Markup.place(place(y: point.y, area))
    }

    private func line(of path: Path, _ area: Area) -> [Markup] {
        let every = (path.points.count + mostPoints - 1) / mostPoints
        var shown = stride(from: 0, to: path.points.count, by: every).map { path.points[$0] }
        shown.append(path.points.last!)
        let curve = "M" + shown.map { text($0, area) }.joined(separator: "L")
        return [
            Markup("path", ["class": "line s\(path.colour)", "d": curve]),
            Markup("path", ["class": "line s\(path.colour)", "d": circle(path.points[0], radius: 4.5, area)]),
            Markup("path", ["class": "band dot s\(path.colour)", "d": circle(path.points.last!, radius: 3.5, area)]),
        ]
    }

    private func circle(_ point: (x: Double, y: Double), radius: Double, _ area: Area) -> String {
        let (x, y) = (place(x: point.x, area), place(y: point.y, area))
        let (r, across) = (Markup.place(radius), Markup.place(2 * radius))
        return
            "M\(Markup.place(x - radius)) \(Markup.place(y))a\(r) \(r) 0 1 0 \(across) 0a\(r) \(r) 0 1 0 -\(across) 0Z"
    }

    private func mark(_ area: Area) -> [Markup] {
        guard let equilibrium else { return [] }
        let (x, y) = (place(x: equilibrium.x, area), place(y: equilibrium.y, area))
        let cross = [(-7.0, -7.0, 7.0, 7.0), (-7, 7, 7, -7)].map {
            segment("equilibrium", x + $0.0, y + $0.1, x + $0.2, y + $0.3)
        }
        return cross + [label("equilibrium", "start", x + 11, y + 4, "reference")]
    }

    private func grid(_ area: Area) -> [Markup] {
        Chart.ticks(area.x, about: 6).flatMap { value in
            let x = place(x: value, area)
            return [
                segment("grid", x, top, x, height - bottom),
                label(Chart.label(value), "middle", x, height - bottom + 18),
            ]
        }
            + Chart.ticks(area.y, about: 5).flatMap { value in
                let y = place(y: value, area)
                return [
                    segment("grid", left, y, width - right, y), label(Chart.label(value), "end", left - 6, y + 4),
                ]
            } + [
                label("θ", "end", width - right, height - bottom + 30), label("ψ", "start", left - 44, top + 6),
            ]
    }

    private func segment(_ kind: String, _ x1: Double, _ y1: Double, _ x2: Double, _ y2: Double) -> Markup {
        Markup(
            "line",
            [
                "class": kind, "x1": Markup.place(x1), "y1": Markup.place(y1), "x2": Markup.place(x2),
                "y2": Markup.place(y2),
            ])
    }

    private func label(
        _ text: String, _ anchor: String, _ x: Double, _ y: Double, _ kind: String = "tick"
    ) -> Markup {
        Markup(
            "text", ["class": kind, "x": Markup.place(x), "y": Markup.place(y), "text-anchor": anchor], text: text)
    }
}
