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
        let panels = WeightPanels(always: inputs, outputs: outputs)
        expectTheSums(BatchProduct(rows: rows, of: panels), (rows, inputs, outputs), in: panels)
    }

    /// What an example gives does not depend on how many others there are.
    @Test(arguments: [1, 3, 8, 20], [(100, 128), (64, 256), (17, 80), (600, 48)])
    func examplesTogetherGiveTheBitsOfEach(atATime: Int, _ sides: (Int, Int)) {
        let (inputs, outputs) = sides, panels = WeightPanels(always: inputs, outputs: outputs)
        expectTheBitsOfEach(150, inputs, outputs, atATime: atATime) { BatchProduct(rows: $0, of: panels) }
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
