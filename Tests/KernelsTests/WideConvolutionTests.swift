import Testing
@testable import Kernels

/// The error of both forms of a convolution at the width of the published networks, against the definition in Double,
/// in some channels.
@Suite struct WideConvolutionTests {
    /// With few examples: dcgan-32's layers of 4 × 4 kernels and stride 2 (the generator's as the convolutions whose
    /// adjoints they are), sngan-32's and residual networks' of 3 × 3, DCGAN's of 5 × 5.
    static let layers: [(size: Int, channels: Int, outputChannels: Int, kernel: Int, stride: Int)] = [
        (8, 512, 1024, 4, 2), (8, 256, 512, 4, 2), (16, 128, 256, 4, 2), (8, 256, 256, 3, 1), (4, 512, 512, 3, 1),
        (16, 128, 128, 3, 1), (8, 256, 512, 5, 2),
    ]

    private static let examples = 8

    /// x, w and dy are random; what is found is the values of a few channels of y, dx and dw.
    private struct Trial {
        let geometry: ConvolutionGeometry
        let x, w, dy: FloatBuffer
        let inputs: [Int], outputs: [Int]

        init(_ geometry: ConvolutionGeometry) {
            self.geometry = geometry
            x = randomBuffer(examples * geometry.inputCount, seed: 1)
            w = randomBuffer(geometry.weightCount, seed: 2)
            dy = randomBuffer(examples * geometry.outputCount, seed: 3)
            inputs = [geometry.inputChannels / 2 + 3]
            outputs = [geometry.outputChannels / 2 + 5, geometry.outputChannels - 1]
        }

        private func weight(_ i: Int, _ j: Int, _ c: Int, _ o: Int) -> Int {
            ((i * geometry.kernel.width + j) * geometry.inputChannels + c) * geometry.outputChannels + o
        }

        /// For each pair of an input and an output pixel that a tap of the kernel joins, where their channels begin.
        private func forEachPair(_ body: (_ i: Int, _ j: Int, _ input: Int, _ output: Int) -> Void) {
            let g = geometry
            for n in 0 ..< examples {
                for p in 0 ..< g.outputHeight {
                    for q in 0 ..< g.outputWidth {
                        for i in 0 ..< g.kernel.height {
                            for j in 0 ..< g.kernel.width {
                                let row = g.stride.height * p + i - g.padTop,
                                    column = g.stride.width * q + j - g.padLeft
                                guard row >= 0, row < g.inputHeight, column >= 0, column < g.inputWidth else {
                                    continue
                                }
                                body(
                                    i, j, ((n * g.inputHeight + row) * g.inputWidth + column) * g.inputChannels,
                                    ((n * g.outputHeight + p) * g.outputWidth + q) * g.outputChannels)
                            }
                        }
                    }
                }
            }
        }

        /// The definition: y, dx and dw by the place of each value.
        var definition: [[Int: Double]] {
            var y: [Int: Double] = [:], dx: [Int: Double] = [:], dw: [Int: Double] = [:]
            forEachPair { i, j, input, output in
                for o in outputs {
                    var sum = 0.0
                    for c in 0 ..< geometry.inputChannels {
                        sum += Double(x.values[input + c]) * Double(w.values[weight(i, j, c, o)])
                    }
                    y[output + o, default: 0] += sum
                }
                for c in inputs {
                    var sum = 0.0
                    for o in 0 ..< geometry.outputChannels {
                        sum += Double(dy.values[output + o]) * Double(w.values[weight(i, j, c, o)])
                    }
                    dx[input + c, default: 0] += sum
                    for o in outputs {
                        dw[weight(i, j, c, o), default: 0] +=
                            Double(x.values[input + c]) * Double(dy.values[output + o])
                    }
                }
            }
            return [y, dx, dw]
        }

        /// y, dx and dw by an algorithm.
        func results(_ algorithm: Convolution.Algorithm) -> [FloatBuffer] {
            let convolution = Convolution(geometry, algorithm: algorithm)
            let scratch = FloatBuffer(count: convolution.scratchCount(batch: examples))
            let y = FloatBuffer(count: dy.count), dx = FloatBuffer(count: x.count), dw = FloatBuffer(count: w.count)
            convolution.forward(x.values, weight: w.values, into: y.values, batch: examples, scratch: scratch.values)
            convolution.inputGradient(
                dy.values, weight: w.values, into: dx.values, batch: examples, scratch: scratch.values)
            convolution.weightGradient(
                input: x.values, outputGradient: dy.values, into: dw.values, adding: false, batch: examples,
                scratch: scratch.values)
            return [y, dx, dw]
        }
    }

    /// In units of the root mean square of the right values.
    private func error(_ found: FloatBuffer, _ right: [Int: Double]) -> Double {
        var differences = 0.0, squares = 0.0
        for (place, value) in right {
            differences += (Double(found.values[place]) - value) * (Double(found.values[place]) - value)
            squares += value * value
        }
        return (differences / squares).squareRoot()
    }

    @Test(arguments: layers) func winogradIsAtMostTenTimesAsFarFromTheDefinition(
        size: Int, channels: Int, outputChannels: Int, kernel: Int, stride: Int
    ) throws {
        let trial = Trial(
            try #require(
                ConvolutionGeometry.same(
                    height: size, width: size, channels: channels, outputChannels: outputChannels,
                    kernel: Extent(integerLiteral: kernel), stride: Extent(integerLiteral: stride))))
        let right = trial.definition, direct = trial.results(.windows), winograd = trial.results(.winograd)
        for (pass, name) in ["forward", "input gradient", "weight gradient"].enumerated() {
            let errors = (direct: error(direct[pass], right[pass]), winograd: error(winograd[pass], right[pass]))
            print(
                """
                \(channels) → \(outputChannels) channels, \(kernel) × \(kernel), \(name): \
                Winograd's error \(errors.winograd), the direct form's \(errors.direct)
                """
            )
            #expect(errors.direct < 2e-6 && errors.winograd <= 10 * errors.direct, "\(name)")
        }
    }
}
