/// Where the weights of a two-dimensional convolution meet its input: sizes, stride and padding.
///
/// Output pixel (y, x) sums over the `kernel` × `kernel` input pixels from (y · stride − padTop, x · stride − padLeft) on;
/// those outside the image are zero. (The correlation that deep learning calls convolution.)
public struct ConvolutionGeometry: Hashable, Sendable {
    public let inputHeight: Int
    public let inputWidth: Int
    public let inputChannels: Int
    public let outputHeight: Int
    public let outputWidth: Int
    public let outputChannels: Int
    /// Height and width of the kernel.
    public let kernel: Int
    public let stride: Int
    public let padTop: Int
    public let padLeft: Int

    /// TensorFlow's `SAME`: ⌈input / stride⌉ outputs; the padding this takes is split evenly, an odd pixel going to the bottom
    /// and the right. Nil where a size is not positive.
    public static func same(height: Int, width: Int, channels: Int, outputChannels: Int, kernel: Int, stride: Int) -> Self? {
        guard height > 0, width > 0, channels > 0, outputChannels > 0, kernel > 0, stride > 0 else { return nil }
        let outputHeight = (height + stride - 1) / stride, outputWidth = (width + stride - 1) / stride
        return Self(inputHeight: height, inputWidth: width, inputChannels: channels,
                    outputHeight: outputHeight, outputWidth: outputWidth, outputChannels: outputChannels,
                    kernel: kernel, stride: stride,
                    padTop: max((outputHeight - 1) * stride + kernel - height, 0) / 2,
                    padLeft: max((outputWidth - 1) * stride + kernel - width, 0) / 2)
    }

    /// No padding: ⌊(input − kernel) / stride⌋ + 1 outputs. Nil where the kernel is larger than the input, or a size is not
    /// positive.
    public static func valid(height: Int, width: Int, channels: Int, outputChannels: Int, kernel: Int, stride: Int) -> Self? {
        guard height > 0, width > 0, channels > 0, outputChannels > 0, kernel > 0, stride > 0,
              kernel <= min(height, width) else { return nil }
        return Self(inputHeight: height, inputWidth: width, inputChannels: channels,
                    outputHeight: (height - kernel) / stride + 1, outputWidth: (width - kernel) / stride + 1,
                    outputChannels: outputChannels, kernel: kernel, stride: stride, padTop: 0, padLeft: 0)
    }

    /// Values of one example's input.
    public var inputCount: Int { inputHeight * inputWidth * inputChannels }
    /// Values of one example's output.
    public var outputCount: Int { outputHeight * outputWidth * outputChannels }
    /// Values of the weights, [kernel, kernel, inputChannels, outputChannels].
    public var weightCount: Int { kernel * kernel * inputChannels * outputChannels }
    /// Weights that feed one output value.
    var windowCount: Int { kernel * kernel * inputChannels }
    var outputPixels: Int { outputHeight * outputWidth }
    var hasNoPadding: Bool {
        padTop == 0 && padLeft == 0 && (outputHeight - 1) * stride + kernel <= inputHeight
            && (outputWidth - 1) * stride + kernel <= inputWidth
    }
}
