import Testing
@testable import Kernels

/// The three products of `size` (rows, inputs, outputs) against their definitions in double precision; the weights and
/// their gradient lie in `panels`, or by rows.
func expectTheSums(_ product: BatchProduct, _ size: (Int, Int, Int), in panels: WeightPanels? = nil) {
    let (rows, inputs, outputs) = size
    let x = randomBuffer(rows * inputs, seed: 1), w = randomBuffer(inputs * outputs, seed: 2),
        b = randomBuffer(outputs, seed: 3)
    let dy = randomBuffer(rows * outputs, seed: 4)
    let y = nans(rows * outputs), unbiased = nans(rows * outputs), dx = nans(rows * inputs),
        dw = nans(inputs * outputs), stored = nans(inputs * outputs), storedGradient = nans(inputs * outputs)
    if let panels { panels.store(w.values, into: stored.values) } else { stored.values.copy(from: w.values) }
    // Scratch holds leftovers of another layer: NaN shows a value that is read before it is written.
    let scratch = FloatBuffer(count: product.scratchCount)
    func fresh() -> Floats { scratch.values.fill(.nan); return scratch.values }
    product.forward(x.values, weight: stored.values, bias: b.values, into: y.values, scratch: fresh())
    product.forward(x.values, weight: stored.values, bias: nil, into: unbiased.values, scratch: fresh())
    product.inputGradient(dy.values, weight: stored.values, into: dx.values, scratch: fresh())
    for times in 1 ... 2 {
        product.weightGradient(
            x.values, dy.values, into: storedGradient.values, adding: times == 2, scratch: fresh())
        if let panels {
            panels.restore(storedGradient.values, into: dw.values)
        } else {
            dw.values.copy(from: storedGradient.values)
        }
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

/// What an example gives has the same bits in a product of `rows` examples and in products of `atATime`.
func expectTheBitsOfEach(
    _ rows: Int, _ inputs: Int, _ outputs: Int, atATime: Int, _ product: (_ rows: Int) -> BatchProduct
) {
    let all = product(rows)
    let x = randomBuffer(rows * inputs, seed: 1), w = randomBuffer(inputs * outputs, seed: 2),
        b = randomBuffer(outputs, seed: 3), dy = randomBuffer(rows * outputs, seed: 4)
    let y = nans(rows * outputs), dx = nans(rows * inputs), scratch = FloatBuffer(count: all.scratchCount)
    all.forward(x.values, weight: w.values, bias: b.values, into: y.values, scratch: scratch.values)
    all.inputGradient(dy.values, weight: w.values, into: dx.values, scratch: scratch.values)
    for first in stride(from: 0, to: rows, by: atATime) {
        let end = min(first + atATime, rows), few = product(end - first)
        let someY = nans((end - first) * outputs), someDx = nans((end - first) * inputs)
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

private func sum(_ count: Int, _ term: (Int) -> Double) -> Double { (0 ..< count).reduce(0) { $0 + term($1) } }

/// Expects the values of a matrix to be right but for rounding: those of sums of some hundred products of values in
/// ±1.
private func expectNear(_ values: FloatBuffer, rows: Int, columns: Int, _ right: (Int, Int) -> Double) {
    var worst = 0.0
    for row in 0 ..< rows {
        for column in 0 ..< columns {
            let difference = abs(Double(values.values[row * columns + column]) - right(row, column))
            worst = difference.isNaN ? .infinity : max(worst, difference)
        }
    }
    #expect(worst < 2e-5)
}
