@testable import Kernels
import Testing

/// Convolutions in groups against the definition, one loop after another in Double.
@Suite struct GroupedConvolutionTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let geometry: ConvolutionGeometry
        let groups: Int
        var batch = 3
        var testDescription: String { "\(groups) groups of \(geometry)" }

        /// Offsets of the values that each product of the convolution takes: input, weight, output.
        func forEachProduct(_ body: (Int, Int, Int) -> Void) {
            let g = geometry, inputs = g.inputChannels / groups, outputs = g.outputChannels / groups
            for n in 0 ..< batch {
                for p in 0 ..< g.outputHeight {
                    for q in 0 ..< g.outputWidth {
                        for i in 0 ..< g.kernel.height {
                            for j in 0 ..< g.kernel.width {
                                let y = p * g.stride.height + i - g.padTop, x = q * g.stride.width + j - g.padLeft
                                guard 0 ..< g.inputHeight ~= y, 0 ..< g.inputWidth ~= x else { continue }
                                let pixel = ((n * g.inputHeight + y) * g.inputWidth + x) * g.inputChannels
                                let result = ((n * g.outputHeight + p) * g.outputWidth + q) * g.outputChannels
                                for o in 0 ..< g.outputChannels {
                                    for c in 0 ..< inputs {
                                        let place = (i * g.kernel.width + j) * inputs + c
                                        body(
                                            pixel + o / outputs * inputs + c, place * g.outputChannels + o, result + o)
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }

    private static func same(
        _ size: (Int, Int), _ inputs: Int, _ outputs: Int, _ kernel: Extent, _ stride: Extent
    )
        -> ConvolutionGeometry
    {
        .same(
            height: size.0, width: size.1, channels: inputs, outputChannels: outputs, kernel: kernel, stride: stride)!
    }

    private static func valid(
        _ size: (Int, Int), _ inputs: Int, _ outputs: Int, _ kernel: Extent, _ stride: Extent
    )
        -> ConvolutionGeometry
    {
        .valid(
            height: size.0, width: size.1, channels: inputs, outputChannels: outputs, kernel: kernel, stride: stride)!
    }

    private static let cases: [Case] = [
        Case(geometry: same((9, 17), 32, 32, 3, 1), groups: 2),
        Case(geometry: same((4, 4), 48, 48, 3, 1), groups: 3),
        Case(geometry: same((5, 6), 12, 36, 3, 1), groups: 2),
        Case(geometry: same((5, 6), 40, 10, 1, 1), groups: 5),
        Case(geometry: same((7, 8), 6, 4, 4, 2), groups: 2),
        Case(geometry: same((8, 5), 6, 9, Extent(height: 2, width: 5), Extent(height: 3, width: 1)), groups: 3),
        Case(geometry: same((7, 7), 4, 4, 2, 3), groups: 2),
        Case(geometry: valid((8, 9), 8, 8, 3, 2), groups: 2),
        Case(geometry: valid((4, 4), 8, 34, 4, 1), groups: 2),
        Case(geometry: same((6, 5), 7, 14, 3, 1), groups: 7),
        Case(geometry: same((6, 5), 19, 19, 3, 1), groups: 19),
        Case(geometry: same((7, 6), 8, 8, 4, 2), groups: 8),
        Case(geometry: same((7, 6), 3, 3, 2, 3), groups: 3),
        Case(geometry: valid((4, 4), 24, 24, 4, 1), groups: 24),
        Case(geometry: valid((9, 7), 5, 5, Extent(height: 2, width: 3), Extent(height: 3, width: 2)), groups: 5),
        Case(geometry: same((3, 3), 16, 16, 3, 1), groups: 1, batch: 1),
    ]

    @Test(arguments: cases)
    func areTheDefinition(tested: Case) {
        let g = tested.geometry, convolution = tested.groups == 1 ? nil : Convolution(g, groups: tested.groups)
        let forced = Convolution(g, groups: tested.groups, algorithm: .groups)
        let count = g.weightCount / tested.groups
        let x = randomBuffer(tested.batch * g.inputCount, seed: 1), w = randomBuffer(count, seed: 2)
        let dy = randomBuffer(tested.batch * g.outputCount, seed: 3)
        var y = [Double](repeating: 0, count: dy.count), dx = [Double](repeating: 0, count: x.count)
        var dw = [Double](repeating: 0, count: count)
        tested.forEachProduct { input, weight, output in
            y[output] += Double(x.values[input]) * Double(w.values[weight])
            dx[input] += Double(dy.values[output]) * Double(w.values[weight])
            dw[weight] += Double(x.values[input]) * Double(dy.values[output])
        }
        for convolution in [convolution, forced].compactMap({ $0 }) {
            let scratch = nan(convolution.scratchCount(batch: tested.batch))
            let output = nan(y.count), inputGradient = nan(dx.count), weightGradient = nan(dw.count)
            convolution.forward(
                x.values, weight: w.values, into: output.values, batch: tested.batch, scratch: scratch.values)
            expect(output, y, "output")
            convolution.inputGradient(
                dy.values, weight: w.values, into: inputGradient.values, batch: tested.batch, scratch: scratch.values)
            expect(inputGradient, dx, "input gradient")
            for times in 1 ... 2 {
                convolution.weightGradient(
                    input: x.values, outputGradient: dy.values, into: weightGradient.values, adding: times == 2,
                    batch: tested.batch, scratch: scratch.values)
                expect(weightGradient, dw.map { Double(times) * $0 }, "weight gradient")
            }
        }
    }

    /// An image's values do not depend on those beside it.
    @Test(arguments: cases[0 ... 13]) func bitsAreOfTheImageAlone(tested: Case) {
        let g = tested.geometry, convolution = Convolution(g, groups: tested.groups)
        let x = randomBuffer(3 * g.inputCount, seed: 1), w = randomBuffer(g.weightCount / tested.groups, seed: 2)
        let all = nan(3 * g.outputCount), one = nan(g.outputCount), scratch = nan(convolution.scratchCount(batch: 3))
        convolution.forward(x.values, weight: w.values, into: all.values, batch: 3, scratch: scratch.values)
        convolution.forward(
            x.values[2 * g.inputCount ..< 3 * g.inputCount], weight: w.values, into: one.values, batch: 1,
            scratch: scratch.values)
        #expect(one.array == all.values[2 * g.outputCount ..< 3 * g.outputCount].array)
    }

    private func nan(_ count: Int) -> FloatBuffer {
        let buffer = FloatBuffer(count: count)
        buffer.values.fill(.nan)
        return buffer
    }

    private func expect(_ buffer: FloatBuffer, _ expected: [Double], _ what: String) {
        var error = RelativeError()
        for (value, right) in zip(buffer.array, expected) { error.add(value, right) }
        #expect(error.value < 1e-5, "\(what): \(error.value)")
    }
}
