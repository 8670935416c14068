import Kernels
@testable import Nets
import Testing

/// Gradients through whole networks against differences of the output: every value of every parameter and of the
/// input, dropout with its mask held by its key.
///
/// A gradient's error is measured in units of the largest value of the same parameter's gradient, so that small
/// gradients are no worse looked at than large ones; an error of 1 % is one.
@Suite struct GradientTests {
    private static let batch = 5

    /// A network with a random input, and the sum of its outputs with random factors as its cost.
    private struct Trial {
        let network: Network
        let input: Batch
        let factors: Batch

        init(_ layers: [any Layer], seed: UInt64) throws {
            network = lasting(try Network(layers, input: .vector(4), capacity: batch, name: "n"))
            network.store.initialise(seed: seed, role: 0)
            let values = network.store.values.values
            let draws = Draws(seed: seed, purpose: .synthetic, step: 0)
            // No parameter stays at its first 0 or 1: biases, scales and shifts move too.
            for (number, entry) in network.store.entries.enumerated() {
                let moved = lasting([Float](repeating: 0, count: entry.range.count))
                draws.fillUniform(moved, samples: 1, layer: number + 2, low: -0.2, high: 0.2)
                for (place, index) in entry.range.enumerated() { values[index] += moved[place] }
            }
            let input = lasting([Float](repeating: 0, count: 4 * batch))
            draws.fillNormal(input, samples: batch)
            let factors = lasting([Float](repeating: 0, count: batch * network.outputShape.count))
            draws.fillUniform(factors, samples: batch, layer: 1, low: 0.5, high: 1.5)
            self.input = Batch(input, count: batch, shape: .vector(4))
            self.factors = Batch(factors, count: batch, shape: network.outputShape)
        }

        func cost() throws -> Double {
            let output = try network.forward(
                input, parameters: network.store.values.values, mode: training())
            return zip(output.values.array, factors.values.array).reduce(0) { $0 + Double($1.0) * Double($1.1) }
        }

        /// The values that the cost depends on, with their gradients.
        func gradients() throws -> [(name: String, place: Floats, gradient: [Float])] {
            _ = try cost()
            let flat = lasting([Float](repeating: 0, count: network.store.count))
            let ofInput = try network.backward(
                from: factors, parameters: network.store.values.values, into: flat, inputGradient: true)
            return [("input", input.values, try #require(ofInput).values.array)]
                + network.store.entries.map { ($0.name, network.store.values.values[$0.range], flat[$0.range].array) }
        }

        func cost(_ place: Floats, _ index: Int, displacedBy distance: Float) throws -> Double {
            let value = place[index]
            defer { place[index] = value }
            place[index] = value + distance
            return try cost()
        }
    }

    private static func error(_ gradient: [Float], _ differences: [Double?]) -> Double {
        let scale = differences.reduce(0) { max($0, abs($1 ?? 0)) }
        var worst = 0.0
        for (value, difference) in zip(gradient, differences) {
            guard let difference else { continue }
            guard value.isFinite else { return .infinity }
            worst = max(worst, abs(Double(value) - difference))
        }
        return worst / scale
    }

    private static func expect(_ gradient: [Float], _ differences: [Double?], _ name: String) {
        #expect(error(gradient, differences) < 3e-3, "\(name)")
        // A gradient that is wrong by 1 % is found.
        #expect(error(gradient.map { 1.01 * $0 }, differences) > 5e-3, "\(name)")
    }

    /// Central differences at two distances, of which the error's first term cancels.
    @Test func ofSmoothLayers() throws {
        let trial = try Trial(
            [
                Dense(units: 18), Tanh(), Reshape(to: .image(height: 3, width: 3, channels: 2)),
                // A bias before batch normalisation has no gradient to compare with.
                TransposedConvolution2D(channels: 3, kernel: 4, stride: 2, hasBias: false), BatchNormalisation(),
                Sigmoid(),
                Convolution2D(channels: 4, kernel: 3, stride: 2), Tanh(),
                Pooling2D(.mean, size: 2, stride: 1, edge: .whole), Tanh(), Pooling2D(.sum, size: 2, stride: 2),
                Flatten(), Dropout(keepProbability: 0.7), Dense(units: 2),
            ], seed: 5)
        try Self.compareWithDifferences(trial)
    }

    /// Of those since 2016. (Attention's maxima would change within these distances.)
    @Test func ofNewerSmoothLayers() throws {
        let trial = try Trial(
            [
                Basis(height: 3, width: 3, channels: 6), GroupNormalisation(groups: 2), SiLU(),
                Resample2D(.linear),
                Convolution2D(channels: 8, kernel: 3, groups: 2, hasBias: false, weights: .normal(1)),
                GroupNormalisation(groups: nil), GELU(), PixelNormalisation(),
                Resample2D(.binomialDown), ScaleShift(), MinibatchDeviation(),
                Convolution2D(channels: 9, kernel: 3, padding: .valid, groups: 9), Flatten(), Dense(units: 2),
            ], seed: 5)
        try Self.compareWithDifferences(trial)
    }

    private static func compareWithDifferences(_ trial: Trial) throws {
        for (name, place, gradient) in try trial.gradients() {
            let differences = try gradient.indices.map { index in
                func slope(_ h: Float) throws -> Double {
                    (try trial.cost(place, index, displacedBy: h) - trial.cost(place, index, displacedBy: -h))
                        / Double(2 * h)
                }
                return try (4 * slope(0.03125) - slope(0.0625)) / 3
            }
            expect(gradient, differences, name)
        }
    }

    /// Networks that are linear piece by piece in each parameter alone: the differences to both sides are exact, and
    /// equal where no piece ends between.
    @Test func ofPiecewiseLinearLayers() throws {
        let trial = try Trial(
            [
                Dense(units: 16), LeakyReLU(slope: 0.2), Reshape(to: .image(height: 2, width: 2, channels: 4)),
                ZeroPadding(pixels: 1), Convolution2D(channels: 4, kernel: 3), ChannelMaxout(pieces: 2),
                Pooling2D(.maximum, size: 2, stride: 1, edge: .whole), Flatten(), Maxout(units: 6, pieces: 2),
                ReLU(), Dense(units: 2),
            ], seed: 6)
        for (name, place, gradient) in try trial.gradients() {
            let middle = try trial.cost(), h: Float = 0.0078125
            let differences: [Double?] = try gradient.indices.map { index in
                let above = (try trial.cost(place, index, displacedBy: h) - middle) / Double(h)
                let below = (middle - (try trial.cost(place, index, displacedBy: -h))) / Double(h)
                return abs(above - below) < 1e-3 * max(abs(above), abs(below), 0.1) ? (above + below) / 2 : nil
            }
            #expect(differences.count { $0 != nil } * 2 >= differences.count, "\(name)")
            Self.expect(gradient, differences, name)
        }
    }
}
