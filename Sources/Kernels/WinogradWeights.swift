import CVector

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
            let source = weight + (weightOffset(parity, tap) + inputs.lowerBound * outputs + panel * 16), target = taps + tap * Self.chunkPoint
            for input in 0 ..< inputs.count { Panels.store(Panels.load(source + input &* outputs), target + input &* 16) }
        }
    }

    /// The weights of some outputs and the 16 inputs of a panel: the four taps, each [outputs, 16].
    func transposeTaps(_ weight: Source, _ parity: Int, panel: Int, _ outputs: Range<Int>, into taps: Target) {
        for tap in 0 ..< 4 {
            let source = weight + (weightOffset(parity, tap) + panel * 16 * geometry.outputChannels + outputs.lowerBound)
            let target = taps + tap * Self.chunkPoint
            for output in stride(from: 0, to: outputs.count, by: 16) {
                transpose16(source + output, geometry.outputChannels, target + output * 16)
            }
        }
    }

    /// `count` rows of a panel of U, at each of the five points of a row.
    func transformWeight(_ taps: Source, row: Int, count: Int, into u: Target) {
        let (upper, lower) = Transform.weightRow(row)
        let tap = Self.chunkPoint
        for index in 0 ..< count {
            let source = taps + index &* 16, target = u + index &* 16
            let left = upper * Panels.load(source) + lower * Panels.load(source + 2 &* tap)
            let right = upper * Panels.load(source + tap) + lower * Panels.load(source + 3 &* tap)
            Transform.weight(Two(left, right)).forEach { column, value in Panels.store(value, target + column &* tap) }
        }
    }

    /// Asks for the weights that ``writeWeightGradient(_:_:inputPanel:panels:into:adding:_:)`` will change.
    func prefetchWeights(_ weight: Source, _ parity: Int, inputPanel: Int, panels: Range<Int>) {
        for tap in 0 ..< 4 {
            for input in 0 ..< 16 {
                let row = weight + (weightOffset(parity, tap) + (inputPanel * 16 + input) * geometry.outputChannels)
                for panel in panels { prefetch(row + panel &* 16) }
            }
        }
    }

    /// The weights' gradient (+)= U, 16 inputs of one parity by a few panels of outputs.
    func writeWeightGradient(_ u: Source, _ parity: Int, inputPanel: Int, panels: Range<Int>, into weightGradient: Target, adding: Bool,
                             _ work: Target) {
        let outputs = geometry.outputChannels, point = resultPoint(16)
        for input in 0 ..< 16 {
            for panel in panels {
                let source = u + ((panel &- panels.lowerBound) &* 256 &+ input &* 16)
                let target = weightGradient + ((inputPanel &* 16 &+ input) &* outputs &+ panel &* 16)
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
