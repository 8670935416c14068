import CKernels

/// A convolution in groups of channels, one group after another.
///
/// A group's products are small: of 16 channels and 3 × 3 kernels, 144 by 16. BLAS would spend more on arranging their
/// matrices than on multiplying. Here the channels of a group are copied from an image into a small one of their own,
/// with the zeros that its margins take. There a window's row of pixels lies in one piece, so that no windows are
/// copied, and a product of several pixels and 16 output channels stays in registers (`multiplyBlocks`).
///
/// The input gradient is the same of the output gradient, its pixels the stride apart between zeros, with the kernel
/// turned over. Strides above 1 so multiply by zeros there.
///
/// Sums are in the order of the kernel; those of a weight over an image, then image after image.
struct GroupedConvolution {
    typealias Source = UnsafePointer<Float>
    typealias Target = UnsafeMutablePointer<Float>

    let geometry: ConvolutionGeometry
    let groups: Int
    let batch: Int

    private var inputs: Int { geometry.inputChannels / groups }
    private var outputs: Int { geometry.outputChannels / groups }

    /// Of the input: what the windows cover.
    private var inputPlane: Plane {
        let g = geometry
        return Plane(
            height: (g.outputHeight - 1) * g.stride.height + g.kernel.height,
            width: (g.outputWidth - 1) * g.stride.width + g.kernel.width, channels: inputs, top: g.padTop,
            left: g.padLeft, stepHeight: 1, stepWidth: 1)
    }

    /// Of the output gradient: what the kernel, turned over, covers from each pixel of the input.
    private var gradientPlane: Plane {
        let g = geometry
        return Plane(
            height: g.inputHeight + g.kernel.height - 1, width: g.inputWidth + g.kernel.width - 1, channels: outputs,
            top: g.kernel.height - 1 - g.padTop, left: g.kernel.width - 1 - g.padLeft,
            stepHeight: g.stride.height, stepWidth: g.stride.width)
    }

    // MARK: Scratch memory

    /// 16 columns at a time.
    private static func panels(_ columns: Int) -> Int { (columns + 15) / 16 }

    /// What is read, and not used, past the end of a plane: the rest of the last pixels that are computed at a time.
    private var planeCount: Int {
        let slack = kernels().pointee.rowsAtATime * geometry.stride.width * max(inputs, outputs)
        return max(inputPlane.count, gradientPlane.count) + slack
    }

    /// Of a group's weights, or of an image's output gradient.
    private var panelCount: Int {
        let weights = geometry.kernel.count * max(inputs * Self.panels(outputs), outputs * Self.panels(inputs))
        return 16 * max(weights, geometry.outputPixels * Self.panels(outputs))
    }

    var scratchCount: Int { panelCount + planeCount }

    private func divide(_ scratch: Target) -> (panels: Target, plane: Target) { (scratch, scratch + panelCount) }

    // MARK: Passes

    func forward(_ input: Source, weight: Source, into output: Target, scratch: Target) {
        let g = geometry, (panels, plane) = divide(scratch), shape = inputPlane
        for group in 0 ..< groups {
            packWeights(weight, group, into: panels)
            for image in 0 ..< batch {
                fill(
                    plane, shape, from: input + image * g.inputCount + group * inputs, height: g.inputHeight,
                    width: g.inputWidth, pixelStep: g.inputChannels)
                correlate(
                    plane, shape, with: panels, stride: g.stride,
                    into: output + image * g.outputCount + group * outputs, height: g.outputHeight,
                    width: g.outputWidth, channels: outputs, pixelStep: g.outputChannels)
            }
        }
    }

    func inputGradient(_ outputGradient: Source, weight: Source, into inputGradient: Target, scratch: Target) {
        let g = geometry, (panels, plane) = divide(scratch), shape = gradientPlane
        for group in 0 ..< groups {
            packTurnedWeights(weight, group, into: panels)
            for image in 0 ..< batch {
                fill(
                    plane, shape, from: outputGradient + image * g.outputCount + group * outputs,
                    height: g.outputHeight, width: g.outputWidth, pixelStep: g.outputChannels)
                correlate(
                    plane, shape, with: panels, stride: 1,
                    into: inputGradient + image * g.inputCount + group * inputs, height: g.inputHeight,
                    width: g.inputWidth, channels: inputs, pixelStep: g.inputChannels)
            }
        }
    }

    func weightGradient(
        input: Source, outputGradient: Source, into weightGradient: Target, adding: Bool, scratch: Target
    ) {
        let g = geometry, (panels, plane) = divide(scratch), shape = inputPlane
        if !adding { weightGradient.update(repeating: 0, count: g.weightCount / groups) }
        for group in 0 ..< groups {
            for image in 0 ..< batch {
                fill(
                    plane, shape, from: input + image * g.inputCount + group * inputs, height: g.inputHeight,
                    width: g.inputWidth, pixelStep: g.inputChannels)
                packRows(
                    outputGradient + image * g.outputCount + group * outputs, rows: g.outputPixels,
                    step: g.outputChannels, columns: outputs, into: panels)
                addProducts(plane, shape, panels, to: weightGradient + group * outputs)
            }
        }
    }

    // MARK: Their parts

    /// The group's channels of one image, `pixelStep` values from pixel to pixel, between zeros.
    private func fill(
        _ plane: Target, _ shape: Plane, from image: Source, height: Int, width: Int, pixelStep: Int
    ) {
        var shape = shape
        kernels().pointee.fillPlane(plane, &shape, image, height, width, pixelStep)
    }

    /// y[p, q, o] = Σ x[p · s + i, q · t + j, c] · w[i, j, c, o], of the plane x and the weights in panels.
    private func correlate(
        _ plane: Target, _ shape: Plane, with weights: Target, stride: Extent, into output: Target, height: Int,
        width: Int, channels: Int, pixelStep: Int
    ) {
        var shape = shape, geometry = geometry.shape
        kernels().pointee.correlate(
            plane, &shape, weights, &geometry, stride.height, stride.width, output, height, width, channels, pixelStep)
    }

    /// dw[i, j, c, o] += Σ x[p · s + i, q · t + j, c] · dy[p, q, o], of the plane x and the gradient in panels.
    private func addProducts(
        _ plane: Target, _ shape: Plane, _ gradient: Target, to weightGradient: Target
    ) {
        var shape = shape, geometry = geometry.shape
        kernels().pointee.addGroupProducts(plane, &shape, gradient, &geometry, outputs, weightGradient)
    }

    /// Rows of `columns` values, `step` values apart, as panels of 16 columns; the last is filled up with zeros.
    private func packRows(_ rowsOfAll: Source, rows: Int, step: Int, columns: Int, into panels: Target) {
        kernels().pointee.packRows(rowsOfAll, rows, step, columns, panels)
    }

    /// A group's weights [i, j, c] × [o].
    private func packWeights(_ weight: Source, _ group: Int, into panels: Target) {
        packRows(
            weight + group * outputs, rows: geometry.kernel.count * inputs, step: geometry.outputChannels,
            columns: outputs, into: panels)
    }

    /// A group's weights, turned over, as [i, j, o] × [c].
    private func packTurnedWeights(_ weight: Source, _ group: Int, into panels: Target) {
        let places = geometry.kernel.count, step = geometry.outputChannels
        panels.update(repeating: 0, count: places * outputs * Self.panels(inputs) * 16)
        for channel in 0 ..< inputs {
            let panel = panels + channel / 16 * places * outputs * 16 + channel % 16
            for place in 0 ..< places {
                let source = weight + ((places - 1 - place) * inputs + channel) * step + group * outputs
                for output in 0 ..< outputs { panel[(place * outputs + output) * 16] = source[output] }
            }
        }
    }
}

private extension Plane {
    var count: Int { height * width * channels }
}
