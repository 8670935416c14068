import CKernels

/// A 3 × 3 convolution of stride 1 beside a resampling by two, computed as one of a 4 × 4 kernel and stride 2.
///
/// Where 2 × 2 pixels become their mean after the convolution, that is a convolution of stride 2, whose tap k is half
/// the sum of taps k − 1 and k along each axis. Where each pixel becomes 2 × 2 before it, it is the adjoint of one, a
/// transposed convolution, whose tap k is the sum of taps 2 − k and 3 − k. That takes 16 products where the two apart
/// take 36, and in Winograd's forms 25 / 4 where they take 9. (Karras et al. 2018, arXiv:1710.10196, have it as
/// `conv2d_downscale2d` and `upscale2d_conv2d` in their code.)
///
/// Sums are of other order than apart, so the last bits are other.
public struct WidenedConvolution: Sendable {
    /// That of stride 2, from the larger image to the smaller.
    private let wide: Convolution
    /// Whether the input is the smaller image.
    private let isTransposed: Bool
    private let inputs, outputs: Int

    /// `larger`: the images of the 3 × 3 convolution itself, whose margin of zeros is one pixel; of even height and
    /// width. `resamplesFirst`: each of its pixels is one of 2 × 2 like ones; otherwise its output becomes means.
    public init(larger: ConvolutionGeometry, resamplesFirst: Bool) {
        precondition(
            larger.kernel == 3 && larger.stride == 1 && larger.padTop == 1 && larger.padLeft == 1
                && larger.inputHeight % 2 == 0 && larger.inputWidth % 2 == 0, "\(larger) beside a resampling by two")
        (inputs, outputs) = (larger.inputChannels, larger.outputChannels)
        isTransposed = resamplesFirst
        wide = Convolution(
            ConvolutionGeometry.same(
                height: larger.inputHeight, width: larger.inputWidth, channels: resamplesFirst ? outputs : inputs,
                outputChannels: resamplesFirst ? inputs : outputs, kernel: 4, stride: 2)!)
    }

    private var kernelCount: Int { (16 * inputs * outputs + 15) / 16 * 16 }

    /// Values of scratch memory that each of the passes may use for `batch` examples.
    public func scratchCount(batch: Int) -> Int { kernelCount + wide.scratchCount(batch: batch) }

    /// What computes it, as ``Convolution/algorithmName(batch:)``.
    public func algorithmName(batch: Int) -> String { wide.algorithmName(batch: batch) }

    private func parts(of scratch: Floats) -> (kernel: Floats, rest: Floats) {
        (scratch[0 ..< 16 * inputs * outputs], scratch[kernelCount ..< scratch.count])
    }

    /// The convolution of stride 2, or its adjoint.
    private func multiply(
        _ values: Floats, _ weight: Floats, into result: Floats, isAdjoint: Bool, _ batch: Int, _ scratch: Floats
    ) {
        precondition(weight.count >= 9 * inputs * outputs, "\(weight.count) weights for \(wide.geometry)")
        let (kernel, rest) = parts(of: scratch)
        kernels().pointee.widenKernel(weight.base, inputs, outputs, isTransposed, kernel.base)
        if isAdjoint {
            wide.inputGradient(values, weight: kernel, into: result, batch: batch, scratch: rest)
        } else {
            wide.forward(values, weight: kernel, into: result, batch: batch, scratch: rest)
        }
    }

    /// Overwrites `output`. `weight`: [3, 3, input channels, output channels].
    public func forward(_ input: Floats, weight: Floats, into output: Floats, batch: Int, scratch: Floats) {
        multiply(input, weight, into: output, isAdjoint: isTransposed, batch, scratch)
    }

    /// Overwrites `inputGradient` with the gradient of the loss with respect to the input.
    public func inputGradient(
        _ outputGradient: Floats, weight: Floats, into inputGradient: Floats, batch: Int, scratch: Floats
    ) {
        multiply(outputGradient, weight, into: inputGradient, isAdjoint: !isTransposed, batch, scratch)
    }

    /// Overwrites `weightGradient` with the gradient with respect to the 3 × 3 weights, or adds to it if `adding`.
    public func weightGradient(
        input: Floats, outputGradient: Floats, into weightGradient: Floats, adding: Bool, batch: Int, scratch: Floats
    ) {
        precondition(weightGradient.count >= 9 * inputs * outputs, "\(weightGradient.count) weights")
        let (kernel, rest) = parts(of: scratch)
        wide.weightGradient(
            input: isTransposed ? outputGradient : input, outputGradient: isTransposed ? input : outputGradient,
            into: kernel, adding: false, batch: batch, scratch: rest)
        kernels().pointee.widenKernelGradient(
            kernel.base, inputs, outputs, isTransposed, adding, weightGradient.base)
    }
}
