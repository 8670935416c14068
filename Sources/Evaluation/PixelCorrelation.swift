import Kernels
import Nets

/// How pixels go together: the correlation r of each two pixels of a channel over the samples, against that over the
/// data. The figure is the mean of |r of samples − r of data| over all pairs of different pixels; `by_distance` is the
/// same of the pairs 1, 2, … pixels apart (rounded), and `samples_by_distance` and `data_by_distance` the mean r of
/// each.
///
/// A pixel that never changes is uncorrelated with all others. The figure of as many other real images is above zero
/// too: of N examples r is known to about 1/√N.
public enum PixelCorrelation {
    /// The square of it is the memory.
    static let mostPixels = 64 * 64

    /// Collective.
    static func measure(
        _ samples: Examples, _ reference: Examples, _ context: EvaluationContext,
        _ real: RealStatistics = RealStatistics()
    ) throws -> MetricResult {
        guard case .image(let height, let width, let channels) = samples.shape else {
            preconditionFailure("pixels of \(samples.shape)")
        }
        let pixels = height * width, bins = Int(distance(0, pixels - 1, width).rounded()) + 1
        var sums = [Double](repeating: 0, count: 3 * bins)
        for channel in 0 ..< channels {
            let mine = standardised(samples, channel)
            lazy var theirs = standardised(reference, channel)
            let kept = try real.valuesIfKept("pixel_correlations_\(channel)", count: pixels * pixels) {
                try context.map(pixels, block: block, width: pixels, "pixel correlation") {
                    correlations(theirs, $0, pixels).array
                }
            }
            let rows = try context.map(pixels, block: block, width: 3 * bins, "pixel correlation") { rows in
                let first = correlations(mine, rows, pixels), second = kept ?? correlations(theirs, rows, pixels)
                let start = kept == nil ? 0 : rows.lowerBound
                return rows.enumerated().flatMap { place, pixel in
                    binned(
                        first.values[place * pixels ..< (place + 1) * pixels],
                        second.values[(start + place) * pixels ..< (start + place + 1) * pixels], pixel, width: width,
                        bins: bins)
                }
            }
            for (index, value) in rows.enumerated() { sums[index % sums.count] += value }
        }
        var pairs = [Double](repeating: 0, count: bins)
        for pixel in 0 ..< pixels {
            for other in 0 ..< pixels where other != pixel {
                pairs[Int(distance(pixel, other, width).rounded())] += Double(channels)
            }
        }
        // Every whole distance up to the diagonal has a pair.
        func means(_ kind: Int) -> Quantity {
            .numbers((1 ..< bins).map { pairs[$0] > 0 ? sums[kind * bins + $0] / pairs[$0] : 0 })
        }
        return MetricResult(
            "pixel-correlation", sums[..<bins].reduce(0, +) / pairs.reduce(0, +),
            more: [
                ("by_distance", means(0)), ("samples_by_distance", means(1)), ("data_by_distance", means(2)),
            ],
            settings: [
                ("samples", .count(samples.count)), ("reference", .count(reference.count)),
                ("pairs", .text("within a channel")),
            ])
    }

    /// The mean correlations of samples and of data over the distance, and their mean difference, of a result.
    static func svg(_ result: MetricResult) -> String {
        let curves = [
            ("samples", "#20a060", "samples_by_distance"), ("data", "#d08000", "data_by_distance"),
            ("mean difference", "#888888", "by_distance"),
        ].map { name, colour, figure in
            var points: [(x: Double, y: Double)] = []
            if case .numbers(let values) = result.quantity(figure) {
                points = values.enumerated().map { (Double($0 + 1), $1) }
            }
            return CurvePanel.Curve(name: name, colour: colour, points: points)
        }
        let farthest = Double(max(curves[0].points.count, 2)), step = max((farthest / 5).rounded(), 1)
        return CurvePanel.svg([
            CurvePanel(
                title: "correlation of two pixels over their distance", curves: curves, x: 1 ... farthest,
                y: -0.5 ... 1, xTicks: [1] + stride(from: step, through: farthest, by: step).filter { $0 > 1 },
                yTicks: [-0.5, 0, 0.5, 1])
        ])
    }

    /// Pixels whose correlations with all others are made at once.
    private static let block = 64

    private static func distance(_ pixel: Int, _ other: Int, _ width: Int) -> Double {
        let (y, x) = (pixel / width - other / width, pixel % width - other % width)
        return Double(y * y + x * x).squareRoot()
    }

    /// The channel's values with mean 0 and Σ of squares 1 for each pixel, [N, pixels]; zeros where it never changes.
    private static func standardised(_ images: Examples, _ channel: Int) -> FloatBuffer {
        let channels = images.shape.channels, pixels = images.shape.count / channels
        let target = FloatBuffer(count: images.count * pixels)
        for pixel in 0 ..< pixels {
            func value(_ number: Int) -> Double {
                Double(images.values[(number * pixels + pixel) * channels + channel])
            }
            let mean = (0 ..< images.count).reduce(0) { $0 + value($1) } / Double(images.count)
            let squares = (0 ..< images.count).reduce(0) { $0 + (value($1) - mean) * (value($1) - mean) }
            guard squares > 1e-12 * Double(images.count) else { continue }
            let factor = 1 / squares.squareRoot()
            for number in 0 ..< images.count {
                target.values[number * pixels + pixel] = Float((value(number) - mean) * factor)
            }
        }
        return target
    }

    /// r of the pixels `rows` with all, [rows, pixels].
    private static func correlations(_ images: FloatBuffer, _ rows: Range<Int>, _ pixels: Int) -> FloatBuffer {
        let count = images.count / pixels, part = FloatBuffer(count: count * rows.count)
        for number in 0 ..< count {
            part.values[number * rows.count ..< (number + 1) * rows.count].copy(
                from: images.values[number * pixels + rows.lowerBound ..< number * pixels + rows.upperBound])
        }
        let result = FloatBuffer(count: rows.count * pixels)
        Matrix.multiply(
            part.values, transposed: true, by: images.values, into: result.values, rows: rows.count, columns: pixels,
            inner: count)
        return result
    }

    /// Of one pixel, by distance: Σ |r − r′|, then Σ r, then Σ r′.
    private static func binned(
        _ first: Floats, _ second: Floats, _ pixel: Int, width: Int, bins: Int
    ) -> [Double] {
        var sums = [Double](repeating: 0, count: 3 * bins)
        for other in 0 ..< first.count where other != pixel {
            let bin = Int(distance(pixel, other, width).rounded())
            sums[bin] += Double(abs(first[other] - second[other]))
            sums[bins + bin] += Double(first[other])
            sums[2 * bins + bin] += Double(second[other])
        }
        return sums
    }
}
