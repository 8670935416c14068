/// A convolution in which each channel has a kernel of its own: y[n, p, q, c] = Σ over i, j of
/// x[n, p·s + i − top, q·t + j − left, c] · w[i, j, c]. The lanes of a vector are channels.
struct DepthwiseConvolution {
    let geometry: ConvolutionGeometry
    let batch: Int

    func forward(_ input: Floats, weight: Floats, into output: Floats) {
        let g = geometry, channels = g.inputChannels, row = g.inputWidth * channels
        forEachWindow { target, source, rows, columns in
            forEachEight(channels) { channel, lanes in
                var sum = Vector.zero
                for i in rows {
                    for j in columns {
                        let x = input.lanes(at: source &+ i &* row &+ j &* channels &+ channel, lanes)
                        sum += x * weight.lanes(at: (i &* g.kernel.width &+ j) &* channels &+ channel, lanes)
                    }
                }
                output.setLanes(sum, at: target &+ channel, lanes)
            }
        }
    }

    func inputGradient(_ outputGradient: Floats, weight: Floats, into inputGradient: Floats) {
        let g = geometry, channels = g.inputChannels, row = g.inputWidth * channels
        inputGradient[0 ..< batch * g.inputCount].fill(0)
        forEachWindow { source, target, rows, columns in
            for i in rows {
                for j in columns {
                    let place = (i &* g.kernel.width &+ j) &* channels, pixel = target &+ i &* row &+ j &* channels
                    forEachEight(channels) { channel, lanes in
                        let dy = outputGradient.lanes(at: source &+ channel, lanes)
                        let sum =
                            inputGradient.lanes(at: pixel &+ channel, lanes)
                            + dy * weight.lanes(at: place &+ channel, lanes)
                        inputGradient.setLanes(sum, at: pixel &+ channel, lanes)
                    }
                }
            }
        }
    }

    /// Sums over an output row are added to the total.
    func weightGradient(input: Floats, outputGradient: Floats, into weightGradient: Floats, adding: Bool) {
        let g = geometry, channels = g.inputChannels
        if !adding { weightGradient[0 ..< g.kernel.count * channels].fill(0) }
        for image in 0 ..< batch {
            for p in 0 ..< g.outputHeight {
                let top = p * g.stride.height - g.padTop
                for i in max(-top, 0) ..< min(g.kernel.height, g.inputHeight - top) {
                    for j in 0 ..< g.kernel.width {
                        addRow(image, p, top + i, j, input, outputGradient, to: weightGradient, i)
                    }
                }
            }
        }
    }

    /// dw[i, j, c] += Σ_q x[n, y, q·t + j − left, c] · dy[n, p, q, c].
    private func addRow(
        _ image: Int, _ p: Int, _ y: Int, _ j: Int, _ input: Floats, _ outputGradient: Floats,
        to weightGradient: Floats, _ i: Int
    ) {
        let g = geometry, channels = g.inputChannels, shift = j - g.padLeft
        // The output pixels whose window has this column within the image.
        let first = max((-shift + g.stride.width - 1) / g.stride.width, 0)
        let end = min((g.inputWidth - 1 - shift) / g.stride.width + 1, g.outputWidth)
        guard shift < g.inputWidth, first < end else { return }
        let source = (image * g.inputHeight + y) * g.inputWidth + shift, gradient = (image * g.outputHeight + p)
        forEachEight(channels) { channel, lanes in
            var sum = Vector.zero
            for q in first ..< end {
                let x = input.lanes(at: (source &+ q &* g.stride.width) &* channels &+ channel, lanes)
                sum += x * outputGradient.lanes(at: (gradient &* g.outputWidth &+ q) &* channels &+ channel, lanes)
            }
            let place = (i &* g.kernel.width &+ j) &* channels &+ channel
            weightGradient.setLanes(weightGradient.lanes(at: place, lanes) + sum, at: place, lanes)
        }
    }

    /// Calls `body` for each output pixel: the offset of its values, that of its window's first pixel in the input,
    /// which may lie outside, and the rows and columns of the window within the image.
    @inline(__always)
    private func forEachWindow(
        _ body: (_ output: Int, _ input: Int, _ rows: Range<Int>, _ columns: Range<Int>) -> Void
    ) {
        let g = geometry, channels = g.inputChannels
        var output = 0
        for image in 0 ..< batch {
            for p in 0 ..< g.outputHeight {
                let top = p * g.stride.height - g.padTop
                let firstRow = min(max(-top, 0), g.kernel.height)
                let rows = firstRow ..< max(min(g.kernel.height, g.inputHeight - top), firstRow)
                for q in 0 ..< g.outputWidth {
                    let left = q * g.stride.width - g.padLeft
                    let firstColumn = min(max(-left, 0), g.kernel.width)
                    let columns = firstColumn ..< max(min(g.kernel.width, g.inputWidth - left), firstColumn)
                    body(output, ((image * g.inputHeight + top) * g.inputWidth + left) * channels, rows, columns)
                    output += channels
                }
            }
        }
    }
}
