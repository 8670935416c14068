import CKernels

/// Square windows of `size` pixels, `stride` apart, over images [N, H, W, C]; a window at the lower or right edge may
/// lie only partly within the image.
public struct PoolingGeometry: Sendable {
    public let height: Int
    public let width: Int
    public let channels: Int
    public let size: Int
    public let stride: Int
    public let outputHeight: Int
    public let outputWidth: Int

    /// `partial`: also windows that the edge cuts, so that every pixel is in one.
    public init(height: Int, width: Int, channels: Int, size: Int, stride: Int, partial: Bool) {
        precondition(
            size >= 1 && stride >= 1 && size <= min(height, width), "windows of \(size) in \(height) × \(width) pixels")
        (self.height, self.width, self.channels, self.size, self.stride) = (height, width, channels, size, stride)
        func windows(_ length: Int) -> Int { (length - size + (partial ? stride - 1 : 0)) / stride + 1 }
        (outputHeight, outputWidth) = (windows(height), windows(width))
    }

    fileprivate var shape: PoolingShape {
        PoolingShape(
            height: height, width: width, channels: channels, size: size, stride: stride, outputHeight: outputHeight,
            outputWidth: outputWidth)
    }

    /// Calls `body` with the first value of each window's output and the first of the window.
    @inline(__always)
    fileprivate func forEachWindow(batch: Int, _ body: (_ output: Int, _ input: Int) -> Void) {
        var output = 0
        for image in 0 ..< batch {
            for y in 0 ..< outputHeight {
                for x in 0 ..< outputWidth {
                    body(output, ((image * height + y * stride) * width + x * stride) * channels)
                    output += channels
                }
            }
        }
    }
}

/// The largest or the mean value of each window, channel by channel.
public enum Pooling {
    /// y = max over the window, and which pixel it came from: y · size + x within the window, the first of equals.
    public static func maximum(
        _ input: Floats, _ geometry: PoolingGeometry, batch: Int, into output: Floats, winners: Floats
    ) {
        var shape = geometry.shape
        kernels().pointee.poolMaximum(input.base, &shape, batch, output.base, winners.base)
    }

    /// dx += dy for the pixel that won; windows overlap, so dx is zeroed first.
    public static func maximumGradient(
        _ gradient: Floats, winners: Floats, _ geometry: PoolingGeometry, batch: Int, into inputGradient: Floats
    ) {
        inputGradient.fill(0)
        let (given, places, result) = (gradient.base, winners.base, inputGradient.base)
        let (channels, row) = (geometry.channels, geometry.width * geometry.channels)
        geometry.forEachWindow(batch: batch) { source, target in
            for channel in 0 ..< channels {
                let (y, x) = Int(places[source + channel]).quotientAndRemainder(dividingBy: geometry.size)
                result[target + y * row + x * channels + channel] += given[source + channel]
            }
        }
    }

    /// y = x of the pixel that won.
    public static func selectMaximum(
        _ input: Floats, winners: Floats, _ geometry: PoolingGeometry, batch: Int, into output: Floats
    ) {
        let (values, places, result) = (input.base, winners.base, output.base)
        let (channels, row) = (geometry.channels, geometry.width * geometry.channels)
        geometry.forEachWindow(batch: batch) { target, source in
            for channel in 0 ..< channels {
                let (y, x) = Int(places[target + channel]).quotientAndRemainder(dividingBy: geometry.size)
                result[target + channel] = values[source + y * row + x * channels + channel]
            }
        }
    }

    /// y = the sum of the window's pixels within the image, or their mean.
    public static func sum(
        _ input: Floats, _ geometry: PoolingGeometry, batch: Int, isMean: Bool, into output: Floats
    ) {
        var shape = geometry.shape
        kernels().pointee.poolSum(input.base, &shape, batch, isMean, output.base)
    }

    /// dx += dy, for each of the window's pixels; of a mean dy / their number.
    public static func sumGradient(
        _ gradient: Floats, _ geometry: PoolingGeometry, batch: Int, isMean: Bool, into inputGradient: Floats
    ) {
        inputGradient.fill(0)
        var shape = geometry.shape
        kernels().pointee.poolSumGradient(gradient.base, &shape, batch, isMean, inputGradient.base)
    }
}
