/// Images made larger or smaller by a whole factor: every output pixel is a weighted sum of a few input pixels, the
/// same along rows and columns: y[p, q, c] = Σ over a, b of u[p, a] · u[q, b] · x[i[p, a], i[q, b], c].
public struct Resampling: Sendable {
    /// Which pixels an output pixel at p (of a row or a column) is made of.
    public enum Filter: Sendable {
        /// ⌊p / f⌋.
        case nearest
        /// The two whose centres are nearest to (p + ½) / f − ½; beyond the first and last centre that pixel alone.
        case linear
        /// f · p … f · p + f − 1, each 1/f.
        case mean
        /// Smaller by 2: (1, 3, 3, 1) / 8 at 2p − 1 … 2p + 2, zeros outside: the binomial filter (1, 2, 1) on pixels
        /// that are doubled.
        case binomialDown
        /// Larger by 2: twice the adjoint of ``binomialDown``, ¾ and ¼ of the two nearest pixels, zeros outside.
        case binomialUp
    }

    let height: Int
    let width: Int
    let channels: Int
    let factor: Int
    let filter: Filter

    /// Of images of this size. The binomial filters take the factor 2.
    public init(height: Int, width: Int, channels: Int, factor: Int, filter: Filter) {
        precondition(height > 0 && width > 0 && factor > 0, "\(height) × \(width) pixels by a factor of \(factor)")
        (self.height, self.width, self.channels) = (height, width, channels)
        (self.factor, self.filter) = (factor, filter)
    }

    private var isSmaller: Bool {
        switch filter {
        case .mean, .binomialDown: true
        case .nearest, .linear, .binomialUp: false
        }
    }

    /// Rows or columns that do not fill a last window are left out.
    private func outputs(of size: Int) -> Int { isSmaller ? size / factor : size * factor }
    public var outputHeight: Int { outputs(of: height) }
    public var outputWidth: Int { outputs(of: width) }

    /// Overwrites `output`.
    public func forward(_ input: Floats, into output: Floats, batch: Int) {
        check(input, output, batch)
        output.fill(0)
        forEachTap(batch: batch) { source, target, weight in
            forEachEight(channels) { channel, lanes in
                let sum = output.lanes(at: target + channel, lanes) + input.lanes(at: source + channel, lanes) * weight
                output.setLanes(sum, at: target + channel, lanes)
            }
        }
    }

    /// The adjoint; overwrites `inputGradient`.
    public func backward(_ outputGradient: Floats, into inputGradient: Floats, batch: Int) {
        check(inputGradient, outputGradient, batch)
        inputGradient.fill(0)
        forEachTap(batch: batch) { source, target, weight in
            forEachEight(channels) { channel, lanes in
                let sum =
                    inputGradient.lanes(at: source + channel, lanes)
                    + outputGradient.lanes(at: target + channel, lanes) * weight
                inputGradient.setLanes(sum, at: source + channel, lanes)
            }
        }
    }

    private func check(_ input: Floats, _ output: Floats, _ batch: Int) {
        precondition(
            input.count == batch * height * width * channels
                && output.count == batch * outputHeight * outputWidth * channels,
            "\(input.count) values of \(height) × \(width) × \(channels) into \(output.count)")
    }

    private var taps: Int {
        switch filter {
        case .nearest: 1
        case .linear, .binomialUp: 2
        case .mean: factor
        case .binomialDown: 4
        }
    }

    /// Calls `body` with the offsets of an input and an output pixel, and the weight that joins them.
    @inline(__always)
    private func forEachTap(batch: Int, _ body: (_ input: Int, _ output: Int, _ weight: Float) -> Void) {
        let (rows, columns, taps) = (outputHeight, outputWidth, taps)
        for image in 0 ..< batch {
            for p in 0 ..< rows {
                for a in 0 ..< taps {
                    let (y, rowWeight) = tap(a, of: p, size: height)
                    if rowWeight == 0 { continue }
                    for q in 0 ..< columns {
                        let target = ((image * rows + p) * columns + q) * channels
                        for b in 0 ..< taps {
                            let (x, columnWeight) = tap(b, of: q, size: width)
                            if columnWeight == 0 { continue }
                            body(((image * height + y) * width + x) * channels, target, rowWeight * columnWeight)
                        }
                    }
                }
            }
        }
    }

    /// The input pixel of tap `number` of output pixel p, and its weight; outside the image the weight is 0.
    @inline(__always)
    private func tap(_ number: Int, of p: Int, size: Int) -> (pixel: Int, weight: Float) {
        switch filter {
        case .nearest: return (p / factor, 1)
        case .mean: return (p * factor + number, 1 / Float(factor))
        case .linear:
            // (2p + 1 − f) / 2f, in whole numbers.
            let doubled = max(2 * p + 1 - factor, 0), pixel = doubled / (2 * factor)
            let share = Float(doubled % (2 * factor)) / Float(2 * factor)
            if number == 0 { return (pixel, pixel + 1 < size ? 1 - share : 1) }
            return (pixel + 1, pixel + 1 < size ? share : 0)
        case .binomialDown:
            let pixel = 2 * p - 1 + number
            return (pixel, 0 ..< size ~= pixel ? (number == 0 || number == 3 ? 0.125 : 0.375) : 0)
        case .binomialUp:
            if number == 0 { return (p / 2, 0.75) }
            let pixel = p / 2 + (p % 2 == 0 ? -1 : 1)
            return (pixel, 0 ..< size ~= pixel ? 0.25 : 0)
        }
    }
}
