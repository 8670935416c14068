import Testing
@testable import Kernels

/// The three products against their definitions in double precision, by panels (whatever the build's processor) and
/// by BLAS.
@Suite struct BatchProductTests {
    /// Whole panels and blocks, and odd ends of each: a last panel of 8 or fewer examples and of more, last columns,
    /// last terms.
    static let sizes = [
        (64, 64, 96), (16, 128, 32), (8, 16, 16), (1, 17, 16), (5, 70, 33), (13, 129, 47), (24, 65, 100), (25, 31, 190),
        (50, 200, 17), (40, 48, 80), (129, 40, 70), (140, 70, 33),
    ]

    @Test(arguments: sizes, [false, true])
    func productsAreTheSums(_ size: (Int, Int, Int), byPanels: Bool) {
        let (rows, inputs, outputs) = size
        let product = BatchProduct(rows: rows, inputs: inputs, outputs: outputs, suits: byPanels)
        let x = randomBuffer(rows * inputs, seed: 1), w = randomBuffer(inputs * outputs, seed: 2),
            b = randomBuffer(outputs, seed: 3)
        let dy = randomBuffer(rows * outputs, seed: 4)
        let y = nans(rows * outputs), unbiased = nans(rows * outputs), dx = nans(rows * inputs),
            dw = nans(inputs * outputs)
        // Scratch holds leftovers of another layer: NaN shows a value that is read before it is written.
        let scratch = FloatBuffer(count: product.scratchCount)
        func fresh() -> Floats { scratch.values.fill(.nan); return scratch.values }
        product.forward(x.values, weight: w.values, bias: b.values, into: y.values, scratch: fresh())
        product.forward(x.values, weight: w.values, bias: nil, into: unbiased.values, scratch: fresh())
        product.inputGradient(dy.values, weight: w.values, into: dx.values, scratch: fresh())
        for times in 1 ... 2 {
            product.weightGradient(x.values, dy.values, into: dw.values, adding: times == 2, scratch: fresh())
            expectNear(dw, rows: inputs, columns: outputs) { k, j in
                Double(times) * sum(rows) { Double(x.values[$0 * inputs + k]) * Double(dy.values[$0 * outputs + j]) }
            }
        }
        expectNear(unbiased, rows: rows, columns: outputs) { n, j in
            sum(inputs) { Double(x.values[n * inputs + $0]) * Double(w.values[$0 * outputs + j]) }
        }
        expectNear(y, rows: rows, columns: outputs) { n, j in
            Double(b.values[j]) + sum(inputs) { Double(x.values[n * inputs + $0]) * Double(w.values[$0 * outputs + j]) }
        }
        expectNear(dx, rows: rows, columns: inputs) { n, k in
            sum(outputs) { Double(dy.values[n * outputs + $0]) * Double(w.values[k * outputs + $0]) }
        }
    }

    /// Whether few examples are multiplied by the weights as they lie or many by copies of them, in pairs of panels or
    /// not: an example's sums have the same bits.
    @Test(arguments: [57, 131], [(100, 130), (64, 256), (17, 70), (600, 40)])
    func examplesTogetherGiveTheBitsOfEach(rows: Int, _ sides: (Int, Int)) {
        let (inputs, outputs) = sides
        let all = BatchProduct(rows: rows, inputs: inputs, outputs: outputs, suits: true)
        let x = randomBuffer(rows * inputs, seed: 1), w = randomBuffer(inputs * outputs, seed: 2),
            b = randomBuffer(outputs, seed: 3), dy = randomBuffer(rows * outputs, seed: 4)
        let y = nans(rows * outputs), dx = nans(rows * inputs), scratch = FloatBuffer(count: all.scratchCount)
        all.forward(x.values, weight: w.values, bias: b.values, into: y.values, scratch: scratch.values)
        all.inputGradient(dy.values, weight: w.values, into: dx.values, scratch: scratch.values)
        for first in stride(from: 0, to: rows, by: 8) {
            let end = min(first + 8, rows), count = end - first
            let few = BatchProduct(rows: count, inputs: inputs, outputs: outputs, suits: true)
            let someY = nans(count * outputs), someDx = nans(count * inputs)
            few.forward(
                x.values[first * inputs ..< end * inputs], weight: w.values, bias: b.values, into: someY.values,
                scratch: scratch.values)
            few.inputGradient(
                dy.values[first * outputs ..< end * outputs], weight: w.values, into: someDx.values,
                scratch: scratch.values)
            #expect(someY.array == y.values[first * outputs ..< end * outputs].array, "y of \(first) ..< \(end)")
            #expect(someDx.array == dx.values[first * inputs ..< end * inputs].array, "dx of \(first) ..< \(end)")
        }
    }
}
