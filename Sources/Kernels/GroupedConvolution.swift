import CVector

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

    /// The channels of one group of an image, within zeros.
    private struct Plane {
        let height: Int
        let width: Int
        let channels: Int
        /// Where the image's first pixel lies, and the steps from one of its pixels to the next.
        let top: Int
        let left: Int
        let step: Extent

        var count: Int { height * width * channels }
    }

    /// Of the input: what the windows cover.
    private var inputPlane: Plane {
        let g = geometry
        return Plane(
            height: (g.outputHeight - 1) * g.stride.height + g.kernel.height,
            width: (g.outputWidth - 1) * g.stride.width + g.kernel.width, channels: inputs, top: g.padTop,
            left: g.padLeft, step: 1)
    }

    /// Of the output gradient: what the kernel, turned over, covers from each pixel of the input.
    private var gradientPlane: Plane {
        let g = geometry
        return Plane(
            height: g.inputHeight + g.kernel.height - 1, width: g.inputWidth + g.kernel.width - 1, channels: outputs,
            top: g.kernel.height - 1 - g.padTop, left: g.kernel.width - 1 - g.padLeft, step: g.stride)
    }

    // MARK: Scratch memory

    /// 16 columns at a time.
    private static func panels(_ columns: Int) -> Int { (columns + 15) / 16 }
    private static let rows = Int(rowsAtATime)

    /// What is read, and not used, past the end of a plane: the rest of the last pixels that are computed at a time.
    private var planeCount: Int {
        let slack = Self.rows * geometry.stride.width * max(inputs, outputs)
        return max(inputPlane.count, gradientPlane.count) + slack
    }

    /// Of a group's weights, or of an image's output gradient.
    private var panelCount: Int {
        let weights = geometry.kernel.count * max(inputs * Self.panels(outputs), outputs * Self.panels(inputs))
        return 16 * max(weights, geometry.outputPixels * Self.panels(outputs))
    }

    private static var tileCount: Int { 16 * rows }

    var scratchCount: Int { Self.tileCount + panelCount + planeCount }

    private func divide(_ scratch: Target) -> (tile: Target, panels: Target, plane: Target) {
        (scratch, scratch + Self.tileCount, scratch + Self.tileCount + panelCount)
    }

    // MARK: Passes

    func forward(_ input: Source, weight: Source, into output: Target, scratch: Target) {
        let g = geometry, (tile, panels, plane) = divide(scratch), shape = inputPlane
        for group in 0 ..< groups {
            packWeights(weight, group, into: panels)
            for image in 0 ..< batch {
                fill(
                    plane, shape, from: input + image * g.inputCount + group * inputs, height: g.inputHeight,
                    width: g.inputWidth, pixelStep: g.inputChannels)
                correlate(
                    plane, shape, with: panels, stride: g.stride,
                    into: output + image * g.outputCount + group * outputs, height: g.outputHeight,
                    width: g.outputWidth, channels: outputs, pixelStep: g.outputChannels, tile: tile)
            }
        }
    }

    func inputGradient(_ outputGradient: Source, weight: Source, into inputGradient: Target, scratch: Target) {
        let g = geometry, (tile, panels, plane) = divide(scratch), shape = gradientPlane
        for group in 0 ..< groups {
            packTurnedWeights(weight, group, into: panels)
            for image in 0 ..< batch {
                fill(
                    plane, shape, from: outputGradient + image * g.outputCount + group * outputs,
                    height: g.outputHeight, width: g.outputWidth, pixelStep: g.outputChannels)
                correlate(
                    plane, shape, with: panels, stride: 1,
                    into: inputGradient + image * g.inputCount + group * inputs, height: g.inputHeight,
                    width: g.inputWidth, channels: inputs, pixelStep: g.inputChannels, tile: tile)
            }
        }
    }

    func weightGradient(
        input: Source, outputGradient: Source, into weightGradient: Target, adding: Bool, scratch: Target
    ) {
        let g = geometry, (tile, panels, plane) = divide(scratch), shape = inputPlane
        if !adding { weightGradient.update(repeating: 0, count: g.weightCount / groups) }
        for group in 0 ..< groups {
            for image in 0 ..< batch {
                fill(
                    plane, shape, from: input + image * g.inputCount + group * inputs, height: g.inputHeight,
                    width: g.inputWidth, pixelStep: g.inputChannels)
                packRows(
                    outputGradient + image * g.outputCount + group * outputs, rows: g.outputPixels,
                    step: g.outputChannels, columns: outputs, into: panels)
                addProducts(plane, shape, panels, to: weightGradient + group * outputs, tile: tile)
            }
        }
    }

    // MARK: Their parts

    /// The group's channels of one image, `pixelStep` values from pixel to pixel, between zeros.
    private func fill(
        _ plane: Target, _ shape: Plane, from image: Source, height: Int, width: Int, pixelStep: Int
    ) {
        let channels = shape.channels
        plane.update(repeating: 0, count: shape.count)
        // At the bottom and the right there may be pixels that no window reaches.
        let rows = min(height, (shape.height - shape.top - 1) / shape.step.height + 1)
        let columns = min(width, (shape.width - shape.left - 1) / shape.step.width + 1)
        for y in 0 ..< rows {
            var source = image + y &* width &* pixelStep
            var target = plane + ((shape.top &+ y &* shape.step.height) &* shape.width &+ shape.left) &* channels
            for _ in 0 ..< columns {
                if channels == 16 {
                    Panels.store(Panels.load(source), target)
                } else {
                    for channel in 0 ..< channels { target[channel] = source[channel] }
                }
                source += pixelStep
                target += shape.step.width &* channels
            }
        }
    }

    /// y[p, q, o] = Σ x[p · s + i, q · t + j, c] · w[i, j, c, o], of the plane x and the weights in panels.
    private func correlate(
        _ plane: Target, _ shape: Plane, with weights: Target, stride: Extent, into output: Target, height: Int,
        width: Int, channels: Int, pixelStep: Int, tile: Target
    ) {
        let kernel = geometry.kernel, row = shape.width &* shape.channels, terms = kernel.width &* shape.channels
        let pixel = stride.width &* shape.channels
        for y in 0 ..< height {
            for x in Swift.stride(from: 0, to: width, by: Self.rows) {
                let first = plane + y &* stride.height &* row + x &* pixel, count = min(Self.rows, width &- x)
                for panel in 0 ..< Self.panels(channels) {
                    multiplyBlocks(
                        first, row, pixel, 1, kernel.height, terms, weights + panel &* kernel.height &* terms &* 16,
                        terms &* 16, tile)
                    let target = output + (y &* width &+ x) &* pixelStep + 16 &* panel
                    Self.write(
                        tile, rows: count, columns: min(16, channels &- 16 &* panel), to: target, step: pixelStep,
                        adding: false)
                }
            }
        }
    }

    /// dw[i, j, c, o] += Σ x[p · s + i, q · t + j, c] · dy[p, q, o], of the plane x and the gradient in panels.
    private func addProducts(
        _ plane: Target, _ shape: Plane, _ gradient: Target, to weightGradient: Target, tile: Target
    ) {
        let g = geometry, row = shape.width &* inputs, terms = g.kernel.width &* inputs
        for i in 0 ..< g.kernel.height {
            for term in Swift.stride(from: 0, to: terms, by: Self.rows) {
                let count = min(Self.rows, terms &- term)
                for panel in 0 ..< Self.panels(outputs) {
                    multiplyBlocks(
                        plane + i &* row + term, g.stride.height &* row, 1, g.stride.width &* inputs, g.outputHeight,
                        g.outputWidth, gradient + panel &* g.outputPixels &* 16, g.outputWidth &* 16, tile)
                    let target = weightGradient + (i &* terms &+ term) &* g.outputChannels + 16 &* panel
                    Self.write(
                        tile, rows: count, columns: min(16, outputs &- 16 &* panel), to: target,
                        step: g.outputChannels, adding: true)
                }
            }
        }
    }

    /// The first rows and columns of a tile, to rows `step` values apart.
    @inline(__always)
    private static func write(_ tile: Target, rows: Int, columns: Int, to target: Target, step: Int, adding: Bool) {
        for row in 0 ..< rows {
            let source = tile + 16 &* row, target = target + row &* step
            if columns == 16 {
                Panels.store(adding ? Panels.load(target) + Panels.load(source) : Panels.load(source), target)
            } else {
                for column in 0 ..< columns {
                    target[column] = adding ? target[column] + source[column] : source[column]
                }
            }
        }
    }

    /// Rows of `columns` values, `step` values apart, as panels of 16 columns; the last is filled up with zeros.
    private func packRows(_ rowsOfAll: Source, rows: Int, step: Int, columns: Int, into panels: Target) {
        for panel in 0 ..< Self.panels(columns) {
            let count = min(16, columns &- 16 &* panel)
            for row in 0 ..< rows {
                let source = rowsOfAll + row &* step + 16 &* panel, target = panels + (panel &* rows &+ row) &* 16
                if count == 16 {
                    Panels.store(Panels.load(source), target)
                } else {
                    target.update(repeating: 0, count: 16)
                    for column in 0 ..< count { target[column] = source[column] }
                }
            }
        }
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
