import CKernels

/// A convolution in which each channel has a kernel of its own: y[n, p, q, c] = Σ over i, j of
/// x[n, p·s + i − top, q·t + j − left, c] · w[i, j, c]. The lanes of a vector are channels.
struct DepthwiseConvolution {
    let geometry: ConvolutionGeometry
    let batch: Int

    func forward(_ input: Floats, weight: Floats, into output: Floats) {
        var shape = geometry.shape
        kernels().pointee.depthwiseForward(input.base, weight.base, output.base, &shape, batch)
    }

    func inputGradient(_ outputGradient: Floats, weight: Floats, into inputGradient: Floats) {
        var shape = geometry.shape
        kernels().pointee.depthwiseInputGradient(
            outputGradient.base, weight.base, inputGradient.base, &shape, batch)
    }

    /// Sums over an output row are added to the total.
    func weightGradient(input: Floats, outputGradient: Floats, into weightGradient: Floats, adding: Bool) {
        if !adding { weightGradient[0 ..< geometry.kernel.count * geometry.inputChannels].fill(0) }
        var shape = geometry.shape
        kernels().pointee.addDepthwiseWeightGradient(
            input.base, outputGradient.base, weightGradient.base, &shape, batch)
    }
}
