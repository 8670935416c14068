import Kernels
@testable import Nets
import Testing

@Suite struct InitialiserTests {
    private func values(_ initialiser: Initialiser, inputs: Int = 200, units: Int = 150) throws -> [Float] {
        let network = try Network(
            [Dense(units: units, weights: initialiser)], input: .vector(inputs), capacity: 1, name: "n")
        network.store.initialise(seed: 11, role: 0)
        return network.store.values.values[network.store.entries[0].range].array
    }

    private func deviation(_ values: [Float]) -> Double {
        (values.reduce(0) { $0 + Double($1) * Double($1) } / Double(values.count)).squareRoot()
    }

    @Test(arguments: [
        (Initialiser.normal(0.02), 0.02), (.he, (2.0 / 200).squareRoot()),
        (.uniform(0.05), 0.05 / 3.0.squareRoot()), (.glorot, (2.0 / 350).squareRoot()),
    ])
    func deviations(initialiser: Initialiser, expected: Double) throws {
        let values = try values(initialiser)
        #expect(abs(deviation(values) / expected - 1) < 0.02)
        #expect(abs(values.reduce(0) { $0 + Double($1) } / Double(values.count)) < 0.03 * expected)
        if case .uniform(let bound) = initialiser {
            #expect(
                values.allSatisfy { abs($0) <= bound } && values.contains { $0 > 0.99 * bound }
                    && values.contains { $0 < -0.99 * bound })
        }
    }

    @Test func constants() throws {
        #expect(try values(.zero).allSatisfy { $0 == 0 })
        #expect(try values(.marginals).allSatisfy { $0 == 0 })
        #expect(try values(.constant(0.5)).allSatisfy { $0 == 0.5 })
    }

    /// Tall and wide: the shorter side is orthonormal, times the gain.
    @Test(arguments: [(30, 20), (20, 30), (17, 17), (9, 1)])
    func orthogonal(inputs: Int, units: Int) throws {
        let gain: Float = 1.4
        let matrix = try values(.orthogonal(gain: gain), inputs: inputs, units: units)
        func vector(_ number: Int) -> [Float] {
            inputs >= units
                ? (0 ..< inputs).map { matrix[$0 * units + number] }
                : Array(matrix[number * units ..< (number + 1) * units])
        }
        for first in 0 ..< min(inputs, units) {
            for second in 0 ... first {
                let product = zip(vector(first), vector(second)).reduce(0) { $0 + Double($1.0) * Double($1.1) }
                #expect(abs(product - (first == second ? Double(gain * gain) : 0)) < 1e-5)
            }
        }
    }
}
