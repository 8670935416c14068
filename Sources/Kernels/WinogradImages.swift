import CVector

// The transforms of images, between NHWC and the matrices of the 25 points.

extension WinogradConvolution {
    /// Where tile `index` starts: its image, first output row and first output column.
    @inline(__always)
    private func place(_ index: Int) -> (image: Int, row: Int, column: Int) {
        let row = index / tileColumns
        return (row / tileRows, row % tileRows &* 4, index % tileColumns &* 4)
    }

    /// The 5 × 5 pixels of parity (r, s) under a tile: the offset of the first, which may be outside the image, and
    /// which rows and columns are inside.
    @inline(__always)
    private func window(
        _ tile: (image: Int, row: Int, column: Int), _ parity: Int
    ) -> (offset: Int, rows: Range<Int>, columns: Range<Int>) {
        let g = geometry
        let top = 2 &* tile.row &+ parity / 2 &- g.padTop, left = 2 &* tile.column &+ parity % 2 &- g.padLeft
        return (
            ((tile.image &* g.inputHeight &+ top) &* g.inputWidth &+ left) &* g.inputChannels,
            inside(top, g.inputHeight), inside(left, g.inputWidth)
        )
    }

    /// The i in 0 ..< 5 with 0 ≤ first + 2i < size.
    @inline(__always)
    private func inside(_ first: Int, _ size: Int) -> Range<Int> {
        let start = max((1 &- first) >> 1, 0)
        return start ..< max(min((size &- first &+ 1) >> 1, 5), start)
    }

    /// X of some tiles, from the input.
    func transformInput(_ input: Source, _ tiles: Range<Int>, into x: Target, _ work: Target) {
        let channels = geometry.inputChannels, point = imagePoint(4 * channels), rows = rows
        let pixelStep = 2 * channels, rowStep = 2 * geometry.inputWidth * channels
        for tile in tiles {
            for parity in 0 ..< 4 {
                let (offset, insideRows, insideColumns) = window(place(tile), parity)
                for channel in stride(from: 0, to: channels, by: 16) {
                    let source = offset &+ channel
                    let target = x + ((parity &* channels &+ channel) &* rows &+ (tile &- tiles.lowerBound) &* 16)
                    Transform.square(work, Transform.input) { i, j in
                        insideRows.contains(i) && insideColumns.contains(j)
                            ? Panels.load(input + (source &+ i &* rowStep &+ j &* pixelStep)) : .zero
                    } to: { i, j, value in
                        let place = target + (i &* 5 &+ j) &* point
                        Panels.store(value, place)
                        prefetchForWriting(place + 16 &* rows)
                    }
                }
            }
        }
        clearRest(of: x, after: tiles.count, columns: 4 * channels)
    }

    /// Z of some tiles, from the gradient of the output.
    func transformOutputGradient(_ outputGradient: Source, _ tiles: Range<Int>, into z: Target, _ work: Target) {
        let g = geometry, channels = g.outputChannels, point = imagePoint(channels), rows = rows
        for tile in tiles {
            let (image, row, column) = place(tile)
            let insideRows = g.outputHeight &- row, insideColumns = g.outputWidth &- column
            for channel in stride(from: 0, to: channels, by: 16) {
                let source =
                    outputGradient
                    + (((image &* g.outputHeight &+ row) &* g.outputWidth &+ column) &* channels &+ channel)
                let target = z + (channel &* rows &+ (tile &- tiles.lowerBound) &* 16)
                Transform.square(work, Transform.outputAdjoint) { i, j in
                    i < insideRows && j < insideColumns
                        ? Panels.load(source + (i &* g.outputWidth &+ j) &* channels) : .zero
                } to: { i, j, value in
                    let place = target + (i &* 5 &+ j) &* point
                    Panels.store(value, place)
                    prefetchForWriting(place + 16 &* rows)
                }
            }
        }
        clearRest(of: z, after: tiles.count, columns: channels)
    }

    /// The rows that the last block of tiles leaves over are no tiles: zero, so that they add nothing to the weights'
    /// gradient.
    private func clearRest(of matrices: Target, after tiles: Int, columns: Int) {
        guard tiles < rows else { return }
        for point in 0 ..< 25 {
            for panel in 0 ..< columns / 16 {
                (matrices + (point * imagePoint(columns) + (panel * rows + tiles) * 16)).update(
                    repeating: 0, count: (rows - tiles) * 16)
            }
        }
    }

    /// The output of some tiles, from a few panels of Y.
    func writeOutput(_ y: Source, _ tiles: Range<Int>, panels: Range<Int>, into output: Target, _ work: Target) {
        let g = geometry, point = resultPoint(rows), channels = g.outputChannels, rows = rows
        for tile in tiles {
            let (image, row, column) = place(tile)
            let insideRows = g.outputHeight &- row, insideColumns = g.outputWidth &- column
            for panel in panels {
                let source = y + ((panel &- panels.lowerBound) &* rows &+ tile &- tiles.lowerBound) &* 16
                let target =
                    output + (((image &* g.outputHeight &+ row) &* g.outputWidth &+ column) &* channels &+ panel &* 16)
                Transform.square(work, Transform.output) { i, j in
                    Panels.load(source + (i &* 5 &+ j) &* point)
                } to: { i, j, value in
                    if i < insideRows && j < insideColumns {
                        Panels.store(value, target + (i &* g.outputWidth &+ j) &* channels)
                    }
                }
            }
        }
    }

    /// Writes a few panels of one parity of X to the gradient of the input under some tiles, which come in their
    /// order: what a tile shares with those above and to its left is added.
    func addInputGradient(
        _ x: Source, _ tiles: Range<Int>, _ parity: Int, panels: Range<Int>, into inputGradient: Target, _ work: Target
    ) {
        let channels = geometry.inputChannels, point = resultPoint(rows), rows = rows
        let pixelStep = 2 * channels, rowStep = 2 * geometry.inputWidth * channels
        for tile in tiles {
            let place = place(tile)
            let (offset, insideRows, insideColumns) = window(place, parity)
            for panel in panels {
                let source = x + ((panel &- panels.lowerBound) &* rows &+ tile &- tiles.lowerBound) &* 16
                let target = offset &+ panel &* 16
                Transform.square(work, Transform.inputAdjoint) { i, j in
                    Panels.load(source + (i &* 5 &+ j) &* point)
                } to: { i, j, value in
                    if insideRows.contains(i) && insideColumns.contains(j) {
                        let pixel = inputGradient + (target &+ i &* rowStep &+ j &* pixelStep)
                        let isShared = (i == 0 && place.row > 0) || (j == 0 && place.column > 0)
                        Panels.store(isShared ? Panels.load(pixel) + value : value, pixel)
                    }
                }
            }
        }
    }
}
