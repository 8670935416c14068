import CKernels

/// Convolution by products of matrices whose rows are windows of the image, a block of pixels at a time so that the
/// scratch memory stays small. Any kernel, stride and padding.
struct WindowConvolution {
    /// Largest block of scratch, in values: 16 MB.
    private static let scratchLimit = 4 << 20

    let geometry: ConvolutionGeometry
    let batch: Int

    var scratchCount: Int {
        let forward = outputBlock * geometry.windowCount
        return gathers ? max(forward, gatherBlock * (geometry.inputChannels + geometry.outputChannels)) : forward
    }

    /// Output pixels whose windows are held at a time.
    private var outputBlock: Int {
        min(batch * geometry.outputPixels, max(Self.scratchLimit / geometry.windowCount, 64))
    }

    /// Input pixels of one phase whose gradients are held at a time.
    private var gatherBlock: Int {
        let phasePixels =
            ((geometry.inputHeight + geometry.stride.height - 1) / geometry.stride.height)
            * ((geometry.inputWidth + geometry.stride.width - 1) / geometry.stride.width)
        return min(batch * phasePixels, max(Self.scratchLimit / (geometry.inputChannels + geometry.outputChannels), 64))
    }

    /// The input gradient either gathers output pixels (each read once a tap) or scatters windows (a kernel of input
    /// pixels each): whichever moves fewer values. A one-channel image scatters.
    private var gathers: Bool { geometry.inputChannels >= geometry.outputChannels }

    func forward(
        _ input: UnsafePointer<Float>, weight: UnsafePointer<Float>, into output: UnsafeMutablePointer<Float>,
        scratch: UnsafeMutablePointer<Float>
    ) {
        let outputs = geometry.outputChannels
        forEachBlock(of: batch * geometry.outputPixels, by: outputBlock) { pixels in
            copyWindows(of: input, pixels, into: scratch)
            Matrix.multiply(
                scratch, stride: geometry.windowCount, by: weight, stride: outputs,
                into: output + pixels.lowerBound * outputs, stride: outputs,
                rows: pixels.count, columns: outputs, inner: geometry.windowCount, adding: false)
        }
    }

    func weightGradient(
        input: UnsafePointer<Float>, outputGradient: UnsafePointer<Float>,
        into weightGradient: UnsafeMutablePointer<Float>, adding: Bool, scratch: UnsafeMutablePointer<Float>
    ) {
        let outputs = geometry.outputChannels
        forEachBlock(of: batch * geometry.outputPixels, by: outputBlock) { pixels in
            copyWindows(of: input, pixels, into: scratch)
            Matrix.multiply(
                scratch, stride: geometry.windowCount, transposed: true,
                by: outputGradient + pixels.lowerBound * outputs, stride: outputs,
                into: weightGradient, stride: outputs,
                rows: geometry.windowCount, columns: outputs, inner: pixels.count,
                adding: adding || pixels.lowerBound > 0)
        }
    }

    func inputGradient(
        _ outputGradient: UnsafePointer<Float>, weight: UnsafePointer<Float>,
        into inputGradient: UnsafeMutablePointer<Float>, scratch: UnsafeMutablePointer<Float>
    ) {
        if gathers {
            for rowPhase in 0 ..< geometry.stride.height {
                for columnPhase in 0 ..< geometry.stride.width {
                    gatherPhase(
                        rowPhase, columnPhase, of: outputGradient, weight: weight, into: inputGradient, scratch: scratch
                    )
                }
            }
        } else {
            scatterWindows(outputGradient, weight: weight, into: inputGradient, scratch: scratch)
        }
    }

    private func forEachBlock(of count: Int, by size: Int, _ body: (Range<Int>) -> Void) {
        for start in stride(from: 0, to: count, by: max(size, 1)) { body(start ..< min(start + size, count)) }
    }

    // MARK: Windows

    /// Calls `body` for each of the output `pixels` (numbered through the batch) and each row of its window that lies
    /// in the image: the offset in the row of windows, the offset in the input, and the values there, which are
    /// contiguous.
    @inline(__always)
    private func forEachWindowRow(of pixels: Range<Int>, whole: (Int) -> Void, _ body: (Int, Int, Int) -> Void) {
        let g = geometry, channels = g.inputChannels, windowCount = g.windowCount
        for pixel in pixels {
            let window = (pixel &- pixels.lowerBound) &* windowCount
            let column = pixel % g.outputWidth, row = pixel / g.outputWidth
            let top = row % g.outputHeight &* g.stride.height &- g.padTop
            let image = row / g.outputHeight &* g.inputHeight
            let left = column &* g.stride.width &- g.padLeft
            let firstColumn = max(-left, 0), endColumn = min(g.inputWidth &- left, g.kernel.width)
            let firstRow = max(-top, 0), endRow = min(g.inputHeight &- top, g.kernel.height)
            whole(window)
            guard firstColumn < endColumn, firstRow < endRow else { continue }
            for i in firstRow ..< endRow {
                body(
                    window &+ (i &* g.kernel.width &+ firstColumn) &* channels,
                    ((image &+ top &+ i) &* g.inputWidth &+ left &+ firstColumn) &* channels,
                    (endColumn &- firstColumn) &* channels)
            }
        }
    }

    private func copyWindows(
        of input: UnsafePointer<Float>, _ pixels: Range<Int>, into windows: UnsafeMutablePointer<Float>
    ) {
        let padded = !geometry.hasNoPadding, windowCount = geometry.windowCount
        forEachWindowRow(of: pixels) { window in
            if padded { (windows + window).update(repeating: 0, count: windowCount) }
        } _: { window, offset, count in
            (windows + window).update(from: input + offset, count: count)
        }
    }

    /// dx = the windows dy · wᵀ, each added where it came from.
    private func scatterWindows(
        _ outputGradient: UnsafePointer<Float>, weight: UnsafePointer<Float>,
        into inputGradient: UnsafeMutablePointer<Float>, scratch: UnsafeMutablePointer<Float>
    ) {
        let outputs = geometry.outputChannels
        var shape = geometry.shape
        inputGradient.update(repeating: 0, count: batch * geometry.inputCount)
        forEachBlock(of: batch * geometry.outputPixels, by: outputBlock) { pixels in
            Matrix.multiply(
                outputGradient + pixels.lowerBound * outputs, stride: outputs,
                by: weight, stride: outputs, secondTransposed: true, into: scratch, stride: geometry.windowCount,
                rows: pixels.count, columns: geometry.windowCount, inner: outputs, adding: false)
            kernels().pointee.addWindows(scratch, Part(pixels), &shape, inputGradient)
        }
    }

    // MARK: Phases

    /// The input rows (or columns) of one phase: y = stride · q + phase − pad for q in `range`. Tap a, the kernel's row
    /// phase + stride · a, brings output row q − a to it.
    private func phase(_ phase: Int, pad: Int, size: Int, kernel: Int, stride: Int) -> (range: Range<Int>, taps: Int) {
        let first = max((pad - phase + stride - 1) / stride, 0)
        let end = max((size - 1 + pad - phase + stride) / stride, first)
        return (first ..< end, max((kernel - phase + stride - 1) / stride, 0))
    }

    /// The gradient of every stride-th input pixel in both directions: a dense convolution with a part of the kernel,
    /// summed tap by tap.
    private func gatherPhase(
        _ rowPhase: Int, _ columnPhase: Int, of outputGradient: UnsafePointer<Float>,
        weight: UnsafePointer<Float>, into inputGradient: UnsafeMutablePointer<Float>,
        scratch: UnsafeMutablePointer<Float>
    ) {
        let g = geometry, inputs = g.inputChannels, outputs = g.outputChannels
        let (rows, rowTaps) = phase(
            rowPhase, pad: g.padTop, size: g.inputHeight, kernel: g.kernel.height, stride: g.stride.height)
        let (columns, columnTaps) = phase(
            columnPhase, pad: g.padLeft, size: g.inputWidth, kernel: g.kernel.width, stride: g.stride.width)
        let gathered = scratch, sums = scratch + gatherBlock * outputs
        forEachBlock(of: batch * rows.count * columns.count, by: gatherBlock) { pixels in
            if rowTaps * columnTaps == 0 { sums.update(repeating: 0, count: pixels.count * inputs) }
            for tap in 0 ..< rowTaps * columnTaps {
                let (a, b) = (tap / columnTaps, tap % columnTaps)
                gather(pixels, rows, columns, back: (a, b), of: outputGradient, into: gathered)
                let tapWeight =
                    weight
                    + ((rowPhase + g.stride.height * a) * g.kernel.width + columnPhase + g.stride.width * b) * inputs
                    * outputs
                Matrix.multiply(
                    gathered, stride: outputs, by: tapWeight, stride: outputs, secondTransposed: true,
                    into: sums, stride: inputs, rows: pixels.count, columns: inputs, inner: outputs, adding: tap > 0)
            }
            for pixel in pixels {
                let (image, q, r) = place(pixel, rows, columns)
                let y = q &* g.stride.height &+ rowPhase &- g.padTop,
                    x = r &* g.stride.width &+ columnPhase &- g.padLeft
                (inputGradient + ((image &* g.inputHeight &+ y) &* g.inputWidth &+ x) &* inputs)
                    .update(from: sums + (pixel &- pixels.lowerBound) &* inputs, count: inputs)
            }
        }
    }

    @inline(__always)
    private func place(_ pixel: Int, _ rows: Range<Int>, _ columns: Range<Int>) -> (image: Int, q: Int, r: Int) {
        let row = pixel / columns.count
        return (row / rows.count, rows.lowerBound &+ row % rows.count, columns.lowerBound &+ pixel % columns.count)
    }

    private func gather(
        _ pixels: Range<Int>, _ rows: Range<Int>, _ columns: Range<Int>, back: (Int, Int),
        of outputGradient: UnsafePointer<Float>, into gathered: UnsafeMutablePointer<Float>
    ) {
        let g = geometry, outputs = g.outputChannels
        for pixel in pixels {
            let (image, q, r) = place(pixel, rows, columns)
            let target = gathered + (pixel &- pixels.lowerBound) &* outputs
            let row = q &- back.0, column = r &- back.1
            if row >= 0, row < g.outputHeight, column >= 0, column < g.outputWidth {
                target.update(
                    from: outputGradient + ((image &* g.outputHeight &+ row) &* g.outputWidth &+ column) &* outputs,
                    count: outputs)
            } else {
                target.update(repeating: 0, count: outputs)
            }
        }
    }
}
