/// The 4 × 4 convolution of stride 2 and its adjoints with 25 multiplications where the definition takes 64.
///
/// Split by parity, it is a sum of four dense 2 × 2 convolutions: with xᵣ[q] = x[2q + r − pad],
///
///     y[o] = Σ over r, a in {0, 1} of xᵣ[o + a] · w[r + 2a]    (in both directions),
///
/// and each of those is computed for tiles of 4 × 4 outputs by ``WinogradTransform`` in both directions. At each of the 25 points
/// what remains is a product of matrices, in which the four parities lie side by side:
///
///     Y = X U,  X = Z Uᵀ,  U = Xᵀ Z    with X: tiles × 4·in, U: 4·in × out, Y, Z: tiles × out.
///
/// Tiles and channels are taken a block at a time, so that the transformed values stay in the cache.
struct WinogradConvolution {
    typealias Source = UnsafePointer<Float>
    typealias Target = UnsafeMutablePointer<Float>
    typealias Transform = WinogradTransform

    let geometry: ConvolutionGeometry
    let batch: Int
    private let tileRows: Int
    private let tileColumns: Int
    /// Tiles, input and output channels of a block.
    private let tiles: Int
    private let inputs: Int
    private let outputs: Int

    /// Whether it can be used, and pays: below about 32 tiles the weights' transforms cost more than the products save.
    static func suits(_ g: ConvolutionGeometry, batch: Int) -> Bool {
        g.kernel == 4 && g.stride == 2 && g.inputChannels % 16 == 0 && g.outputChannels % 16 == 0
            && min(g.inputChannels, g.outputChannels) >= 32 && min(g.outputHeight, g.outputWidth) >= 3
            && batch * ((g.outputHeight + 3) / 4) * ((g.outputWidth + 3) / 4) >= 32
    }

    /// `weightLimit` and `activationLimit`: most values of transformed weights (8 MB) and of transformed input (32 MB) at a time.
    init(geometry: ConvolutionGeometry, batch: Int, weightLimit: Int = 2 << 20, activationLimit: Int = 8 << 20) {
        precondition(geometry.kernel == 4 && geometry.stride == 2 && geometry.inputChannels % 16 == 0
            && geometry.outputChannels % 16 == 0, "the Winograd form is of 4 × 4 kernels, stride 2 and multiples of 16 channels")
        self.geometry = geometry
        self.batch = batch
        tileRows = (geometry.outputHeight + 3) / 4
        tileColumns = (geometry.outputWidth + 3) / 4
        let activations = max(4 * geometry.inputChannels, geometry.outputChannels)
        tiles = min(batch * tileRows * tileColumns, max(activationLimit / (25 * activations), 1))
        inputs = min(geometry.inputChannels, max(weightLimit / (25 * 4 * geometry.outputChannels) / 16 * 16, 16))
        outputs = min(geometry.outputChannels, max(weightLimit / (25 * 4 * geometry.inputChannels) / 16 * 16, 16))
    }

    var scratchCount: Int {
        let forward = points(tiles, 4 * geometry.inputChannels) + points(4 * geometry.inputChannels, outputs) + points(tiles, outputs)
        let adjoint = points(tiles, geometry.outputChannels) + points(4 * inputs, geometry.outputChannels) + points(tiles, 4 * inputs)
        return max(forward, adjoint) + Transform.workCount
    }

    func forward(_ input: Source, weight: Source, into output: Target, scratch: Target) {
        let width = 4 * geometry.inputChannels
        let work = scratch, x = work + Transform.workCount, u = x + points(tiles, width), y = u + points(width, outputs)
        forEachBlock(of: batch * tileRows * tileColumns, by: tiles) { tiles in
            transformInput(input, tiles, channels: 0 ..< geometry.inputChannels, into: x, work)
            forEachBlock(of: geometry.outputChannels, by: outputs) { channels in
                transformWeight(weight, inputs: 0 ..< geometry.inputChannels, outputs: channels, into: u, work)
                for point in 0 ..< 25 {
                    Matrix.multiply(x + point * pointStride(tiles.count, width), stride: width,
                                    by: u + point * pointStride(width, channels.count), stride: channels.count,
                                    into: y + point * pointStride(tiles.count, channels.count), stride: channels.count,
                                    rows: tiles.count, columns: channels.count, inner: width, adding: false)
                }
                writeOutput(y, tiles, channels: channels, into: output, work)
            }
        }
    }

    func inputGradient(_ outputGradient: Source, weight: Source, into inputGradient: Target, scratch: Target) {
        let width = geometry.outputChannels
        let work = scratch, z = work + Transform.workCount, u = z + points(tiles, width), x = u + points(4 * inputs, width)
        inputGradient.update(repeating: 0, count: batch * geometry.inputCount)
        forEachBlock(of: batch * tileRows * tileColumns, by: tiles) { tiles in
            transformOutputGradient(outputGradient, tiles, into: z, work)
            forEachBlock(of: geometry.inputChannels, by: inputs) { channels in
                transformWeight(weight, inputs: channels, outputs: 0 ..< width, into: u, work)
                let columns = 4 * channels.count
                for point in 0 ..< 25 {
                    Matrix.multiply(z + point * pointStride(tiles.count, width), stride: width,
                                    by: u + point * pointStride(columns, width), stride: width, secondTransposed: true,
                                    into: x + point * pointStride(tiles.count, columns), stride: columns,
                                    rows: tiles.count, columns: columns, inner: width, adding: false)
                }
                addInputGradient(x, tiles, channels: channels, into: inputGradient, work)
            }
        }
    }

    func weightGradient(input: Source, outputGradient: Source, addingTo weightGradient: Target, scratch: Target) {
        let width = geometry.outputChannels
        let work = scratch, z = work + Transform.workCount, u = z + points(tiles, width), x = u + points(4 * inputs, width)
        forEachBlock(of: batch * tileRows * tileColumns, by: tiles) { tiles in
            transformOutputGradient(outputGradient, tiles, into: z, work)
            forEachBlock(of: geometry.inputChannels, by: inputs) { channels in
                transformInput(input, tiles, channels: channels, into: x, work)
                let rows = 4 * channels.count
                for point in 0 ..< 25 {
                    Matrix.multiply(x + point * pointStride(tiles.count, rows), stride: rows, transposed: true,
                                    by: z + point * pointStride(tiles.count, width), stride: width,
                                    into: u + point * pointStride(rows, width), stride: width,
                                    rows: rows, columns: width, inner: tiles.count, adding: false)
                }
                addWeightGradient(u, inputs: channels, into: weightGradient, work)
            }
        }
    }

    private func forEachBlock(of count: Int, by size: Int, _ body: (Range<Int>) -> Void) {
        for start in stride(from: 0, to: count, by: max(size, 1)) { body(start ..< min(start + size, count)) }
    }

    /// The matrices of the 25 points lie a cache line more apart than they are large, lest all their rows meet in one cache set.
    private func pointStride(_ rows: Int, _ columns: Int) -> Int { rows * columns + 16 }
    private func points(_ rows: Int, _ columns: Int) -> Int { 25 * pointStride(rows, columns) }
}

// MARK: Transforms of images and weights

extension WinogradConvolution {
    /// Where tile `index` starts: its image, first output row and first output column.
    @inline(__always)
    private func place(_ index: Int) -> (image: Int, row: Int, column: Int) {
        let row = index / tileColumns
        return (row / tileRows, row % tileRows &* 4, index % tileColumns &* 4)
    }

    /// The 5 × 5 pixels of parity (r, s) under a tile: the offset of the first, which may be outside the image, and which rows and
    /// columns are inside.
    @inline(__always)
    private func window(_ tile: (image: Int, row: Int, column: Int), _ parity: Int) -> (offset: Int, rows: Range<Int>, columns: Range<Int>) {
        let g = geometry
        let top = 2 &* tile.row &+ parity / 2 &- g.padTop, left = 2 &* tile.column &+ parity % 2 &- g.padLeft
        return (((tile.image &* g.inputHeight &+ top) &* g.inputWidth &+ left) &* g.inputChannels,
                inside(top, g.inputHeight), inside(left, g.inputWidth))
    }

    /// The i in 0 ..< 5 with 0 ≤ first + 2i < size.
    @inline(__always)
    private func inside(_ first: Int, _ size: Int) -> Range<Int> {
        let start = max((1 &- first) >> 1, 0)
        return start ..< max(min((size &- first &+ 1) >> 1, 5), start)
    }

    private func transformInput(_ input: Source, _ tiles: Range<Int>, channels: Range<Int>, into x: Target, _ work: Target) {
        let width = 4 * channels.count, point = pointStride(tiles.count, width)
        let pixelStep = 2 * geometry.inputChannels, rowStep = 2 * geometry.inputWidth * geometry.inputChannels
        for tile in tiles {
            for parity in 0 ..< 4 {
                let (offset, rows, columns) = window(place(tile), parity)
                let matrixOffset: Int = (tile &- tiles.lowerBound) &* width &+ parity &* channels.count
                let target = x + matrixOffset
                for channel in stride(from: 0, to: channels.count, by: 16) {
                    let source = offset &+ channels.lowerBound &+ channel
                    for i in 0 ..< 5 {
                        for j in 0 ..< 5 {
                            let pixel: Int = source &+ i &* rowStep &+ j &* pixelStep
                            let isInside = rows.contains(i) && columns.contains(j)
                            let values: Transform.Wide = isInside ? Transform.load(input + pixel) : .zero
                            Transform.store(values, work + (i &* 5 &+ j) &* 16)
                        }
                    }
                    Transform.square(work, from: 5, to: 5) { Transform.input($0, $1, into: $2, $3) }
                    for k in 0 ..< 25 { Transform.store(Transform.load(work + k &* 16), target + (k &* point &+ channel)) }
                }
            }
        }
    }

    private func addInputGradient(_ x: Source, _ tiles: Range<Int>, channels: Range<Int>, into inputGradient: Target, _ work: Target) {
        let width = 4 * channels.count, point = pointStride(tiles.count, width)
        let pixelStep = 2 * geometry.inputChannels, rowStep = 2 * geometry.inputWidth * geometry.inputChannels
        for tile in tiles {
            for parity in 0 ..< 4 {
                let (offset, rows, columns) = window(place(tile), parity)
                let matrixOffset: Int = (tile &- tiles.lowerBound) &* width &+ parity &* channels.count
                let source = x + matrixOffset
                for channel in stride(from: 0, to: channels.count, by: 16) {
                    for k in 0 ..< 25 { Transform.store(Transform.load(source + (k &* point &+ channel)), work + k &* 16) }
                    Transform.square(work, from: 5, to: 5) { Transform.inputAdjoint($0, $1, into: $2, $3) }
                    let target = offset &+ channels.lowerBound &+ channel
                    for i in rows {
                        for j in columns {
                            let offset: Int = target &+ i &* rowStep &+ j &* pixelStep
                            let pixel = inputGradient + offset
                            Transform.store(Transform.load(pixel) + Transform.load(work + (i &* 5 &+ j) &* 16), pixel)
                        }
                    }
                }
            }
        }
    }

    private func writeOutput(_ y: Source, _ tiles: Range<Int>, channels: Range<Int>, into output: Target, _ work: Target) {
        let g = geometry, point = pointStride(tiles.count, channels.count)
        for tile in tiles {
            let (image, row, column) = place(tile)
            let rows = min(g.outputHeight &- row, 4), columns = min(g.outputWidth &- column, 4)
            let source = y + (tile &- tiles.lowerBound) &* channels.count
            let target = output
                + (((image &* g.outputHeight &+ row) &* g.outputWidth &+ column) &* g.outputChannels &+ channels.lowerBound)
            for channel in stride(from: 0, to: channels.count, by: 16) {
                for k in 0 ..< 25 { Transform.store(Transform.load(source + (k &* point &+ channel)), work + k &* 16) }
                Transform.square(work, from: 5, to: 4) { Transform.output($0, $1, into: $2, $3) }
                for i in 0 ..< rows {
                    for j in 0 ..< columns {
                        Transform.store(Transform.load(work + (i &* 4 &+ j) &* 16),
                                        target + ((i &* g.outputWidth &+ j) &* g.outputChannels &+ channel))
                    }
                }
            }
        }
    }

    private func transformOutputGradient(_ outputGradient: Source, _ tiles: Range<Int>, into z: Target, _ work: Target) {
        let g = geometry, channels = g.outputChannels, point = pointStride(tiles.count, channels)
        for tile in tiles {
            let (image, row, column) = place(tile)
            let rows = g.outputHeight &- row, columns = g.outputWidth &- column
            let source = outputGradient + ((image &* g.outputHeight &+ row) &* g.outputWidth &+ column) &* channels
            let target = z + (tile &- tiles.lowerBound) &* channels
            for channel in stride(from: 0, to: channels, by: 16) {
                for i in 0 ..< 4 {
                    for j in 0 ..< 4 {
                        let pixel: Int = (i &* g.outputWidth &+ j) &* channels &+ channel
                        let isInside = i < rows && j < columns
                        let values: Transform.Wide = isInside ? Transform.load(source + pixel) : .zero
                        Transform.store(values, work + (i &* 4 &+ j) &* 16)
                    }
                }
                Transform.square(work, from: 4, to: 5) { Transform.outputAdjoint($0, $1, into: $2, $3) }
                for k in 0 ..< 25 { Transform.store(Transform.load(work + k &* 16), target + (k &* point &+ channel)) }
            }
        }
    }

    /// The offset of weight [r + 2a, s + 2b, input, 0], parity = 2r + s, tap = 2a + b.
    @inline(__always)
    private func weightOffset(_ parity: Int, _ tap: Int, _ input: Int) -> Int {
        let row = parity / 2 &+ tap / 2 &* 2, column = parity % 2 &+ tap % 2 &* 2
        return ((row &* 4 &+ column) &* geometry.inputChannels &+ input) &* geometry.outputChannels
    }

    private func transformWeight(_ weight: Source, inputs: Range<Int>, outputs: Range<Int>, into u: Target, _ work: Target) {
        let point = pointStride(4 * inputs.count, outputs.count)
        for parity in 0 ..< 4 {
            for input in inputs {
                let target = u + (parity &* inputs.count &+ input &- inputs.lowerBound) &* outputs.count
                let source = weight + outputs.lowerBound
                let taps = (weightOffset(parity, 0, input), weightOffset(parity, 1, input),
                            weightOffset(parity, 2, input), weightOffset(parity, 3, input))
                for channel in stride(from: 0, to: outputs.count, by: 16) {
                    Transform.store(Transform.load(source + (taps.0 &+ channel)), work)
                    Transform.store(Transform.load(source + (taps.1 &+ channel)), work + 16)
                    Transform.store(Transform.load(source + (taps.2 &+ channel)), work + 32)
                    Transform.store(Transform.load(source + (taps.3 &+ channel)), work + 48)
                    Transform.square(work, from: 2, to: 5) { Transform.weight($0, $1, into: $2, $3) }
                    for k in 0 ..< 25 { Transform.store(Transform.load(work + k &* 16), target + (k &* point &+ channel)) }
                }
            }
        }
    }

    private func addWeightGradient(_ u: Source, inputs: Range<Int>, into weightGradient: Target, _ work: Target) {
        let outputs = geometry.outputChannels, point = pointStride(4 * inputs.count, outputs)
        for parity in 0 ..< 4 {
            for input in inputs {
                let source = u + (parity &* inputs.count &+ input &- inputs.lowerBound) &* outputs
                for channel in stride(from: 0, to: outputs, by: 16) {
                    for k in 0 ..< 25 { Transform.store(Transform.load(source + (k &* point &+ channel)), work + k &* 16) }
                    Transform.square(work, from: 5, to: 2) { Transform.weightAdjoint($0, $1, into: $2, $3) }
                    for tap in 0 ..< 4 {
                        let target = weightGradient + (weightOffset(parity, tap, input) &+ channel)
                        Transform.store(Transform.load(target) + Transform.load(work + tap &* 16), target)
                    }
                }
            }
        }
    }
}
