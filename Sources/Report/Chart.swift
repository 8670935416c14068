import Foundation

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
    /// A value of meaning, drawn as a dashed line with its name.
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

    var html: String {
        let curves = series.map { binned($0) }
        let legend = series.map { "<span class=\"key s\($0.colour)\">\(escaped($0.name))</span>" }.joined(
            separator: " ")
        guard let area = Area(curves.flatMap { $0 }) else {
            return "<figure><figcaption><b>\(escaped(title))</b></figcaption><p>No figures were logged.</p></figure>"
        }
        var svg = [
            "<svg viewBox=\"0 0 \(Int(width)) \(Int(height))\" "
                + "role=\"img\" aria-label=\"\(escaped(title)) over the steps\">"
        ]
        svg += grid(area)
        if let reference, area.y.contains(scaled(reference.value)) {
            let y = place(y: scaled(reference.value), area)
            svg.append(
                "<line class=\"reference\" x1=\"\(number(left))\" "
                    + "x2=\"\(number(width - right))\" y1=\"\(y)\" y2=\"\(y)\"/>"
            )
            svg.append(
                "<text class=\"reference\" x=\"\(number(width - right - 4))\" y=\"\(number(Double(y)! - 4))\" "
                    + "text-anchor=\"end\">\(escaped(reference.name))</text>"
            )
        }
        for (series, bins) in zip(series, curves) where !bins.isEmpty {
            if self.series.count <= 2, bins.contains(where: { $0.low < $0.high }) {
                svg.append(band(bins, area, colour: series.colour))
            }
            svg.append("<path class=\"line s\(series.colour)\" d=\"\(path(bins.map { ($0.x, $0.mean) }, area))\"/>")
        }
        svg.append("</svg>")
        return
            "<figure><figcaption><b>\(escaped(title))</b> "
            + "\(legend)<small>\(escaped(note))</small></figcaption>\(svg.joined())</figure>"
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

        init?(_ bins: [Bin]) {
            guard let firstX = bins.map(\.x).min(), let lastX = bins.map(\.x).max(),
                let low = bins.map(\.mean).min(), let high = bins.map(\.mean).max()
            else { return nil }
            let room = max((high - low) * 0.12, abs(high) * 0.02, 1e-9)
            // Losses and probabilities that come near zero are shown from zero.
            let floor = low >= 0 && low < (high - low) ? 0 : low - room
            x = firstX ... max(lastX, firstX + 1)
            y = floor ... high + room
        }
    }

    // MARK: - Drawing

    private func place(x: Double, _ area: Area) -> String {
        number(left + (x - area.x.lowerBound) / (area.x.upperBound - area.x.lowerBound) * (width - left - right))
    }

    private func place(y: Double, _ area: Area) -> String {
        let share = (y - area.y.lowerBound) / (area.y.upperBound - area.y.lowerBound)
        return number(height - bottom - min(max(share, 0), 1) * (height - top - bottom))
    }

    private func path(_ points: [(Double, Double)], _ area: Area) -> String {
        "M" + points.map { "\(place(x: $0.0, area)) \(place(y: $0.1, area))" }.joined(separator: "L")
    }

    private func band(_ bins: [Bin], _ area: Area, colour: Int) -> String {
        let edge = bins.map { ($0.x, $0.high) } + bins.reversed().map { ($0.x, $0.low) }
        return "<path class=\"band s\(colour)\" d=\"\(path(edge, area))Z\"/>"
    }

    private func grid(_ area: Area) -> [String] {
        var lines: [String] = []
        for value in isLogarithmic ? Self.decades(area.y) : Self.ticks(area.y, about: 5) {
            let y = place(y: value, area)
            lines.append(
                "<line class=\"grid\" x1=\"\(number(left))\" x2=\"\(number(width - right))\" y1=\"\(y)\" y2=\"\(y)\"/>")
            lines.append(
                "<text x=\"\(number(left - 6))\" y=\"\(number(Double(y)! + 4))\" "
                    + "text-anchor=\"end\">\(Self.label(isLogarithmic ? pow(10, value) : value))</text>"
            )
        }
        for value in Self.ticks(area.x, about: 6) {
            lines.append(
                "<text x=\"\(place(x: value, area))\" y=\"\(number(height - bottom + 18))\" "
                    + "text-anchor=\"middle\">\(Self.label(value))</text>"
            )
        }
        lines.append(
            "<line class=\"axis\" x1=\"\(number(left))\" x2=\"\(number(width - right))\" "
                + "y1=\"\(number(height - bottom))\" y2=\"\(number(height - bottom))\"/>"
        )
        lines.append(
            "<text x=\"\(number(left - 6))\" y=\"\(number(height - bottom + 18))\" text-anchor=\"end\">step</text>")
        return lines
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
        let whole = stride(from: range.lowerBound.rounded(.up), through: range.upperBound, by: 1).map { $0 }
        return whole.count > 1
            ? whole
            : ticks(pow(10, range.lowerBound) ... pow(10, range.upperBound), about: 4).filter { $0 > 0 }.map(log10)
    }

    static func label(_ value: Double) -> String {
        if abs(value) >= 1e6 { return String(format: "%gM", value / 1e6) }
        if abs(value) >= 1e4 { return String(format: "%gk", value / 1e3) }
        return abs(value) < 1e-12 ? "0" : String(format: "%.4g", value)
    }

    private func number(_ value: Double) -> String { String(format: "%.1f", value) }
}

/// A text as HTML shows it.
func escaped(_ text: String) -> String {
    text.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;").replacing(
        "\"", with: "&quot;")
}
