import CKernels

/// The 4 × 4 convolution of stride 2 and its adjoints with 25 multiplications where the definition takes 64.
///
/// Split by parity, it is a sum of four dense 2 × 2 convolutions: with xᵣ[q] = x[2q + r − pad],
///
///     y[o] = Σ over r, a in {0, 1} of xᵣ[o + a] · w[r + 2a]    (in both directions),
///
/// and each of those is computed for tiles of 4 × 4 outputs by the transforms of F(4, 2) in both directions. At each of
/// the 25 points what remains is a product of matrices, in which the four parities lie side by side:
///
///     Y = X U,  X = Z Uᵀ,  U = Xᵀ Z    with X: tiles × 4·in, U: 4·in × out, Y, Z: tiles × out.
///
/// The transforms write their matrices as ``Panels``. Those of the images are kept for a block of tiles. Weights and
/// results are made and used a few panels at a time, while they are in the cache: transforming the weights anew in
/// each pass costs less than reading transformed ones, which are six times larger, from memory.
struct WinogradConvolution {
    typealias Source = UnsafePointer<Float>
    typealias Target = UnsafeMutablePointer<Float>

    let geometry: ConvolutionGeometry
    let batch: Int
    let tileRows: Int
    let tileColumns: Int
    /// Tiles of a block, and the rows of its matrices.
    private let blockTiles: Int
    private let rows: Int
    /// Panels of weights and results that are made at a time.
    private let panelsAtATime: Int
    /// Terms of a sum for which weights are transformed at a time: they stay in the smallest cache, a panel and point
    /// at a time.
    private static let chunk = 64

    /// Whether it can be used, and pays.
    static func suits(_ g: ConvolutionGeometry, batch: Int) -> Bool {
        g.kernel == 4 && g.stride == 2 && g.inputChannels % 16 == 0 && g.outputChannels % 16 == 0
            && min(g.inputChannels, g.outputChannels) >= 32 && min(g.outputHeight, g.outputWidth) >= 3
            && batch * ((g.outputHeight + 3) / 4) * ((g.outputWidth + 3) / 4) >= 8
    }

    /// `imageLimit` and `resultLimit`: about how many values of a transformed image (16 MB) and of results (0.5 MB)
    /// there may be.
    init(geometry: ConvolutionGeometry, batch: Int, imageLimit: Int = 4 << 20, resultLimit: Int = 1 << 17) {
        precondition(
            geometry.kernel == 4 && geometry.stride == 2 && geometry.inputChannels % 16 == 0
                && geometry.outputChannels % 16 == 0,
            "the Winograd form is of 4 × 4 kernels, stride 2 and multiples of 16 channels")
        self.geometry = geometry
        self.batch = batch
        tileRows = (geometry.outputHeight + 3) / 4
        tileColumns = (geometry.outputWidth + 3) / 4
        let tiles = batch * tileRows * tileColumns
        let most = max(imageLimit / (25 * max(4 * geometry.inputChannels, geometry.outputChannels)), 1)
        let blocks = max((tiles + most - 1) / most, 1)
        blockTiles = (tiles + blocks - 1) / blocks
        rows = Panels.rounded(rows: blockTiles)
        panelsAtATime = min(max(resultLimit / (25 * 16 * max(rows, 1)), 1), 4)
    }

    var scratchCount: Int {
        let images = imagePoint(4 * geometry.inputChannels) + imagePoint(geometry.outputChannels)
        let weights = (25 + 4 * panelsAtATime) * Self.chunkPoint
        return 25 * (images + resultPoint(rows) + resultPoint(16)) + weights + 25 * 16
    }

    func forward(_ input: Source, weight: Source, into output: Target, scratch: Target) {
        var plan = plan
        let width = 4 * geometry.inputChannels
        let x = scratch, y = x + 25 * imagePoint(width),
            room = WeightRoom(y + 25 * resultPoint(rows), panels: panelsAtATime)
        forEachBlock(of: batch * tileRows * tileColumns, by: blockTiles) { tiles in
            kernels().pointee.transformInput(&plan, input, Part(tiles), x, room.work)
            forEachBlock(of: geometry.outputChannels / 16, by: panelsAtATime) { panels in
                for parity in 0 ..< 4 {
                    forEachBlock(of: geometry.inputChannels, by: Self.chunk) { inputs in
                        let terms = x + (parity * geometry.inputChannels + inputs.lowerBound) * rows
                        for panel in panels {
                            kernels().pointee.copyTaps(
                                &plan, weight, parity, Part(inputs), panel, room.taps(panel - panels.lowerBound))
                        }
                        let isLast = inputs.upperBound == geometry.inputChannels, start = isLast ? 0 : inputs.upperBound
                        var next = upcoming(
                            weight, isLast ? (parity + 1) % 4 : parity, rows: start ..< start + Self.chunk,
                            columns: panels.lowerBound * 16 ..< panels.upperBound * 16, during: panels.count)
                        kernels().pointee.addWinogradProducts(
                            &plan, terms, imagePoint(width), inputs.count, panels.count, room.transformed,
                            room.taps(0), y, parity > 0 || inputs.lowerBound > 0, &next)
                    }
                }
                kernels().pointee.writeOutput(&plan, y, Part(tiles), Part(panels), output, room.work)
            }
        }
    }

    func inputGradient(_ outputGradient: Source, weight: Source, into inputGradient: Target, scratch: Target) {
        var plan = plan
        let width = geometry.outputChannels
        let z = scratch, x = z + 25 * imagePoint(width),
            room = WeightRoom(x + 25 * resultPoint(rows), panels: panelsAtATime)
        if !geometry.everyInputIsRead { inputGradient.update(repeating: 0, count: batch * geometry.inputCount) }
        forEachBlock(of: batch * tileRows * tileColumns, by: blockTiles) { tiles in
            kernels().pointee.transformOutputGradient(&plan, outputGradient, Part(tiles), z, room.work)
            for parity in 0 ..< 4 {
                forEachBlock(of: geometry.inputChannels / 16, by: panelsAtATime) { panels in
                    forEachBlock(of: width, by: Self.chunk) { outputs in
                        for panel in panels {
                            kernels().pointee.transposeTaps(
                                &plan, weight, parity, panel, Part(outputs), room.taps(panel - panels.lowerBound))
                        }
                        let isLast = outputs.upperBound == width, start = isLast ? 0 : outputs.upperBound
                        let panelsOfNext = isLast ? panels.upperBound ..< panels.upperBound + panelsAtATime : panels
                        var next = upcoming(
                            weight, parity, rows: panelsOfNext.lowerBound * 16 ..< panelsOfNext.upperBound * 16,
                            columns: start ..< start + Self.chunk, during: panels.count)
                        kernels().pointee.addWinogradProducts(
                            &plan, z + outputs.lowerBound * rows, imagePoint(width), outputs.count, panels.count,
                            room.transformed, room.taps(0), x, outputs.lowerBound > 0, &next)
                    }
                    kernels().pointee.addInputGradient(
                        &plan, x, Part(tiles), parity, Part(panels), inputGradient, room.work)
                }
            }
        }
    }

    func weightGradient(
        input: Source, outputGradient: Source, into weightGradient: Target, adding: Bool, scratch: Target
    ) {
        var plan = plan
        let width = 4 * geometry.inputChannels, inputPanels = geometry.inputChannels / 16
        let x = scratch, z = x + 25 * imagePoint(width), u = z + 25 * imagePoint(geometry.outputChannels)
        let work = u + 25 * resultPoint(16)
        forEachBlock(of: batch * tileRows * tileColumns, by: blockTiles) { tiles in
            kernels().pointee.transformInput(&plan, input, Part(tiles), x, work)
            kernels().pointee.transformOutputGradient(&plan, outputGradient, Part(tiles), z, work)
            // A few rows of the gradient at a time are written from end to end: so many pages of memory are in use
            // and no more.
            for parity in 0 ..< 4 {
                forEachBlock(of: inputPanels, by: panelsAtATime) { panels in
                    for outputPanel in 0 ..< geometry.outputChannels / 16 {
                        var written = upcoming(
                            weightGradient, parity, rows: panels.lowerBound * 16 ..< panels.upperBound * 16,
                            columns: outputPanel * 16 ..< outputPanel * 16 + 16, during: panels.count)
                        let left = x + (parity * inputPanels + panels.lowerBound) * 16 * rows,
                            right = z + outputPanel * 16 * rows
                        kernels().pointee.multiplyWinogradTransposed(
                            &plan, left, right, panels.count, u, &written)
                        kernels().pointee.writeWeightGradient(
                            &plan, u, parity, Part(panels), outputPanel, weightGradient,
                            adding || tiles.lowerBound > 0, work)
                    }
                }
            }
        }
    }

    private func forEachBlock(of count: Int, by size: Int, _ body: (Range<Int>) -> Void) {
        for start in stride(from: 0, to: count, by: max(size, 1)) { body(start ..< min(start + size, count)) }
    }

    /// Values from one point's matrix to the next's, for images, results and chunks of weights. A cache line more
    /// than it is large, lest the 25 meet in one cache set.
    private func imagePoint(_ columns: Int) -> Int { columns * rows + 16 }
    private func resultPoint(_ rows: Int) -> Int { panelsAtATime * 16 * rows + 16 }
    private static let chunkPoint = chunk * 16 + 16

    /// Memory for the weights of a few panels.
    private struct WeightRoom {
        /// Those of one panel transformed, at all points.
        let transformed: Target
        let work: Target
        private let taps: Target

        init(_ memory: Target, panels: Int) {
            transformed = memory
            taps = transformed + 25 * chunkPoint
            work = taps + 4 * panels * chunkPoint
        }

        /// A panel's four taps of one parity, one after the other.
        func taps(_ panel: Int) -> Target { taps + panel * 4 * chunkPoint }
    }

    private var plan: WinogradPlan {
        WinogradPlan(
            shape: geometry.shape, tileRows: tileRows, tileColumns: tileColumns, rows: rows,
            inputPoint: imagePoint(4 * geometry.inputChannels), outputPoint: imagePoint(geometry.outputChannels),
            resultPoint: resultPoint(rows), gradientPoint: resultPoint(16), chunkPoint: Self.chunkPoint)
    }

    /// The weights of one parity in some rows (inputs) and columns (outputs), as far as there are such, to be fetched
    /// between the products of `panels`.
    private func upcoming(
        _ weight: Source, _ parity: Int, rows: Range<Int>, columns: Range<Int>, during panels: Int
    ) -> UpcomingWeights {
        let step = geometry.outputChannels
        let columns = columns.clamped(to: 0 ..< step), rows = rows.clamped(to: 0 ..< geometry.inputChannels)
        let first = weight + (rows.lowerBound * step + columns.lowerBound)
        // Weight [r + 2a, s + 2b], parity = 2r + s.
        func tap(_ a: Int, _ b: Int) -> Source {
            first + ((parity / 2 + 2 * a) * 4 + parity % 2 + 2 * b) * geometry.inputChannels * step
        }
        let lines = columns.count / 16, parts = 25 * panels
        return UpcomingWeights(
            taps: (tap(0, 0), tap(0, 1), tap(1, 0), tap(1, 1)), rows: rows.count, rowStep: step, lines: lines,
            linesAtATime: (4 * rows.count * lines + parts - 1) / parts, tap: 0, row: 0, line: 0)
    }
}
