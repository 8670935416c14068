import Testing
@testable import Kernels

/// The definition, in Double: y, dx and dw for given x, w and dy.
struct NaiveConvolution {
    let output: [Double], inputGradient: [Double], weightGradient: [Double]

    init(_ g: ConvolutionGeometry, batch: Int, input: Floats, weight: Floats, outputGradient: Floats) {
        var y = [Double](repeating: 0, count: batch * g.outputCount)
        var dx = [Double](repeating: 0, count: batch * g.inputCount)
        var dw = [Double](repeating: 0, count: g.weightCount)
        let (x, w, dy) = (
            input.array.map(Double.init), weight.array.map(Double.init), outputGradient.array.map(Double.init)
        )
        y.withUnsafeMutableBufferPointer { y in
            dx.withUnsafeMutableBufferPointer { dx in
                dw.withUnsafeMutableBufferPointer { dw in
                    for n in 0 ..< batch {
                        for p in 0 ..< g.outputHeight {
                            for q in 0 ..< g.outputWidth {
                                for i in 0 ..< g.kernel.height {
                                    for j in 0 ..< g.kernel.width {
                                        let row = p * g.stride.height + i - g.padTop,
                                            column = q * g.stride.width + j - g.padLeft
                                        guard row >= 0, row < g.inputHeight, column >= 0, column < g.inputWidth else {
                                            continue
                                        }
                                        for c in 0 ..< g.inputChannels {
                                            for o in 0 ..< g.outputChannels {
                                                let inputIndex =
                                                    ((n * g.inputHeight + row) * g.inputWidth + column)
                                                    * g.inputChannels + c
                                                let weightIndex =
                                                    ((i * g.kernel.width + j) * g.inputChannels + c) * g.outputChannels
                                                    + o
                                                let outputIndex =
                                                    ((n * g.outputHeight + p) * g.outputWidth + q) * g.outputChannels
                                                    + o
                                                y[outputIndex] += x[inputIndex] * w[weightIndex]
                                                dx[inputIndex] += dy[outputIndex] * w[weightIndex]
                                                dw[weightIndex] += x[inputIndex] * dy[outputIndex]
                                            }
                                        }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
        (output, inputGradient, weightGradient) = (y, dx, dw)
    }
}

/// A convolution's three passes on random values, and the definition's.
struct ConvolutionTrial {
    let naive: NaiveConvolution
    let output, inputGradient, weightGradient, weightGradientWritten: [Float]
    /// What the weight gradient was added to.
    let before: [Float]

    init(_ convolution: Convolution, batch: Int) {
        let g = convolution.geometry
        let x = randomBuffer(batch * g.inputCount, seed: 1), w = randomBuffer(g.weightCount, seed: 2)
        let dy = randomBuffer(batch * g.outputCount, seed: 3)
        let y = randomBuffer(batch * g.outputCount, seed: 4), dx = randomBuffer(batch * g.inputCount, seed: 5)
        let dw = randomBuffer(g.weightCount, seed: 6)
        // Scratch holds leftovers of another layer: NaN shows a value that is read before it is written.
        let scratch = FloatBuffer(count: convolution.scratchCount(batch: batch))
        before = dw.values.array
        scratch.values.fill(.nan)
        convolution.forward(x.values, weight: w.values, into: y.values, batch: batch, scratch: scratch.values)
        scratch.values.fill(.nan)
        convolution.inputGradient(dy.values, weight: w.values, into: dx.values, batch: batch, scratch: scratch.values)
        scratch.values.fill(.nan)
        convolution.weightGradient(
            input: x.values, outputGradient: dy.values, into: dw.values, adding: true, batch: batch,
            scratch: scratch.values)
        let written = FloatBuffer([Float](repeating: .nan, count: g.weightCount))
        scratch.values.fill(.nan)
        convolution.weightGradient(
            input: x.values, outputGradient: dy.values, into: written.values, adding: false, batch: batch,
            scratch: scratch.values)
        weightGradientWritten = written.array
        (output, inputGradient, weightGradient) = (y.values.array, dx.values.array, dw.values.array)
        naive = NaiveConvolution(g, batch: batch, input: x.values, weight: w.values, outputGradient: dy.values)
    }

    /// The root mean square differences from the definition, in units of the root mean square of the right values.
    var errors: (output: Double, inputGradient: Double, weightGradient: Double) {
        func error(_ values: [Float], _ right: [Double], _ before: [Float]? = nil) -> Double {
            var differences = 0.0, squares = 1e-60
            for index in values.indices {
                let difference = Double(values[index]) - right[index] - Double(before?[index] ?? 0)
                guard difference.isFinite else { return .infinity }
                differences += difference * difference
                squares += right[index] * right[index]
            }
            return (differences / squares).squareRoot()
        }
        return (
            error(output, naive.output), error(inputGradient, naive.inputGradient),
            max(error(weightGradient, naive.weightGradient, before), error(weightGradientWritten, naive.weightGradient))
        )
    }
}

@Suite struct ConvolutionTests {
    struct Case: CustomStringConvertible, Sendable {
        let height, width, channels, outputChannels, batch: Int
        let kernel, stride: Extent
        let same: Bool
        init(
            _ height: Int, _ width: Int, _ channels: Int, to outputChannels: Int, kernel: Extent, stride: Extent,
            same: Bool, batch: Int
        ) {
            (self.height, self.width, self.channels, self.outputChannels) = (height, width, channels, outputChannels)
            (self.kernel, self.stride, self.same, self.batch) = (kernel, stride, same, batch)
        }
        var geometry: ConvolutionGeometry? {
            same
                ? .same(
                    height: height, width: width, channels: channels, outputChannels: outputChannels, kernel: kernel,
                    stride: stride)
                : .valid(
                    height: height, width: width, channels: channels, outputChannels: outputChannels, kernel: kernel,
                    stride: stride)
        }
        var description: String {
            "\(height)×\(width)×\(channels) → \(outputChannels), "
                + "\(kernel) / \(stride) \(same ? "same" : "valid"), batch \(batch)"
        }
    }

    static let cases = [
        Case(8, 8, 3, to: 5, kernel: 4, stride: 2, same: true, batch: 3),
        Case(8, 8, 5, to: 3, kernel: 4, stride: 2, same: true, batch: 3),
        Case(7, 10, 3, to: 4, kernel: 4, stride: 2, same: true, batch: 2),
        Case(9, 6, 4, to: 3, kernel: 3, stride: 2, same: true, batch: 2),
        Case(7, 5, 2, to: 2, kernel: 3, stride: 1, same: true, batch: 2),
        Case(7, 5, 2, to: 3, kernel: 5, stride: 1, same: false, batch: 1),
        Case(11, 8, 3, to: 2, kernel: 4, stride: 3, same: false, batch: 2),
        Case(11, 8, 2, to: 3, kernel: 4, stride: 3, same: false, batch: 2),
        Case(9, 9, 3, to: 2, kernel: 2, stride: 4, same: true, batch: 2),
        Case(9, 9, 2, to: 3, kernel: 2, stride: 4, same: false, batch: 2),
        Case(3, 2, 2, to: 2, kernel: 7, stride: 2, same: true, batch: 2),
        Case(16, 16, 1, to: 8, kernel: 4, stride: 2, same: true, batch: 2),
        Case(4, 4, 6, to: 1, kernel: 4, stride: 1, same: false, batch: 5),
        Case(4, 4, 6, to: 7, kernel: 4, stride: 1, same: true, batch: 1),
        Case(5, 4, 6, to: 7, kernel: 1, stride: 1, same: true, batch: 3),
        Case(5, 4, 6, to: 7, kernel: 1, stride: 2, same: true, batch: 3),
        Case(1, 1, 4, to: 5, kernel: 1, stride: 1, same: false, batch: 2),
        Case(4, 4, 2, to: 3, kernel: 4, stride: 2, same: true, batch: 0),
        Case(
            7, 10, 3, to: 4, kernel: Extent(height: 3, width: 5), stride: Extent(height: 2, width: 1), same: true,
            batch: 2),
        Case(
            7, 10, 4, to: 3, kernel: Extent(height: 5, width: 2), stride: Extent(height: 1, width: 3), same: true,
            batch: 2),
        Case(
            11, 8, 2, to: 3, kernel: Extent(height: 2, width: 6), stride: Extent(height: 3, width: 2), same: false,
            batch: 2),
        Case(
            11, 8, 3, to: 2, kernel: Extent(height: 2, width: 6), stride: Extent(height: 3, width: 2), same: false,
            batch: 2),
        Case(
            5, 6, 2, to: 3, kernel: Extent(height: 5, width: 6), stride: Extent(height: 2, width: 1), same: false,
            batch: 3),
        Case(
            6, 5, 3, to: 2, kernel: Extent(height: 1, width: 3), stride: Extent(height: 1, width: 2), same: true,
            batch: 2),
        Case(6, 5, 2, to: 3, kernel: 1, stride: Extent(height: 1, width: 2), same: true, batch: 2),
        Case(8, 8, 32, to: 32, kernel: 4, stride: Extent(height: 2, width: 1), same: true, batch: 16),
        Case(8, 8, 32, to: 32, kernel: Extent(height: 4, width: 3), stride: 2, same: true, batch: 16),
        // One to four channels on a side, one to seven vectors of sixteen on the other.
        Case(8, 8, 1, to: 16, kernel: 4, stride: 2, same: true, batch: 3),
        Case(7, 10, 2, to: 48, kernel: 3, stride: 1, same: true, batch: 2),
        Case(9, 6, 3, to: 80, kernel: 5, stride: 2, same: false, batch: 2),
        Case(5, 7, 4, to: 112, kernel: Extent(height: 3, width: 8), stride: 1, same: true, batch: 2),
        Case(11, 8, 4, to: 128, kernel: 2, stride: 3, same: false, batch: 1),
        Case(8, 8, 16, to: 1, kernel: 4, stride: 2, same: true, batch: 3),
        Case(7, 10, 48, to: 2, kernel: 3, stride: 1, same: true, batch: 2),
        Case(9, 6, 80, to: 3, kernel: 5, stride: 2, same: false, batch: 2),
        Case(
            5, 7, 112, to: 4, kernel: Extent(height: 3, width: 8), stride: Extent(height: 2, width: 1), same: true,
            batch: 2),
        Case(11, 8, 128, to: 1, kernel: 2, stride: 3, same: false, batch: 1),
        Case(9, 9, 16, to: 2, kernel: 2, stride: 4, same: false, batch: 0),
    ]

    @Test(arguments: cases) func agreesWithTheDefinition(_ trial: Case) throws {
        let errors = ConvolutionTrial(Convolution(try #require(trial.geometry)), batch: trial.batch).errors
        #expect(errors.output < 2e-6 && errors.inputGradient < 2e-6 && errors.weightGradient < 2e-6)
    }

    @Test func samePaddingIsTensorFlows() throws {
        let even = try #require(
            ConvolutionGeometry.same(height: 32, width: 28, channels: 1, outputChannels: 8, kernel: 4, stride: 2))
        #expect((even.outputHeight, even.outputWidth, even.padTop, even.padLeft) == (16, 14, 1, 1))
        // (4 − 1)·2 + 5 − 7 = 4 rows of padding; (3 − 1)·2 + 5 − 6 = 3 columns, one left and two right.
        let odd = try #require(
            ConvolutionGeometry.same(height: 7, width: 6, channels: 1, outputChannels: 8, kernel: 5, stride: 2))
        #expect((odd.outputHeight, odd.outputWidth, odd.padTop, odd.padLeft) == (4, 3, 2, 1))
        // 0 rows of padding, as ⌈9/3⌉ windows of 3 fill the height; (8 − 1)·1 + 6 − 8 = 5 columns, two left and three
        // right.
        let rectangular = try #require(
            ConvolutionGeometry.same(
                height: 9, width: 8, channels: 1, outputChannels: 8, kernel: Extent(height: 3, width: 6),
                stride: Extent(height: 3, width: 1)))
        #expect(
            (rectangular.outputHeight, rectangular.outputWidth, rectangular.padTop, rectangular.padLeft) == (3, 8, 0, 2)
        )
    }

    @Test func geometriesThatDoNotFitAreRefused() {
        #expect(
            ConvolutionGeometry.valid(height: 3, width: 8, channels: 1, outputChannels: 1, kernel: 4, stride: 1) == nil)
        #expect(
            ConvolutionGeometry.valid(height: 8, width: 3, channels: 1, outputChannels: 1, kernel: 4, stride: 1) == nil)
        #expect(
            ConvolutionGeometry.valid(
                height: 8, width: 3, channels: 1, outputChannels: 1, kernel: Extent(height: 8, width: 4), stride: 1)
                == nil)
        #expect(
            ConvolutionGeometry.valid(
                height: 8, width: 3, channels: 1, outputChannels: 1, kernel: Extent(height: 8, width: 3), stride: 1)
                != nil)
        #expect(
            ConvolutionGeometry.same(
                height: 8, width: 3, channels: 1, outputChannels: 1, kernel: 4, stride: Extent(height: 1, width: 0))
                == nil)
        #expect(
            ConvolutionGeometry.same(height: 0, width: 3, channels: 1, outputChannels: 1, kernel: 4, stride: 1) == nil)
    }

    /// So many values of a window that the blocks of scratch memory end inside an image: in each pass, values on both
    /// sides of every end are those of the definition.
    @Test func manyBlocks() throws {
        let g = try #require(
            ConvolutionGeometry.same(height: 12, width: 12, channels: 2048, outputChannels: 3, kernel: 5, stride: 1))
        let convolution = Convolution(g, algorithm: .windows), batch = 4, pixels = 144
        let block = convolution.scratchCount(batch: batch) / g.windowCount
        #expect(block < pixels && pixels % block != 0)
        let x = randomBuffer(batch * g.inputCount, seed: 1), w = randomBuffer(g.weightCount, seed: 2)
        let dy = randomBuffer(batch * g.outputCount, seed: 3)
        let y = FloatBuffer(count: dy.count), dx = FloatBuffer(count: x.count), dw = FloatBuffer(count: w.count)
        let scratch = FloatBuffer(count: convolution.scratchCount(batch: batch))
        for pass in 0 ..< 3 {
            scratch.values.fill(.nan)
            switch pass {
            case 0:
                convolution.forward(x.values, weight: w.values, into: y.values, batch: batch, scratch: scratch.values)
            case 1:
                convolution.inputGradient(
                    dy.values, weight: w.values, into: dx.values, batch: batch, scratch: scratch.values)
            default:
                convolution.weightGradient(
                    input: x.values, outputGradient: dy.values, into: dw.values, adding: false, batch: batch,
                    scratch: scratch.values)
            }
        }
        /// Every pair of an input and an output pixel that a tap joins, of the output pixels `chosen`.
        func forEachPair(_ chosen: [Int], _ body: (_ tap: Int, _ input: Int, _ output: Int) -> Void) {
            for output in chosen {
                for tap in 0 ..< 25 {
                    let row = output % pixels / 12 + tap / 5 - 2, column = output % 12 + tap % 5 - 2
                    guard (0 ..< 12).contains(row), (0 ..< 12).contains(column) else { continue }
                    body(tap, output / pixels * pixels + row * 12 + column, output)
                }
            }
        }
        var error = RelativeError()
        // Whole sums over 51,200 values, at the ends of blocks; of a few channels at all pixels.
        let all = Array(0 ..< batch * pixels), channels = [0, 1029, 2047]
        let ends = Set(stride(from: block, to: batch * pixels, by: block).flatMap { [$0 - 1, $0] } + [0, all.last!])
        for pixel in ends.sorted() {
            var sum = 0.0
            forEachPair([pixel]) { tap, input, _ in
                for c in 0 ..< 2048 {
                    sum += Double(x.values[input * 2048 + c]) * Double(w.values[(tap * 2048 + c) * 3 + pixel % 3])
                }
            }
            error.add(y.values[pixel * 3 + pixel % 3], sum)
        }
        #expect(error.value < 2e-6)
        for c in channels {
            var ofInput = [Double](repeating: 0, count: all.count), ofWeight = [Double](repeating: 0, count: 75)
            forEachPair(all) { tap, input, output in
                for o in 0 ..< 3 {
                    let slope = Double(dy.values[output * 3 + o])
                    ofInput[input] += slope * Double(w.values[(tap * 2048 + c) * 3 + o])
                    ofWeight[tap * 3 + o] += slope * Double(x.values[input * 2048 + c])
                }
            }
            var errors = (RelativeError(), RelativeError())
            for pixel in all { errors.0.add(dx.values[pixel * 2048 + c], ofInput[pixel]) }
            for index in 0 ..< 75 { errors.1.add(dw.values[(index / 3 * 2048 + c) * 3 + index % 3], ofWeight[index]) }
            #expect(errors.0.value < 2e-6 && errors.1.value < 2e-6)
        }
    }

    static let winogradCases = [
        Case(8, 8, 16, to: 32, kernel: 4, stride: 2, same: true, batch: 3),
        Case(16, 8, 32, to: 16, kernel: 4, stride: 2, same: true, batch: 2),
        Case(7, 10, 16, to: 16, kernel: 4, stride: 2, same: true, batch: 2),
        Case(13, 4, 16, to: 16, kernel: 4, stride: 2, same: false, batch: 2),
        Case(11, 20, 16, to: 16, kernel: 4, stride: 2, same: false, batch: 1),
        Case(3, 2, 16, to: 16, kernel: 4, stride: 2, same: true, batch: 2),
        Case(8, 8, 48, to: 16, kernel: 4, stride: 2, same: true, batch: 0),
        Case(8, 8, 16, to: 32, kernel: 3, stride: 1, same: true, batch: 3),
        Case(7, 14, 32, to: 16, kernel: 3, stride: 1, same: true, batch: 2),
        Case(9, 6, 16, to: 16, kernel: 3, stride: 1, same: false, batch: 2),
        Case(3, 3, 16, to: 16, kernel: 3, stride: 1, same: false, batch: 3),
        Case(3, 2, 16, to: 16, kernel: 3, stride: 1, same: true, batch: 2),
        Case(8, 8, 16, to: 32, kernel: 5, stride: 2, same: true, batch: 3),
        Case(7, 14, 32, to: 16, kernel: 5, stride: 2, same: true, batch: 2),
        Case(13, 8, 16, to: 16, kernel: 5, stride: 2, same: false, batch: 2),
        Case(28, 10, 80, to: 16, kernel: 5, stride: 2, same: false, batch: 1),
        Case(6, 3, 16, to: 16, kernel: 5, stride: 2, same: true, batch: 2),
    ]

    /// Winograd's transforms cost some precision: at most ten times the error of the direct form.
    @Test(arguments: winogradCases) func winogradAgreesWithTheDefinition(_ trial: Case) throws {
        let geometry = try #require(trial.geometry)
        let direct = ConvolutionTrial(Convolution(geometry, algorithm: .windows), batch: trial.batch).errors
        let errors = ConvolutionTrial(Convolution(geometry, algorithm: .winograd), batch: trial.batch).errors
        #expect(errors.output <= 10 * direct.output && errors.inputGradient <= 10 * direct.inputGradient)
        #expect(errors.weightGradient <= 10 * direct.weightGradient && direct.output < 2e-6)
    }

    /// Many small blocks of tiles and of channels, the last ones smaller, give what one block gives.
    @Test(arguments: [(4, 2), (3, 1), (5, 2)]) func winogradInManyBlocks(kernel: Int, stride: Int) throws {
        let geometry = try #require(
            ConvolutionGeometry.same(
                height: 13, width: 8, channels: 48, outputChannels: 80, kernel: Extent(integerLiteral: kernel),
                stride: Extent(integerLiteral: stride)))
        let batch = 5
        let x = randomBuffer(batch * geometry.inputCount, seed: 1), w = randomBuffer(geometry.weightCount, seed: 2)
        let dy = randomBuffer(batch * geometry.outputCount, seed: 3)
        var results: [[FloatBuffer]] = []
        for (imageLimit, resultLimit) in [(1 << 24, 1 << 17), (36 * 4 * 48 * 9, 1)] {
            let winograd = WinogradConvolution(
                geometry: geometry, batch: batch, imageLimit: imageLimit, resultLimit: resultLimit)
            let y = FloatBuffer(count: dy.count), dx = FloatBuffer(count: x.count), dw = FloatBuffer(count: w.count)
            let memory = FloatBuffer(count: winograd.scratchCount)
            memory.values.fill(.nan)
            let scratch = memory.values.base
            winograd.forward(x.values.base, weight: w.values.base, into: y.values.base, scratch: scratch)
            winograd.inputGradient(dy.values.base, weight: w.values.base, into: dx.values.base, scratch: scratch)
            winograd.weightGradient(
                input: x.values.base, outputGradient: dy.values.base, into: dw.values.base, adding: false,
                scratch: scratch)
            withExtendedLifetime(memory) {}
            results.append([y, dx, dw])
        }
        for (whole, blocks) in zip(results[0], results[1]) {
            var error = RelativeError()
            for index in 0 ..< whole.count { error.add(blocks.values[index], Double(whole.values[index])) }
            // Both round differently; a block left out or taken twice would be an error of the order of 1.
            #expect(error.value < 1e-5)
        }
    }

    @Test func theAlgorithmFollowsFromTheShape() throws {
        let layer = try #require(
            ConvolutionGeometry.same(height: 8, width: 8, channels: 256, outputChannels: 512, kernel: 4, stride: 2))
        #expect(Convolution(layer).algorithm(batch: 64) == .winograd)
        #expect(Convolution(layer).algorithm(batch: 8) == .winograd)
        #expect(Convolution(layer).algorithm(batch: 7) == .windows)
        let sameSize = try #require(
            ConvolutionGeometry.same(height: 7, width: 7, channels: 64, outputChannels: 64, kernel: 3, stride: 1))
        #expect(Convolution(sameSize).algorithm(batch: 2) == .winograd)
        let logit = try #require(
            ConvolutionGeometry.valid(height: 4, width: 4, channels: 512, outputChannels: 1, kernel: 4, stride: 1))
        #expect(Convolution(logit).algorithm(batch: 64) == .matrix)
        let first = try #require(
            ConvolutionGeometry.same(height: 32, width: 32, channels: 1, outputChannels: 128, kernel: 4, stride: 2))
        #expect(Convolution(first).algorithm(batch: 64) == .fewChannels)
    }
}
