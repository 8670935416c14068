import Testing
@testable import Kernels

/// A 3 × 3 convolution beside a resampling by two, as one of 4 × 4, at the width of published networks, against the
/// definition in Double, in some channels.
@Suite struct WidenedConvolutionTests {
    private static let examples = 4

    struct Layer: Sendable {
        /// Of the larger image.
        let size, channels, outputChannels: Int
        let resamplesFirst: Bool
    }

    static let layers = [(16, 256, 256), (32, 128, 128), (8, 256, 512), (28, 64, 1), (14, 5, 7)].flatMap {
        size, channels, outputChannels in
        [true, false].map {
            Layer(size: size, channels: channels, outputChannels: outputChannels, resamplesFirst: $0)
        }
    }

    /// For each pair of an input and an output pixel that a tap of the kernel joins, with the tap's weight in that.
    private func forEachPair(_ layer: Layer, _ body: (_ tap: Int, _ input: Int, _ output: Int, _ share: Double) -> Void)
    {
        let small = layer.size / 2, inputs = layer.resamplesFirst ? small : layer.size
        let outputs = layer.resamplesFirst ? layer.size : small
        for n in 0 ..< Self.examples {
            for p in 0 ..< layer.size {
                for q in 0 ..< layer.size {
                    for tap in 0 ..< 9 {
                        let (row, column) = (p + tap / 3 - 1, q + tap % 3 - 1)
                        guard row >= 0, row < layer.size, column >= 0, column < layer.size else { continue }
                        let first = layer.resamplesFirst
                        body(
                            tap, (n * inputs + (first ? row / 2 : row)) * inputs + (first ? column / 2 : column),
                            (n * outputs + (first ? p : p / 2)) * outputs + (first ? q : q / 2), first ? 1 : 0.25)
                    }
                }
            }
        }
    }

    @Test(arguments: layers)
    func theErrorIsAtMostTenTimesTheDirectForms(layer: Layer) throws {
        let (inputs, outputs) = (layer.channels, layer.outputChannels), some = outputs - 1, channel = inputs / 2
        let geometry = try #require(
            ConvolutionGeometry.same(
                height: layer.size, width: layer.size, channels: inputs, outputChannels: outputs, kernel: 3, stride: 1))
        let pixels = layer.size * layer.size, small = pixels / 4
        let x = randomBuffer(Self.examples * inputs * (layer.resamplesFirst ? small : pixels), seed: 1)
        let dy = randomBuffer(Self.examples * outputs * (layer.resamplesFirst ? pixels : small), seed: 2)
        let w = randomBuffer(9 * inputs * outputs, seed: 3)

        var y = Array(repeating: 0.0, count: dy.count / outputs), dx = Array(repeating: 0.0, count: x.count / inputs)
        var dw = Array(repeating: 0.0, count: 9)
        // The same in Float, one term after another: the direct form.
        var direct = (y.map(Float.init), dx.map(Float.init), dw.map(Float.init))
        forEachPair(layer) { tap, input, output, share in
            for c in 0 ..< inputs {
                let (a, b) = (x.values[input * inputs + c], w.values[(tap * inputs + c) * outputs + some])
                y[output] += share * Double(a) * Double(b)
                direct.0[output] += Float(share) * a * b
            }
            for o in 0 ..< outputs {
                let (a, b) = (dy.values[output * outputs + o], w.values[(tap * inputs + channel) * outputs + o])
                dx[input] += share * Double(a) * Double(b)
                direct.1[input] += Float(share) * a * b
            }
            let (a, b) = (x.values[input * inputs + channel], dy.values[output * outputs + some])
            dw[tap] += share * Double(a) * Double(b)
            direct.2[tap] += Float(share) * a * b
        }

        let tested = WidenedConvolution(larger: geometry, resamplesFirst: layer.resamplesFirst)
        let scratch = FloatBuffer(count: tested.scratchCount(batch: Self.examples))
        scratch.values.fill(.nan)
        let output = FloatBuffer(count: dy.count), inputGradient = FloatBuffer(count: x.count)
        let weightGradient = FloatBuffer(count: w.count)
        weightGradient.values.copy(from: w.values)
        tested.forward(
            x.values, weight: w.values, into: output.values, batch: Self.examples, scratch: scratch.values)
        tested.inputGradient(
            dy.values, weight: w.values, into: inputGradient.values, batch: Self.examples, scratch: scratch.values)
        tested.weightGradient(
            input: x.values, outputGradient: dy.values, into: weightGradient.values, adding: true,
            batch: Self.examples, scratch: scratch.values)
        let found: [(String, [Float], [Float], [Double])] = [
            ("forward", y.indices.map { output.values[$0 * outputs + some] }, direct.0, y),
            ("input gradient", dx.indices.map { inputGradient.values[$0 * inputs + channel] }, direct.1, dx),
            (
                "weight gradient",
                (0 ..< 9).map {
                    let place = ($0 * inputs + channel) * outputs + some
                    return weightGradient.values[place] - w.values[place]
                }, direct.2, dw
            ),
        ]
        for (name, values, direct, right) in found {
            let errors = (error(values, right), error(direct, right))
            print("\(layer), \(name): error \(errors.0), of the direct form \(errors.1)")
            // What few values come to in a sum of few terms is chance: a unit in the last place more is allowed.
            #expect(errors.0 <= 10 * errors.1 + 1e-7, "\(name)")
        }
    }

    /// In units of the root mean square of the right values.
    private func error(_ found: [Float], _ right: [Double]) -> Double {
        let differences = zip(found, right).reduce(0) { $0 + (Double($1.0) - $1.1) * (Double($1.0) - $1.1) }
        return (differences / right.reduce(0) { $0 + $1 * $1 }).squareRoot()
    }
}
