import CVector

/// Weights that are wanted next, in memory that is far: some rows of each of four taps.
///
/// They are fetched a few lines at a time between the products before, since a processor that is asked for many at
/// once waits for them.
struct UpcomingWeights {
    typealias Source = UnsafePointer<Float>
    private let taps: (Source, Source, Source, Source)
    private let rows: Int
    private let rowStep: Int
    /// Cache lines in each row.
    private let lines: Int
    private let linesAtATime: Int
    /// Where the fetching has come to.
    private var tap = 0, row = 0, line = 0

    /// Those to be fetched in so many parts.
    init(taps: (Source, Source, Source, Source), rows: Int, rowStep: Int, lines: Int, parts: Int) {
        (self.taps, self.rows, self.rowStep, self.lines) = (taps, rows, rowStep, lines)
        linesAtATime = (4 * rows * lines + parts - 1) / parts
    }

    /// Fetches the next part.
    @inline(__always)
    mutating func prefetch() {
        for _ in 0 ..< linesAtATime {
            guard tap < 4 else { return }
            let source = tap == 0 ? taps.0 : tap == 1 ? taps.1 : tap == 2 ? taps.2 : taps.3
            prefetchFar(source + (row &* rowStep &+ 16 &* line))
            line &+= 1
            if line == lines { (row, line) = (row &+ 1, 0) }
            if row == rows { (tap, row) = (tap &+ 1, 0) }
        }
    }
}

// The transforms of weights, between [4, 4, input channels, output channels] and the matrices of the 25 points.

extension WinogradConvolution {
    /// The offset of weight [r + 2a, s + 2b, 0, 0], parity = 2r + s, tap = 2a + b.
    @inline(__always)
    func weightOffset(_ parity: Int, _ tap: Int) -> Int {
        let row = parity / 2 &+ tap / 2 &* 2, column = parity % 2 &+ tap % 2 &* 2
        return (row &* 4 &+ column) &* geometry.inputChannels &* geometry.outputChannels
    }

    /// One parity's weights of some inputs and the 16 outputs of a panel: the four taps, each [inputs, 16].
    func copyTaps(_ weight: Source, _ parity: Int, _ inputs: Range<Int>, panel: Int, into taps: Target) {
        let outputs = geometry.outputChannels
        for tap in 0 ..< 4 {
            let source = weight + (weightOffset(parity, tap) + inputs.lowerBound * outputs + panel * 16),
                target = taps + tap * Self.chunkPoint
            for input in 0 ..< inputs.count {
                Panels.store(Panels.load(source + input &* outputs), target + input &* 16)
            }
        }
    }

    /// The weights of some outputs and the 16 inputs of a panel: the four taps, each [outputs, 16].
    func transposeTaps(_ weight: Source, _ parity: Int, panel: Int, _ outputs: Range<Int>, into taps: Target) {
        for tap in 0 ..< 4 {
            let source =
                weight + (weightOffset(parity, tap) + panel * 16 * geometry.outputChannels + outputs.lowerBound)
            let target = taps + tap * Self.chunkPoint
            for output in stride(from: 0, to: outputs.count, by: 16) {
                transpose16(source + output, geometry.outputChannels, target + output * 16)
            }
        }
    }

    /// `count` rows of a panel of U, at each of the 25 points.
    func transformWeights(_ taps: Source, count: Int, into u: Target) {
        let tap = Self.chunkPoint
        for index in 0 ..< count {
            let source = taps + index &* 16, target = u + index &* 16
            let left = Transform.weight(Two(Panels.load(source), Panels.load(source + 2 &* tap)))
            let right = Transform.weight(Two(Panels.load(source + tap), Panels.load(source + 3 &* tap)))
            left.forEach(with: right) { row, left, right in
                Transform.weight(Two(left, right)).forEach { column, value in
                    Panels.store(value, target + (5 &* row &+ column) &* tap)
                }
            }
        }
    }

    /// The weights of one parity in some rows (inputs) and columns (outputs), as far as there are such, to be fetched
    /// between the products of `panels`.
    func upcoming(
        _ weight: Source, _ parity: Int, rows: Range<Int>, columns: Range<Int>, during panels: Int
    ) -> UpcomingWeights {
        let step = geometry.outputChannels
        let columns = columns.clamped(to: 0 ..< step), rows = rows.clamped(to: 0 ..< geometry.inputChannels)
        let first = weight + (rows.lowerBound * step + columns.lowerBound)
        return UpcomingWeights(
            taps: (
                first + weightOffset(parity, 0), first + weightOffset(parity, 1), first + weightOffset(parity, 2),
                first + weightOffset(parity, 3)
            ), rows: rows.count, rowStep: step,
            lines: columns.count / 16, parts: 25 * panels)
    }

    /// The weights' gradient (+)= U, a few panels of inputs of one parity by 16 outputs.
    func writeWeightGradient(
        _ u: Source, _ parity: Int, _ panels: Range<Int>, outputPanel: Int, into weightGradient: Target, adding: Bool,
        _ work: Target
    ) {
        let outputs = geometry.outputChannels, point = resultPoint(16)
        for panel in panels {
            for input in 0 ..< 16 {
                let source = u + ((panel &- panels.lowerBound) &* 256 &+ input &* 16)
                let target = weightGradient + ((panel &* 16 &+ input) &* outputs &+ outputPanel &* 16)
                Transform.square(work, Transform.weightAdjoint) { i, j in
                    Panels.load(source + (i &* 5 &+ j) &* point)
                } to: { a, b, value in
                    let tap = target + weightOffset(parity, 2 &* a &+ b)
                    Panels.store(adding ? Panels.load(tap) + value : value, tap)
                }
            }
        }
    }
}
