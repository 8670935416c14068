import Foundation
import Storage

/// Curves over the steps of one or more runs, as SVG. Colours are classes that the page gives values to, for light
/// and dark.
struct Chart {
    struct Series {
        let name: String
        let x: [Double]
        let y: [Double]
        /// The number of its colour.
        let colour: Int
    }

    let title: String
    /// What the curves are of, in words, below the title.
    let note: String
    let series: [Series]
    /// A value of meaning, drawn as a dashed line with its name, wherever the curves are.
    var reference: (value: Double, name: String)?
    var isLogarithmic = false

    private let width = 640.0, height = 280.0
    private let left = 56.0, right = 20.0, top = 10.0, bottom = 28.0
    /// Points of a curve, at most: of more, the means of neighbours, with the band from the least to the largest
    /// behind.
    private var bins: Int { series.count > 2 ? 60 : 100 }

    private struct Bin {
        let x, mean, low, high: Double
    }

    var html: Markup {
        let curves = series.map { binned($0) }
        let heading = Markup("b", text: title)
        guard let area = Area(curves.flatMap { $0 }, including: reference.map { scaled($0.value) }) else {
            return Markup(
                "figure", [:], [Markup("figcaption", [:], [heading]), Markup("p", text: "No figures were logged.")])
        }
        let keys =
            series.map { ("key s\($0.colour)", $0.name) } + (reference.map { [("key reference", $0.name)] } ?? [])
        let names = keys.flatMap { [Markup(text: " "), Markup("span", ["class": $0.0], text: $0.1)] }
        let picture = Markup(
            "svg",
            ["viewBox": "0 0 \(Int(width)) \(Int(height))", "role": "img", "aria-label": "\(title) over the steps"],
            grid(area) + (reference.map { [horizontal("reference", place(y: scaled($0.value), area))] } ?? [])
                + zip(series, curves).flatMap { lines(of: $0, $1, area) })
        return Markup(
            "figure", [:],
            [Markup("figcaption", [:], [heading] + names + [Markup("small", text: note)]), picture])
    }

    // MARK: - Values

    private func scaled(_ value: Double) -> Double { isLogarithmic ? log10(value) : value }

    private func binned(_ series: Series) -> [Bin] {
        let points = zip(series.x, series.y).filter { $1.isFinite && (!isLogarithmic || $1 > 0) }.map {
            ($0, scaled($1))
        }
        guard !points.isEmpty else { return [] }
        let count = min(points.count, bins)
        return (0 ..< count).map { bin in
            let part = points[bin * points.count / count ..< (bin + 1) * points.count / count]
            let values = part.map(\.1)
            return Bin(
                x: part.map(\.0).reduce(0, +) / Double(part.count), mean: values.reduce(0, +) / Double(values.count),
                low: values.min()!, high: values.max()!)
        }
    }

    /// What is shown: the means with some room; the bands may be cut.
    private struct Area {
        let x: ClosedRange<Double>
        let y: ClosedRange<Double>

        init?(_ bins: [Bin], including value: Double?) {
            guard let firstX = bins.map(\.x).min(), let lastX = bins.map(\.x).max(),
                let lowest = bins.map(\.mean).min(), let highest = bins.map(\.mean).max()
            else { return nil }
            let (low, high) = (min(lowest, value ?? lowest), max(highest, value ?? highest))
            let room = max((high - low) * 0.12, abs(high) * 0.02, 1e-9)
            // Losses and probabilities that come near zero are shown from zero.
            let floor = low >= 0 && low < (high - low) ? 0 : low - room
            x = firstX ... max(lastX, firstX + 1)
            y = floor ... high + room
        }
    }

    // MARK: - Drawing

    private func place(x: Double, _ area: Area) -> Double {
        left + (x - area.x.lowerBound) / (area.x.upperBound - area.x.lowerBound) * (width - left - right)
    }

    private func place(y: Double, _ area: Area) -> Double {
        let share = (y - area.y.lowerBound) / (area.y.upperBound - area.y.lowerBound)
        return height - bottom - min(max(share, 0), 1) * (height - top - bottom)
    }

    private func path(_ points: [(Double, Double)], _ area: Area) -> String {
        "M"
            + points.map { Markup.place(place(x: $0.0, area)) + " " + Markup.place(place(y: $0.1, area)) }
            .joined(separator: "L")
    }

    /// The curve of a series, before the band of its values where there is room for one.
    private func lines(of series: Series, _ bins: [Bin], _ area: Area) -> [Markup] {
        guard !bins.isEmpty else { return [] }
        let line = Markup("path", ["class": "line s\(series.colour)", "d": path(bins.map { ($0.x, $0.mean) }, area)])
        guard self.series.count <= 2, bins.contains(where: { $0.low < $0.high }) else { return [line] }
        let edge = bins.map { ($0.x, $0.high) } + bins.reversed().map { ($0.x, $0.low) }
        return [Markup("path", ["class": "band s\(series.colour)", "d": path(edge, area) + "Z"]), line]
    }

    private func horizontal(_ kind: String, _ y: Double) -> Markup {
        Markup(
            "line",
            [
                "class": kind, "x1": Markup.place(left), "x2": Markup.place(width - right), "y1": Markup.place(y),
                "y2": Markup.place(y),
            ])
    }

    private func text(_ text: String, _ anchor: String, _ x: Double, _ y: Double) -> Markup {
        Markup(
            "text", ["class": "tick", "x": Markup.place(x), "y": Markup.place(y), "text-anchor": anchor], text: text)
    }

    private func grid(_ area: Area) -> [Markup] {
        let below = height - bottom + 18
        return (isLogarithmic ? Self.decades(area.y) : Self.ticks(area.y, about: 5)).flatMap { value in
            let y = place(y: value, area), label = Self.label(isLogarithmic ? pow(10, value) : value)
            return [horizontal("grid", y), text(label, "end", left - 6, y + 4)]
        } + Self.ticks(area.x, about: 6).map { text(Self.label($0), "middle", place(x: $0, area), below) }
            + [horizontal("axis", height - bottom), text("step", "end", left - 6, below)]
    }

    /// About so many values of 1, 2 or 5 times a power of ten apart.
    static func ticks(_ range: ClosedRange<Double>, about count: Int) -> [Double] {
        let rough = (range.upperBound - range.lowerBound) / Double(count)
        let power = pow(10, log10(rough).rounded(.down))
        let step = [1, 2, 5, 10].map { $0 * power }.first { $0 >= rough * 0.999 } ?? 10 * power
        let first = (range.lowerBound / step).rounded(.up), last = (range.upperBound / step).rounded(.down)
        return first > last ? [] : stride(from: first, through: last, by: 1).map { $0 * step }
    }

    /// The powers of ten in a range of exponents, or where it has fewer than two, values between.
    private static func decades(_ range: ClosedRange<Double>) -> [Double] {
        // Of many decades some, so that their labels have room.
        let step = max(1, ((range.upperBound - range.lowerBound) / 7).rounded(.up))
        let first = (range.lowerBound / step).rounded(.up) * step
        let whole = stride(from: first, through: range.upperBound, by: step).map { $0 }
        return whole.count > 1
            ? whole
            : ticks(pow(10, range.lowerBound) ... pow(10, range.upperBound), about: 4).filter { $0 > 0 }.map(log10)
    }

    static func label(_ value: Double) -> String {
        if abs(value) >= 1e9 { return String(format: "%.3g", value) }
        if abs(value) >= 1e6 { return String(format: "%gM", value / 1e6) }
        if abs(value) >= 1e4 { return String(format: "%gk", value / 1e3) }
        return abs(value) < 1e-12 ? "0" : String(format: "%.4g", value)
    }
}
