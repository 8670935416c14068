import Foundation
import Kernels
@testable import Nets
import Testing

/// Gradients of penalties against PyTorch's, made by differentiating twice in double.
@Suite struct PenaltyFixtureTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let name: String
        let layers: [any Layer]
        /// Of each parameter's gradient. Where a softmax or a norm is bent twice, rounding is enlarged.
        let tolerance: Double
        var testDescription: String { name }

        init(_ name: String, _ layers: [any Layer], tolerance: Double = 2e-6) {
            (self.name, self.layers, self.tolerance) = (name, layers, tolerance)
        }
    }

    private static let cases: [Case] = [
        Case(
            "leaky convolutions",
            [
                Convolution2D(channels: 8, kernel: 4, stride: 2), LeakyReLU(slope: 0.2),
                Convolution2D(channels: 6, kernel: 3), LeakyReLU(slope: 0.2), Flatten(), Dense(units: 1),
            ]),
        Case(
            "transposed convolution",
            [
                Dense(units: 12), LeakyReLU(slope: 0.1), Reshape(to: .image(height: 2, width: 2, channels: 3)),
                TransposedConvolution2D(channels: 5, kernel: 4, stride: 2), ReLU(),
                TransposedConvolution2D(channels: 2, kernel: 3), Tanh(), Flatten(), Dense(units: 1),
            ]),
        Case("maxout", [Maxout(units: 6, pieces: 5), Maxout(units: 4, pieces: 3), Dense(units: 1)]),
        Case(
            "pooling",
            [
                ZeroPadding(pixels: 2), Convolution2D(channels: 12, kernel: 3, padding: .valid),
                ChannelMaxout(pieces: 3), Pooling2D(.maximum, size: 3, stride: 2, edge: .partial),
                Convolution2D(channels: 6, kernel: 3), LeakyReLU(slope: 0.2), Pooling2D(.mean, size: 2, stride: 2),
                Flatten(), Dense(units: 1),
            ]),
        Case(
            "smooth",
            [
                Dense(units: 20), Tanh(), Dense(units: 15), Sigmoid(), Dense(units: 12), Softplus(), Dense(units: 1),
            ]),
        Case(
            "smooth convolutions",
            [
                Convolution2D(channels: 6, kernel: 4, stride: 2), Softplus(),
                Pooling2D(.maximum, size: 2, stride: 1, edge: .partial), Tanh(), Convolution2D(channels: 8, kernel: 3),
                ChannelMaxout(pieces: 2), Sigmoid(), Pooling2D(.mean, size: 2, stride: 2), Flatten(),
                Maxout(units: 5, pieces: 2), Tanh(), Dense(units: 1),
            ]),
        Case(
            "layer normalisation",
            [
                Convolution2D(channels: 8, kernel: 4, stride: 2), LayerNormalisation(), LeakyReLU(slope: 0.2),
                Flatten(), Dense(units: 16), LayerNormalisation(), Tanh(), Dense(units: 1),
            ]),
        Case(
            "dropout",
            [
                Dense(units: 20), Dropout(keepProbability: 0.7), LeakyReLU(slope: 0.2), Dense(units: 12),
                Dropout(keepProbability: 0.6), Tanh(), Dense(units: 1),
            ]),
        Case(
            "grouped convolutions",
            [
                Convolution2D(channels: 32, kernel: 1), LeakyReLU(slope: 0.2),
                Convolution2D(channels: 32, kernel: 3, groups: 2, hasBias: false), ScaleShift(), LeakyReLU(slope: 0.2),
                Convolution2D(channels: 6, kernel: 1), Resample2D(.binomialDown),
                Convolution2D(channels: 6, kernel: 4, padding: .valid, groups: 6, hasBias: false), Flatten(),
                Dense(units: 1),
            ]),
        Case(
            "newer normalisations",
            [
                Basis(height: 2, width: 2, channels: 8), GroupNormalisation(groups: 2), SiLU(), Resample2D(.linear),
                Convolution2D(channels: 6, kernel: 3, hasBias: false), GroupNormalisation(groups: nil), GELU(),
                PixelNormalisation(),
                Convolution2D(channels: 4, kernel: 3, stride: 2, groups: 2, hasBias: false),
                GroupNormalisation(groups: 4), Flatten(), Dense(units: 1),
            ], tolerance: 5e-6),
        Case(
            "self-attention",
            [
                Convolution2D(channels: 16, kernel: 3), Softplus(), SelfAttention(), Resample2D(.nearest),
                Convolution2D(channels: 8, kernel: 3, stride: 2), Tanh(), SelfAttention(), Flatten(), Dense(units: 1),
            ], tolerance: 5e-6),
    ]

    @Test(arguments: cases)
    private func gradientsArePyTorchs(of tested: Case) throws {
        let fixture = try Fixture(tested.name, in: .penalties)
        let network = try fixture.network(tested.layers, penalised: true), parameters = network.store.values.values
        let input = try fixture.batch("input"), slopes = try fixture.batch("slopes")
        let part = BatchPart(rows: 0 ..< input.count, firstSample: 0, purpose: .dropoutReal, isPenalised: true)
        let logits = try network.forward(input, parameters: parameters, mode: training(), parts: [part])
        for mask in network.dropoutMasks {
            try #require(mask.mask.array == (try fixture.values(mask.name + ".mask")), "another mask: make it anew")
        }
        expectClose(logits.values, try fixture.values("logits"), "\(tested.name): logits")
        let target = lasting(Array(repeating: .nan, count: network.store.count))
        for kind in ["r1", "gradientPenalty"] {
            try network.backward(from: slopes, parameters: parameters, into: target) { gradients in
                expectClose(
                    gradients.values, try fixture.values("inputGradient"), "\(tested.name): gradient of the input")
                for example in 0 ..< gradients.count {
                    let factor = Self.factor(kind, of: gradients[example]) / Double(gradients.count)
                    for index in 0 ..< gradients.shape.count { gradients[example][index] *= Float(factor) }
                }
            }
            for entry in network.store.entries {
                let expected = try fixture.values("\(entry.name).\(kind)"), values = target[entry.range].array
                let difference = zip(values, expected).reduce(0) { $0 + pow(Double($1.0 - $1.1), 2) }.squareRoot()
                let norm = expected.reduce(0) { $0 + Double($1) * Double($1) }.squareRoot()
                #expect(
                    difference <= tested.tolerance * norm,
                    "\(tested.name), \(kind): \(entry.name): \(difference / norm)")
            }
        }
    }

    /// φ′(‖g‖) / ‖g‖ of φ = 0.35 ‖g‖² and φ = 10 (‖g‖ − 1)².
    private static func factor(_ kind: String, of gradient: Floats) -> Double {
        kind == "r1" ? 0.7 : 20 * (1 - 1 / Reductions.squaredNorm(of: gradient).squareRoot())
    }
}
