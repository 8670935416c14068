import CKernels
import Testing
@testable import Kernels

/// The products with weights in panels against their definitions in double precision.
@Suite struct WeightPanelsTests {
    /// Whole tiles, panels and blocks, and odd ends of each.
    private static let sizes = [
        (1, 16, 16), (2, 37, 48), (3, 16, 64), (5, 70, 32), (7, 18, 112), (8, 300, 16), (9, 33, 80), (13, 129, 48),
        (16, 128, 32), (24, 65, 96), (25, 31, 192), (64, 64, 96), (129, 40, 80), (140, 270, 48), (300, 17, 32),
    ]

    @Test(arguments: sizes)
    func productsAreTheSums(rows: Int, inputs: Int, outputs: Int) {
        let panels = WeightPanels(always: inputs, outputs: outputs), product = BatchProduct(rows: rows, of: panels)
        let x = randomBuffer(rows * inputs, seed: 1), w = randomBuffer(inputs * outputs, seed: 2),
            b = randomBuffer(outputs, seed: 3), dy = randomBuffer(rows * outputs, seed: 4)
        let stored = nans(inputs * outputs), y = nans(rows * outputs), unbiased = nans(rows * outputs),
            dx = nans(rows * inputs), storedGradient = nans(inputs * outputs), dw = nans(inputs * outputs)
        panels.store(w.values, into: stored.values)
        // Scratch holds leftovers of another layer: NaN shows a value that is read before it is written.
        let scratch = FloatBuffer(count: product.scratchCount)
        func fresh() -> Floats { scratch.values.fill(.nan); return scratch.values }
        product.forward(x.values, weight: stored.values, bias: b.values, into: y.values, scratch: fresh())
        product.forward(x.values, weight: stored.values, bias: nil, into: unbiased.values, scratch: fresh())
        product.inputGradient(dy.values, weight: stored.values, into: dx.values, scratch: fresh())
        for times in 1 ... 2 {
            product.weightGradient(
                x.values, dy.values, into: storedGradient.values, adding: times == 2, scratch: fresh())
            panels.restore(storedGradient.values, into: dw.values)
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

    /// What an example gives does not depend on how many others there are.
    @Test(arguments: [1, 3, 8, 20], [(100, 128), (64, 256), (17, 80), (600, 48)])
    func examplesTogetherGiveTheBitsOfEach(atATime: Int, _ sides: (Int, Int)) {
        let rows = 150, (inputs, outputs) = sides
        let panels = WeightPanels(always: inputs, outputs: outputs), all = BatchProduct(rows: rows, of: panels)
        let x = randomBuffer(rows * inputs, seed: 1), w = randomBuffer(inputs * outputs, seed: 2),
            b = randomBuffer(outputs, seed: 3), dy = randomBuffer(rows * outputs, seed: 4)
        let y = nans(rows * outputs), dx = nans(rows * inputs), scratch = FloatBuffer(count: all.scratchCount)
        all.forward(x.values, weight: w.values, bias: b.values, into: y.values, scratch: scratch.values)
        all.inputGradient(dy.values, weight: w.values, into: dx.values, scratch: scratch.values)
        for first in stride(from: 0, to: rows, by: atATime) {
            let end = min(first + atATime, rows), count = end - first, few = BatchProduct(rows: count, of: panels)
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

    @Test func orderIsPanelByPanel() {
        let panels = WeightPanels(always: 17, outputs: 48), natural = randomBuffer(17 * 48, seed: 1)
        let stored = nans(17 * 48), restored = nans(17 * 48)
        panels.store(natural.values, into: stored.values)
        for (input, output) in [(0, 0), (16, 15), (3, 16), (16, 47)] {
            #expect(stored.values[(output / 16 * 17 + input) * 16 + output % 16] == natural.values[input * 48 + output])
        }
        panels.restore(stored.values, into: restored.values)
        #expect(restored.array == natural.array)
    }

    /// Small weights, and those whose outputs do not fill panels, lie by rows; with kernels that fuse products others
    /// do not.
    @Test func onlyLargeWeightsAreStoredInPanels() {
        #expect(WeightPanels(inputs: 256, outputs: 256) == nil)
        #expect(WeightPanels(inputs: 2000, outputs: 1000) == nil)
        #expect(WeightPanels(inputs: 15, outputs: 1 << 16) == nil)
        #expect((WeightPanels(inputs: 512, outputs: 512) != nil) == kernels().pointee.hasFusedProducts)
    }

    /// W / σ(W), σ and the way back are those of the same weights by rows.
    @Test func spectralNormsAreThoseOfTheMatrix() {
        let (inputs, outputs) = (33, 80), panels = WeightPanels(always: inputs, outputs: outputs)
        let natural = randomBuffer(inputs * outputs, seed: 5), stored = nans(inputs * outputs)
        let gradient = randomBuffer(inputs * outputs, seed: 6), storedGradient = nans(inputs * outputs)
        panels.store(natural.values, into: stored.values)
        panels.store(gradient.values, into: storedGradient.values)
        let forms: [(SpectralNorm.Form, FloatBuffer, FloatBuffer)] = [
            (.outputsLast(rest: inputs, outputs: outputs), natural, gradient),
            (.panels(panels), stored, storedGradient),
        ]
        let results = forms.map { form, weight, gradient in
            let u = randomBuffer(outputs, seed: 7), v = randomBuffer(inputs, seed: 8)
            let norm = SpectralNorm([form])
            var sigma = 0.0
            for _ in 0 ..< 3 { sigma = norm.iterate(weight.values, form, u: u.values, v: v.values) }
            #expect(sigma == norm.norm(weight.values, form, u: u.values, v: v.values))
            let target = nans(inputs * outputs)
            SpectralNorm.pullBack(
                gradient.values, normalised: weight.values, form, u: u.values, v: v.values, norm: sigma,
                into: target.values)
            return (sigma: sigma, u: u.array, v: v.array, target: target)
        }
        let restored = nans(inputs * outputs)
        panels.restore(results[1].target.values, into: restored.values)
        #expect(abs(results[0].sigma / results[1].sigma - 1) < 1e-6)
        for (one, other) in [
            (results[0].u, results[1].u), (results[0].v, results[1].v), (results[0].target.array, restored.array),
        ] {
            #expect(zip(one, other).allSatisfy { abs($0 - $1) < 2e-5 * max(1, abs($0)) })
        }
    }
}
