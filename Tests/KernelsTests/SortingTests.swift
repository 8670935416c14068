import Testing
@testable import Kernels

@Suite struct SortingTests {
    @Test(arguments: [0, 1, 2, 9, 1000, 40_000]) func sorts(count: Int) {
        let buffer = FloatBuffer(count: count), scratch = FloatBuffer(count: count)
        Draws(seed: 8, purpose: .synthetic, step: 0).fillNormal(buffer.values, samples: 1, deviation: 1000)
        if count > 8 {
            let special: [Float] = [
                0, -0.0, .leastNonzeroMagnitude, -.leastNonzeroMagnitude, .greatestFiniteMagnitude,
                -.greatestFiniteMagnitude,
            ]
            for (index, value) in special.enumerated() { buffer.values[index + 2] = value }
        }
        let expected = buffer.array.sorted()
        Sorting.sort(buffer.values, scratch: scratch.values)
        #expect(buffer.array == expected)
    }
}
