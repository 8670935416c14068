import Kernels
@testable import Nets
import Testing

/// Backward after a forward in sampling: through running statistics and without dropout, each example by itself.
@Suite struct SamplingGradientTests {
    private static let batch = 5
    private static let classes = Condition.classes(3)

    private static let layers: [[any Layer]] = [
        [Dense(units: 6), BatchNormalisation(), Tanh(), Dropout(keepProbability: 0.5), Dense(units: 2)],
        [Dense(units: 6), Synchronised(BatchNormalisation()), Tanh(), Dense(units: 2)],
        [Dense(units: 6), BatchNormalisation(), LeakyReLU(slope: 0.2), Dense(units: 2), Tanh()],
        [Dense(units: 6), ConditionalBatchNormalisation(of: classes), Tanh(), Dense(units: 2)],
    ]

    private func network(_ layers: [any Layer], isTrained: Bool = true) throws -> Network {
        let network = lasting(
            try Network(layers, input: .vector(4), capacity: Self.batch, name: "n", isTrained: isTrained))
        network.store.initialise(seed: 3, role: 0)
        // Statistics and scales that are not those of a new layer.
        let draws = Draws(seed: 3, purpose: .synthetic, step: 1)
        draws.fillUniform(network.store.statistics.values, samples: 1, layer: 1, low: 0.3, high: 2)
        for entry in network.store.entries where entry.name.hasSuffix("scale") || entry.name.hasSuffix("shift") {
            draws.fillUniform(network.store.values.values[entry.range], samples: 1, layer: 2, low: 0.4, high: 1.6)
        }
        return network
    }

    private func values(_ layer: Int) -> Floats {
        let values = lasting([Float](repeating: 0, count: 4 * Self.batch))
        Draws(seed: 5, purpose: .synthetic, step: 0).fillNormal(values, samples: Self.batch, layer: layer)
        return values
    }

    private let conditions = lasting([0, 2, 1, 1, 0])

    private func cost(_ network: Network, _ input: Floats, _ factors: Floats) throws -> Double {
        let output = try network.forward(
            Batch(input, count: Self.batch, shape: .vector(4)), parameters: network.store.values.values,
            mode: .sampling, conditions: network.condition == nil ? .none : conditions)
        return (0 ..< output.values.count).reduce(0) { $0 + Double(output.values[$1] * factors[$1]) }
    }

    @Test(arguments: layers.indices) func isThatOfDifferences(number: Int) throws {
        let network = try network(Self.layers[number]), input = values(0), factors = values(1)
        _ = try cost(network, input, factors)
        let gradient = try #require(
            try network.backward(
                from: Batch(factors, count: Self.batch, shape: .vector(2)), parameters: network.store.values.values,
                into: nil, inputGradient: true)
        ).values.array
        let scale = gradient.map { abs($0) }.max()!
        #expect(scale > 0.01)
        for index in gradient.indices {
            let value = input[index], step: Float = 0x1p-8
            input[index] = value + step
            let above = try cost(network, input, factors)
            input[index] = value - step
            let below = try cost(network, input, factors)
            input[index] = value
            let difference = (above - below) / Double(2 * step)
            #expect(abs(Double(gradient[index]) - difference) < 3e-3 * Double(scale), "\(index)")
        }
    }

    /// After training's forward it is again that of the batch's statistics.
    @Test func trainingIsAsBefore() throws {
        let network = try network(Self.layers[0]), input = values(0), factors = values(1)
        func gradient(_ mode: Mode) throws -> [Float] {
            _ = try network.forward(
                Batch(input, count: Self.batch, shape: .vector(4)), parameters: network.store.values.values, mode: mode)
            return try #require(
                try network.backward(
                    from: Batch(factors, count: Self.batch, shape: .vector(2)),
                    parameters: network.store.values.values, into: nil, inputGradient: true)
            ).values.array
        }
        let first = try gradient(training()), sampled = try gradient(.sampling), again = try gradient(training())
        #expect(first == again && first != sampled)
    }
}
