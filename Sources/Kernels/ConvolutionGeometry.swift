import CKernels

/// A height and a width in pixels: of a kernel, or the steps of a stride down and across. A whole number `n` stands
/// for n × n.
public struct Extent: Hashable, Sendable, ExpressibleByIntegerLiteral, CustomStringConvertible {
    public let height: Int
    public let width: Int

    public init(height: Int, width: Int) {
        self.height = height
        self.width = width
    }

    public init(integerLiteral size: Int) { self.init(height: size, width: size) }

    var count: Int { height * width }
    var isPositive: Bool { height > 0 && width > 0 }
    public var description: String { "\(height) × \(width)" }
}

/// Where the weights of a two-dimensional convolution meet its input: sizes, stride and padding.
///
/// Output pixel (y, x) sums over the kernel.height × kernel.width input pixels from (y · stride.height − padTop, x ·
/// stride.width − padLeft) on; those outside the image are zero. (The correlation that deep learning calls
/// convolution.)
public struct ConvolutionGeometry: Hashable, Sendable {
    public let inputHeight: Int
    public let inputWidth: Int
    public let inputChannels: Int
    public let outputHeight: Int
    public let outputWidth: Int
    public let outputChannels: Int
    public let kernel: Extent
    public let stride: Extent
    public let padTop: Int
    public let padLeft: Int

    /// TensorFlow's `SAME`: ⌈input / stride⌉ outputs; the padding this takes is split evenly, an odd pixel going to
    /// the bottom and the right. Nil where a size is not positive.
    public static func same(
        height: Int, width: Int, channels: Int, outputChannels: Int, kernel: Extent, stride: Extent
    ) -> Self? {
        guard height > 0, width > 0, channels > 0, outputChannels > 0, kernel.isPositive, stride.isPositive else {
            return nil
        }
        let outputHeight = (height + stride.height - 1) / stride.height,
            outputWidth = (width + stride.width - 1) / stride.width
        return Self(
            inputHeight: height, inputWidth: width, inputChannels: channels,
            outputHeight: outputHeight, outputWidth: outputWidth, outputChannels: outputChannels,
            kernel: kernel, stride: stride,
            padTop: max((outputHeight - 1) * stride.height + kernel.height - height, 0) / 2,
            padLeft: max((outputWidth - 1) * stride.width + kernel.width - width, 0) / 2)
    }

    /// No padding: ⌊(input − kernel) / stride⌋ + 1 outputs. Nil where the kernel is larger than the input, or a size
    /// is not positive.
    public static func valid(
        height: Int, width: Int, channels: Int, outputChannels: Int, kernel: Extent, stride: Extent
    ) -> Self? {
        guard height > 0, width > 0, channels > 0, outputChannels > 0, kernel.isPositive, stride.isPositive,
            kernel.height <= height, kernel.width <= width
        else { return nil }
        return Self(
            inputHeight: height, inputWidth: width, inputChannels: channels,
            outputHeight: (height - kernel.height) / stride.height + 1,
            outputWidth: (width - kernel.width) / stride.width + 1,
            outputChannels: outputChannels, kernel: kernel, stride: stride, padTop: 0, padLeft: 0)
    }

    /// Values of one example's input.
    public var inputCount: Int { inputHeight * inputWidth * inputChannels }
    /// Values of one example's output.
    public var outputCount: Int { outputHeight * outputWidth * outputChannels }
    /// Values of the weights, [kernel.height, kernel.width, inputChannels, outputChannels].
    public var weightCount: Int { windowCount * outputChannels }
    /// Weights that feed one output value.
    var windowCount: Int { kernel.count * inputChannels }
    var outputPixels: Int { outputHeight * outputWidth }
    /// No row or column at the bottom or the right is left over, and no stride steps over one.
    var everyInputIsRead: Bool {
        kernel.height >= stride.height && kernel.width >= stride.width
            && (outputHeight - 1) * stride.height + kernel.height - padTop >= inputHeight
            && (outputWidth - 1) * stride.width + kernel.width - padLeft >= inputWidth
    }
    var hasNoPadding: Bool {
        padTop == 0 && padLeft == 0 && (outputHeight - 1) * stride.height + kernel.height <= inputHeight
            && (outputWidth - 1) * stride.width + kernel.width <= inputWidth
    }
    var shape: ConvolutionShape {
        ConvolutionShape(
            inputHeight: inputHeight, inputWidth: inputWidth, inputChannels: inputChannels, outputHeight: outputHeight,
            outputWidth: outputWidth, outputChannels: outputChannels, kernelHeight: kernel.height,
            kernelWidth: kernel.width, strideHeight: stride.height, strideWidth: stride.width, padTop: padTop,
            padLeft: padLeft)
    }
}

extension Part {
    init(_ range: Range<Int>) { self.init(first: range.lowerBound, end: range.upperBound) }
}
