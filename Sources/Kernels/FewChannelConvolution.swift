import CKernels

/// A convolution from or to an image of one to four channels, as at the ends of most networks, with the loops over
/// pixels and taps as they are defined: copied windows would move more values than they multiply.
///
/// With s one of the few channels, c one of the many, and q a pixel of the image that is computed, p those that it
/// meets in the other,
///
///     many[q, c] = Σ_p,s few[p, s] · w[tap, s, c],    few[q, s] = Σ_p,c many[p, c] · w[tap, s, c],
///     dw[tap, s, c] = Σ few[p, s] · many[q, c],
///
/// of which the forward pass and the input's gradient are the first and the second where the few are inputs, the
/// second and the first where they are outputs. The lanes of a vector are channels. Sums of dw are taken over the
/// pixels of a row, the rows of an image, and the images.
struct FewChannelConvolution {
    let geometry: ConvolutionGeometry
    let batch: Int

    static func suits(_ g: ConvolutionGeometry) -> Bool {
        min(g.inputChannels, g.outputChannels) <= 4 && max(g.inputChannels, g.outputChannels) % 16 == 0
            && max(g.kernel.height, g.kernel.width) <= 8
    }

    /// Weights as [tap, few, many], and sums over an image of their gradient; their sums over the images where they
    /// are not stored so.
    var scratchCount: Int { 2 * geometry.weightCount }

    private var fewAreInputs: Bool { geometry.inputChannels <= 4 }

    func forward(_ input: Floats, weight: Floats, into output: Floats, scratch: Floats) {
        var shape = geometry.shape
        let weights = fewFirst(weight, scratch)
        if fewAreInputs {
            kernels().pointee.expandFew(input.base, weights.base, &shape, batch, true, output.base)
        } else {
            kernels().pointee.reduceToFew(input.base, weights.base, &shape, batch, false, output.base)
        }
    }

    func inputGradient(_ outputGradient: Floats, weight: Floats, into inputGradient: Floats, scratch: Floats) {
        var shape = geometry.shape
        let weights = fewFirst(weight, scratch)
        if fewAreInputs {
            kernels().pointee.reduceToFew(outputGradient.base, weights.base, &shape, batch, true, inputGradient.base)
        } else {
            kernels().pointee.expandFew(outputGradient.base, weights.base, &shape, batch, false, inputGradient.base)
        }
    }

    func weightGradient(
        input: Floats, outputGradient: Floats, into weightGradient: Floats, adding: Bool, scratch: Floats
    ) {
        var shape = geometry.shape
        let count = geometry.weightCount, ofImage = scratch[count ..< 2 * count]
        if !adding { weightGradient[0 ..< count].fill(0) }
        if fewAreInputs {
            kernels().pointee.addProductsOfFew(
                input.base, outputGradient.base, &shape, batch, true, weightGradient.base, ofImage.base)
        } else {
            let sums = scratch[0 ..< count]
            sums.fill(0)
            kernels().pointee.addProductsOfFew(
                outputGradient.base, input.base, &shape, batch, false, sums.base, ofImage.base)
            forEachWeight { few, many in weightGradient[many] += sums[few] }
        }
    }

    /// The weights as [tap, few, many]: as they are where the few are inputs.
    private func fewFirst(_ weight: Floats, _ scratch: Floats) -> Floats {
        if fewAreInputs { return weight }
        forEachWeight { few, many in scratch[few] = weight[many] }
        return scratch
    }

    /// The places of each weight in [tap, few, many] and in [tap, many, few].
    @inline(__always)
    private func forEachWeight(_ body: (_ few: Int, _ many: Int) -> Void) {
        let few = geometry.outputChannels, many = geometry.inputChannels
        for tap in 0 ..< geometry.kernel.count {
            for s in 0 ..< few {
                for c in 0 ..< many { body((tap * few + s) * many + c, (tap * many + c) * few + s) }
            }
        }
    }
}
