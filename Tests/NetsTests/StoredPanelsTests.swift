import Foundation
import Kernels
@testable import Nets
import Testing

/// A dense layer whose weights are so many that they lie in panels (``WeightPanels``) where the kernels have such
/// products: what goes to files and comes from them is in the order of its dimensions.
@Suite struct StoredPanelsTests {
    private static let inputs = 530, units = 512, rows = 3

    private static func network() throws -> Network {
        let network = try Network(
            [Dense(units: units), Tanh()], input: .vector(inputs), capacity: rows, name: "discriminator")
        network.store.initialise(seed: 3, role: 1)
        return network
    }

    /// The first values are the draws in their order, whatever the order in memory.
    @Test func firstValuesAreDrawnInNaturalOrder() throws {
        let network = try Self.network(), weight = network.store.named(network.store.values.values)[0]
        let drawn = FloatBuffer(count: Self.inputs * Self.units)
        network.store.entries[0].specification.initialise(
            drawn.values, Draws(seed: 3, purpose: .initialValues, step: 0, inner: 1))
        #expect(weight.dimensions == [Self.inputs, Self.units])
        #expect(weight.values.array == drawn.array)
        #expect((weight.values.view == nil) == (WeightPanels(inputs: Self.inputs, outputs: Self.units) != nil))
    }

    @Test func whatIsSetIsWhatIsRead() throws {
        let network = try Self.network(), weight = network.store.named(network.store.values.values)[0].values
        weight.set { for index in 0 ..< $0.count { $0[index] = Float(index) } }
        #expect(weight.array == (0 ..< weight.count).map { Float($0) })
    }

    /// y = tanh(x W + b) and its gradients by their definitions, of W and dW as files have them.
    @Test func passesAreThoseOfTheMatrix() throws {
        let (inputs, units, rows) = (Self.inputs, Self.units, Self.rows), network = try Self.network()
        let store = network.store, w = store.named(store.values.values)[0].values.array
        let x = Batch(normal(rows * inputs, step: 1), count: rows, shape: .vector(inputs)),
            dy = Batch(normal(rows * units, step: 2), count: rows, shape: .vector(units))
        let y = try network.forward(x, parameters: store.values.values, mode: training()).values.array
        let gradient = FloatBuffer(count: store.count)
        let backward = try network.backward(
            from: dy, parameters: store.values.values, into: gradient.values, inputGradient: true)
        let dx = try #require(backward).values.array
        let dw = store.named(gradient.values)[0].values.array
        var dz = [Double](repeating: 0, count: rows * units)
        for n in 0 ..< rows {
            for j in 0 ..< units {
                let z = (0 ..< inputs).reduce(0.0) {
                    $0 + Double(x.values[n * inputs + $1]) * Double(w[$1 * units + j])
                }
                #expect(abs(Double(y[n * units + j]) - tanh(z)) < 1e-5)
                dz[n * units + j] = Double(dy.values[n * units + j]) * (1 - tanh(z) * tanh(z))
            }
        }
        for k in stride(from: 0, to: inputs, by: 7) {
            for n in 0 ..< rows {
                let right = (0 ..< units).reduce(0.0) { $0 + dz[n * units + $1] * Double(w[k * units + $1]) }
                #expect(abs(Double(dx[n * inputs + k]) - right) < 1e-5)
            }
            for j in 0 ..< units {
                let right = (0 ..< rows).reduce(0.0) { $0 + Double(x.values[$1 * inputs + k]) * dz[$1 * units + j] }
                #expect(abs(Double(dw[k * units + j]) - right) < 1e-5)
            }
        }
    }
}
