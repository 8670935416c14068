import CKernels

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
        var shape = shape
        kernels().pointee.resample(input.base, &shape, batch, output.base)
    }

    /// The adjoint; overwrites `inputGradient`.
    public func backward(_ outputGradient: Floats, into inputGradient: Floats, batch: Int) {
        check(inputGradient, outputGradient, batch)
        inputGradient.fill(0)
        var shape = shape
        kernels().pointee.resampleGradient(outputGradient.base, &shape, batch, inputGradient.base)
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

    private var shape: ResamplingShape {
        let filter =
            switch filter {
            case .nearest: resamplingNearest
            case .linear: resamplingLinear
            case .mean: resamplingMean
            case .binomialDown: resamplingBinomialDown
            case .binomialUp: resamplingBinomialUp
            }
        return ResamplingShape(
            height: height, width: width, channels: channels, factor: factor, outputHeight: outputHeight,
            outputWidth: outputWidth, taps: taps, filter: filter)
    }
}
