import CVector

/// The 4 × 4 convolution of stride 2 and its adjoints with 25 multiplications where the definition takes 64.
///
/// Split by parity, it is a sum of four dense 2 × 2 convolutions: with xᵣ[q] = x[2q + r − pad],
///
///     y[o] = Σ over r, a in {0, 1} of xᵣ[o + a] · w[r + 2a]    (in both directions),
///
/// and each of those is computed for tiles of 4 × 4 outputs by ``WinogradTransform`` in both directions. At each of
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
    typealias Transform = WinogradTransform

    let geometry: ConvolutionGeometry
    let batch: Int
    let tileRows: Int
    let tileColumns: Int
    /// Tiles of a block, and the rows of its matrices.
    private let blockTiles: Int
    let rows: Int
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
        return 25 * (images + resultPoint(rows) + resultPoint(16)) + weights + Transform.workCount
    }

    func forward(_ input: Source, weight: Source, into output: Target, scratch: Target) {
        let width = 4 * geometry.inputChannels
        let x = scratch, y = x + 25 * imagePoint(width),
            room = WeightRoom(y + 25 * resultPoint(rows), panels: panelsAtATime)
        forEachBlock(of: batch * tileRows * tileColumns, by: blockTiles) { tiles in
            transformInput(input, tiles, into: x, room.work)
            forEachBlock(of: geometry.outputChannels / 16, by: panelsAtATime) { panels in
                for parity in 0 ..< 4 {
                    forEachBlock(of: geometry.inputChannels, by: Self.chunk) { inputs in
                        let terms = x + (parity * geometry.inputChannels + inputs.lowerBound) * rows
                        for panel in panels {
                            copyTaps(weight, parity, inputs, panel: panel, into: room.taps(panel - panels.lowerBound))
                        }
                        let isLast = inputs.upperBound == geometry.inputChannels, start = isLast ? 0 : inputs.upperBound
                        var next = upcoming(
                            weight, isLast ? (parity + 1) % 4 : parity, rows: start ..< start + Self.chunk,
                            columns: panels.lowerBound * 16 ..< panels.upperBound * 16, during: panels.count)
                        addProducts(
                            of: terms, imagePoint(width), count: inputs.count, panels: panels.count, room, into: y,
                            adding: parity > 0 || inputs.lowerBound > 0, &next)
                    }
                }
                writeOutput(y, tiles, panels: panels, into: output, room.work)
            }
        }
    }

    func inputGradient(_ outputGradient: Source, weight: Source, into inputGradient: Target, scratch: Target) {
        let width = geometry.outputChannels
        let z = scratch, x = z + 25 * imagePoint(width),
            room = WeightRoom(x + 25 * resultPoint(rows), panels: panelsAtATime)
        if !geometry.everyInputIsRead { inputGradient.update(repeating: 0, count: batch * geometry.inputCount) }
        forEachBlock(of: batch * tileRows * tileColumns, by: blockTiles) { tiles in
            transformOutputGradient(outputGradient, tiles, into: z, room.work)
            for parity in 0 ..< 4 {
                forEachBlock(of: geometry.inputChannels / 16, by: panelsAtATime) { panels in
                    forEachBlock(of: width, by: Self.chunk) { outputs in
                        for panel in panels {
                            transposeTaps(
                                weight, parity, panel: panel, outputs, into: room.taps(panel - panels.lowerBound))
                        }
                        let isLast = outputs.upperBound == width, start = isLast ? 0 : outputs.upperBound
                        let panelsOfNext = isLast ? panels.upperBound ..< panels.upperBound + panelsAtATime : panels
                        var next = upcoming(
                            weight, parity, rows: panelsOfNext.lowerBound * 16 ..< panelsOfNext.upperBound * 16,
                            columns: start ..< start + Self.chunk, during: panels.count)
                        addProducts(
                            of: z + outputs.lowerBound * rows, imagePoint(width), count: outputs.count,
                            panels: panels.count, room,
                            into: x, adding: outputs.lowerBound > 0, &next)
                    }
                    addInputGradient(x, tiles, parity, panels: panels, into: inputGradient, room.work)
                }
            }
        }
    }

    func weightGradient(
        input: Source, outputGradient: Source, into weightGradient: Target, adding: Bool, scratch: Target
    ) {
        let width = 4 * geometry.inputChannels, inputPanels = geometry.inputChannels / 16
        let x = scratch, z = x + 25 * imagePoint(width), u = z + 25 * imagePoint(geometry.outputChannels)
        let work = u + 25 * resultPoint(16)
        forEachBlock(of: batch * tileRows * tileColumns, by: blockTiles) { tiles in
            transformInput(input, tiles, into: x, work)
            transformOutputGradient(outputGradient, tiles, into: z, work)
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
                        for point in 0 ..< 25 {
                            let panel = right + point * imagePoint(geometry.outputChannels)
                            let next = WantedLines(
                                first: panel + imagePoint(geometry.outputChannels), step: 16, logLines: 0)
                            for index in 0 ..< panels.count {
                                Panels.multiplyTransposed(
                                    left + (point * imagePoint(width) + index * 16 * rows), by: panel, count: rows,
                                    into: u + (point * resultPoint(16) + index * 256), index == 0 ? next : WantedLines()
                                )
                                written.prefetch()
                            }
                        }
                        writeWeightGradient(
                            u, parity, panels, outputPanel: outputPanel, into: weightGradient,
                            adding: adding || tiles.lowerBound > 0, work)
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
    func imagePoint(_ columns: Int) -> Int { columns * rows + 16 }
    func resultPoint(_ rows: Int) -> Int { panelsAtATime * 16 * rows + 16 }
    static let chunkPoint = chunk * 16 + 16

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

    /// result[point] (+)= image[point] · weights[point] for all points: `count` terms from `image` on, into a few
    /// panels. The first panel's products fetch the image's values for the next point, which then stay near for the
    /// other panels; meanwhile come the `next` weights.
    @inline(__always)
    private func addProducts(
        of image: Source, _ imagePoint: Int, count: Int, panels: Int, _ room: WeightRoom, into result: Target,
        adding: Bool, _ next: inout UpcomingWeights
    ) {
        let weights = room.transformed
        for panel in 0 ..< panels {
            transformWeights(room.taps(panel), count: count, into: weights)
            for point in 0 ..< 25 {
                let nextPoint = point < 24 ? imagePoint : 16 * rows * (count / 16) - 24 * imagePoint
                Panels.multiply(
                    image + point * imagePoint, panelStep: 16 * rows, panels: count / 16,
                    by: weights + point * Self.chunkPoint,
                    into: result + (point * resultPoint(rows) + panel * 16 * rows), rows: rows, adding: adding,
                    ahead: panel == 0 ? nextPoint : 0)
                next.prefetch()
            }
        }
    }
}
