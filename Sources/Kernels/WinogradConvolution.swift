import CKernels

/// The 4 × 4 convolution of stride 2 with 25 multiplications where the definition takes 64, that of 3 × 3 and stride 1
/// with 36 of 144, that of 5 × 5 and stride 2 with 144 of 400, and their adjoints.
///
/// Split into the phases of its stride s, it is a sum of s² dense convolutions of taps × taps, taps = ⌈kernel / s⌉ (a
/// tap that the kernel has not is zero): with x_r[q] = x[s · q + r − pad],
///
///     y[o] = Σ over r in 0 ..< s, a in 0 ..< taps of x_r[o + a] · w[r + s · a]    (in both directions),
///
/// and each of those is computed for tiles of 4 × 4 outputs by the transforms of F(4, taps) in both directions. At each
/// of the (taps + 3)² points what remains is a product of matrices, in which the phases lie side by side:
///
///     Y = X U,  X = Z Uᵀ,  U = Xᵀ Z    with X: tiles × s²·in, U: s²·in × out, Y, Z: tiles × out.
///
/// The transforms write their matrices as ``Panels``. Those of the images are kept for a block of tiles. Weights and
/// results are made and used a few panels at a time, while they are in the cache: transforming the weights anew in
/// each pass costs less than reading transformed ones, which are four to six times larger, from memory.
struct WinogradConvolution {
    typealias Source = UnsafePointer<Float>
    typealias Target = UnsafeMutablePointer<Float>

    let geometry: ConvolutionGeometry
    let batch: Int
    private let taps: Int
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

    /// Taps of a phase in each direction; nil where there is no such form.
    private static func taps(_ g: ConvolutionGeometry) -> Int? {
        guard g.inputChannels % 16 == 0, g.outputChannels % 16 == 0 else { return nil }
        if g.kernel == 4, g.stride == 2 { return 2 }
        return (g.kernel == 3 && g.stride == 1) || (g.kernel == 5 && g.stride == 2) ? 3 : nil
    }

    /// Whether it can be used, and pays.
    static func suits(_ g: ConvolutionGeometry, batch: Int) -> Bool {
        taps(g) != nil
            && min(g.inputChannels, g.outputChannels) >= 32 && min(g.outputHeight, g.outputWidth) >= 3
            && batch * ((g.outputHeight + 3) / 4) * ((g.outputWidth + 3) / 4) >= 8
    }

    /// `imageLimit` and `resultLimit`: about how many values of a transformed image (16 MB) and of results (0.5 MB)
    /// there may be.
    init(geometry: ConvolutionGeometry, batch: Int, imageLimit: Int = 4 << 20, resultLimit: Int = 1 << 17) {
        guard let taps = Self.taps(geometry) else { preconditionFailure("\(geometry) has no Winograd form") }
        self.taps = taps
        self.geometry = geometry
        self.batch = batch
        tileRows = (geometry.outputHeight + 3) / 4
        tileColumns = (geometry.outputWidth + 3) / 4
        let tiles = batch * tileRows * tileColumns
        let points = (taps + 3) * (taps + 3), phases = geometry.stride.count
        let most = max(imageLimit / (points * max(phases * geometry.inputChannels, geometry.outputChannels)), 1)
        let blocks = max((tiles + most - 1) / most, 1)
        blockTiles = (tiles + blocks - 1) / blocks
        rows = Panels.rounded(rows: blockTiles)
        panelsAtATime = min(max(resultLimit / (points * 16 * max(rows, 1)), 1), 4)
    }

    private var points: Int { (taps + 3) * (taps + 3) }
    private var phases: Int { geometry.stride.count }

    var scratchCount: Int {
        let images = imagePoint(phases * geometry.inputChannels) + imagePoint(geometry.outputChannels)
        let weights = (points + taps * taps * panelsAtATime) * Self.chunkPoint
        return points * (images + resultPoint(rows) + resultPoint(16)) + weights + points * 16
    }

    func forward(_ input: Source, weight: Source, into output: Target, scratch: Target) {
        var plan = plan
        let width = phases * geometry.inputChannels
        let x = scratch, y = x + points * imagePoint(width),
            room = weightRoom(y + points * resultPoint(rows))
        forEachBlock(of: batch * tileRows * tileColumns, by: blockTiles) { tiles in
            kernels().pointee.transformInput(&plan, input, Part(tiles), x, room.work)
            forEachBlock(of: geometry.outputChannels / 16, by: panelsAtATime) { panels in
                for phase in 0 ..< phases {
                    forEachBlock(of: geometry.inputChannels, by: Self.chunk) { inputs in
                        let terms = x + (phase * geometry.inputChannels + inputs.lowerBound) * rows
                        for panel in panels {
                            kernels().pointee.copyTaps(
                                &plan, weight, phase, Part(inputs), panel, room.taps(panel - panels.lowerBound))
                        }
                        let isLast = inputs.upperBound == geometry.inputChannels, start = isLast ? 0 : inputs.upperBound
                        var next = upcoming(
                            weight, isLast ? (phase + 1) % phases : phase, rows: start ..< start + Self.chunk,
                            columns: panels.lowerBound * 16 ..< panels.upperBound * 16, during: panels.count)
                        kernels().pointee.addWinogradProducts(
                            &plan, terms, imagePoint(width), inputs.count, panels.count, room.transformed,
                            room.taps(0), y, phase > 0 || inputs.lowerBound > 0, &next)
                    }
                }
                kernels().pointee.writeOutput(&plan, y, Part(tiles), Part(panels), output, room.work)
            }
        }
    }

    func inputGradient(_ outputGradient: Source, weight: Source, into inputGradient: Target, scratch: Target) {
        var plan = plan
        let width = geometry.outputChannels
        let z = scratch, x = z + points * imagePoint(width),
            room = weightRoom(x + points * resultPoint(rows))
        if !geometry.everyInputIsRead { inputGradient.update(repeating: 0, count: batch * geometry.inputCount) }
        forEachBlock(of: batch * tileRows * tileColumns, by: blockTiles) { tiles in
            kernels().pointee.transformOutputGradient(&plan, outputGradient, Part(tiles), z, room.work)
            for phase in 0 ..< phases {
                forEachBlock(of: geometry.inputChannels / 16, by: panelsAtATime) { panels in
                    forEachBlock(of: width, by: Self.chunk) { outputs in
                        for panel in panels {
                            kernels().pointee.transposeTaps(
                                &plan, weight, phase, panel, Part(outputs), room.taps(panel - panels.lowerBound))
                        }
                        let isLast = outputs.upperBound == width, start = isLast ? 0 : outputs.upperBound
                        let panelsOfNext = isLast ? panels.upperBound ..< panels.upperBound + panelsAtATime : panels
                        var next = upcoming(
                            weight, phase, rows: panelsOfNext.lowerBound * 16 ..< panelsOfNext.upperBound * 16,
                            columns: start ..< start + Self.chunk, during: panels.count)
                        kernels().pointee.addWinogradProducts(
                            &plan, z + outputs.lowerBound * rows, imagePoint(width), outputs.count, panels.count,
                            room.transformed, room.taps(0), x, outputs.lowerBound > 0, &next)
                    }
                    kernels().pointee.addInputGradient(
                        &plan, x, Part(tiles), phase, Part(panels), inputGradient, room.work)
                }
            }
        }
    }

    func weightGradient(
        input: Source, outputGradient: Source, into weightGradient: Target, adding: Bool, scratch: Target
    ) {
        var plan = plan
        let width = phases * geometry.inputChannels, inputPanels = geometry.inputChannels / 16
        let x = scratch, z = x + points * imagePoint(width), u = z + points * imagePoint(geometry.outputChannels)
        let work = u + points * resultPoint(16)
        forEachBlock(of: batch * tileRows * tileColumns, by: blockTiles) { tiles in
            kernels().pointee.transformInput(&plan, input, Part(tiles), x, work)
            kernels().pointee.transformOutputGradient(&plan, outputGradient, Part(tiles), z, work)
            // A few rows of the gradient at a time are written from end to end: so many pages of memory are in use
            // and no more.
            for phase in 0 ..< phases {
                forEachBlock(of: inputPanels, by: panelsAtATime) { panels in
                    for outputPanel in 0 ..< geometry.outputChannels / 16 {
                        var written = upcoming(
                            weightGradient, phase, rows: panels.lowerBound * 16 ..< panels.upperBound * 16,
                            columns: outputPanel * 16 ..< outputPanel * 16 + 16, during: panels.count)
                        let left = x + (phase * inputPanels + panels.lowerBound) * 16 * rows,
                            right = z + outputPanel * 16 * rows
                        kernels().pointee.multiplyWinogradTransposed(
                            &plan, left, right, panels.count, u, &written)
                        kernels().pointee.writeWeightGradient(
                            &plan, u, phase, Part(panels), outputPanel, weightGradient,
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
    /// than it is large, lest those of the points meet in one cache set.
    private func imagePoint(_ columns: Int) -> Int { columns * rows + 16 }
    private func resultPoint(_ rows: Int) -> Int { panelsAtATime * 16 * rows + 16 }
    private static let chunkPoint = chunk * 16 + 16

    /// Memory for the weights of a few panels.
    private struct WeightRoom {
        /// Those of one panel transformed, at all points.
        let transformed: Target
        let firstTaps: Target
        /// Values of one panel's taps of one phase, one tap after the other.
        let panelStep: Int
        let work: Target

        func taps(_ panel: Int) -> Target { firstTaps + panel * panelStep }
    }

    private func weightRoom(_ memory: Target) -> WeightRoom {
        let taps = memory + points * Self.chunkPoint, step = self.taps * self.taps * Self.chunkPoint
        return WeightRoom(
            transformed: memory, firstTaps: taps, panelStep: step, work: taps + panelsAtATime * step)
    }

    private var plan: WinogradPlan {
        WinogradPlan(
            shape: geometry.shape, taps: taps, tileRows: tileRows, tileColumns: tileColumns, rows: rows,
            inputPoint: imagePoint(phases * geometry.inputChannels),
            outputPoint: imagePoint(geometry.outputChannels),
            resultPoint: resultPoint(rows), gradientPoint: resultPoint(16), chunkPoint: Self.chunkPoint)
    }

    /// The weights of one phase in some rows (inputs) and columns (outputs), as far as there are such, to be fetched
    /// between the products of `panels`.
    private func upcoming(
        _ weight: Source, _ phase: Int, rows: Range<Int>, columns: Range<Int>, during panels: Int
    ) -> UpcomingWeights {
        let columns = columns.clamped(to: 0 ..< geometry.outputChannels),
            rows = rows.clamped(to: 0 ..< geometry.inputChannels)
        let lines = columns.count / 16, parts = points * panels
        return UpcomingWeights(
            first: weight + (rows.lowerBound * geometry.outputChannels + columns.lowerBound), phase: phase,
            rows: rows.count, lines: lines, linesAtATime: (taps * taps * rows.count * lines + parts - 1) / parts,
            tap: 0, row: 0, line: 0)
    }
}
