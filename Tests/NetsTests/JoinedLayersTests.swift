import Kernels
@testable import Nets
import Testing

/// Convolutions and the resamplings beside them, computed as one layer, beside the two computed apart.
@Suite struct JoinedLayersTests {
    struct Pair: Sendable, CustomTestStringConvertible {
        let layers: [any Layer]
        let input: Shape
        /// The place of the layer that computes both.
        let place: Int
        var testDescription: String { "\(layers.map(\.name)) of \(input)" }

        init(_ first: any Layer, _ second: any Layer, _ input: Shape, at place: Int) {
            (layers, self.input, self.place) = ([first, second], input, place)
        }
    }

    private static let image = Shape.image(height: 6, width: 8, channels: 5)
    private static let odd = Shape.image(height: 5, width: 7, channels: 6)

    private static func convolution(
        _ channels: Int, _ kernel: Int, groups: Int = 1, bias: Initialiser? = .normal(1), stride: Int = 1
    ) -> Convolution2D {
        Convolution2D(
            channels: channels, kernel: Extent(height: kernel, width: kernel),
            stride: Extent(height: stride, width: stride), groups: groups, hasBias: bias != nil, weights: .normal(1),
            biases: bias ?? .zero)
    }

    private static let pairs: [Pair] = [
        Pair(Resample2D(.nearest), convolution(7, 3), image, at: 1),
        Pair(Resample2D(.nearest), convolution(1, 3, bias: nil), odd, at: 1),
        Pair(Resample2D(.nearest), convolution(9, 3), .image(height: 3, width: 4, channels: 3), at: 1),
        // Of Winograd's form.
        Pair(Resample2D(.nearest), convolution(32, 3), .image(height: 8, width: 8, channels: 24), at: 1),
        Pair(convolution(7, 3), Resample2D(.mean), image, at: 0),
        Pair(convolution(7, 3), Pooling2D(.mean, size: 2, stride: 2), image, at: 0),
        Pair(convolution(24, 3, bias: nil), Resample2D(.mean), .image(height: 12, width: 8, channels: 32), at: 0),
        Pair(convolution(5, 3), Resample2D(.mean), .image(height: 6, width: 6, channels: 1), at: 0),
        Pair(Resample2D(.nearest, factor: 3), convolution(7, 1), odd, at: 1),
        Pair(Resample2D(.linear), convolution(4, 1, groups: 2), odd, at: 1),
        Pair(Resample2D(.binomialUp), convolution(7, 1), image, at: 1),
        Pair(convolution(7, 1), Resample2D(.mean, factor: 3), odd, at: 0),
        Pair(convolution(6, 1, groups: 3), Pooling2D(.mean, size: 2, stride: 2), odd, at: 0),
        Pair(convolution(7, 1, bias: nil), Resample2D(.binomialDown), odd, at: 0),
    ]

    /// A penalised D that begins with the layers.
    private func discriminator(_ layers: [any Layer], _ input: Shape) throws -> Network {
        let rest: [any Layer] = [Tanh(), Flatten(), Dense(units: 1, weights: .normal(0.1))]
        let network = lasting(
            try Network(
                [Tanh()] + layers + rest, input: input, capacity: 3, halves: 2, name: "discriminator", penalised: true))
        network.store.initialise(seed: 7, role: 1)
        return network
    }

    /// Output, gradients of the input and of the parameters, and those with a penalty on one of two halves.
    private func results(_ network: Network, _ input: Batch) throws -> [String: [Float]] {
        let parameters = network.store.values.values, slopes = Batch(normal(5, step: 2), count: 5, shape: .vector(1))
        let parts = [
            BatchPart(rows: 0 ..< 3, firstSample: 0, purpose: .dropoutReal, isPenalised: true),
            BatchPart(rows: 3 ..< 5, firstSample: 0, purpose: .dropoutFake, half: 1),
        ]
        network.activations.values.fill(.nan)
        network.gradients.values.fill(.nan)
        network.scratch.values.fill(.nan)
        let output = try network.forward(input, parameters: parameters, mode: training(), parts: parts).values.array
        let target = lasting(normal(network.store.count, step: 3).array), penalised = lasting(target.array)
        let ofInput = try network.backward(
            from: slopes, parameters: parameters, into: target, adding: true, inputGradient: true)!.values.array
        try network.backward(
            from: slopes, parameters: parameters, into: penalised, penalties: PenaltyTests.scaled(0.6))
        let entries = network.store.entries.map(\.range)
        return [
            "output": output, "gradient of the input": ofInput,
            "gradients": entries.flatMap { target[$0].array },
            "gradients with a penalty": entries.flatMap { penalised[$0].array },
        ]
    }

    @Test(arguments: pairs)
    private func togetherTheyGiveWhatTheyGiveApart(pair: Pair) throws {
        let between = Reshape(to: try pair.layers[0].outputShape(for: pair.input))
        let apart = try discriminator([pair.layers[0], between, pair.layers[1]], pair.input)
        let together = try discriminator(pair.layers, pair.input)
        #expect(
            together.computed[2 - pair.place] is AppliedBeside && together.nodesComputed(at: 1 + pair.place) == [1, 2])
        #expect(!apart.computed.contains { $0 is AppliedBeside })
        #expect(together.store.entries.map(\.range) == apart.store.entries.map(\.range))
        apart.store.values.values.copy(from: together.store.values.values)
        let input = Batch(normal(5 * pair.input.count, step: 1), count: 5, shape: pair.input)
        let expected = try results(apart, input), found = try results(together, input)
        for (name, right) in expected {
            let differences = zip(found[name]!, right).reduce(0.0) { $0 + Double($1.0 - $1.1) * Double($1.0 - $1.1) }
            let squares = right.reduce(0.0) { $0 + Double($1) * Double($1) }
            let error = (differences / squares).squareRoot()
            #expect(error < 3e-6 && squares > 0, "\(pair.testDescription): \(name) differs by \(error)")
        }
    }

    @Test(
        arguments: [
            [convolution(7, 3), Resample2D(.mean)],  // Odd sizes: a row is left out after the convolution.
            [convolution(7, 1), Resample2D(.binomialDown)],  // The bias would fade at the edge.
            [convolution(7, 3), Resample2D(.mean, factor: 3)],
            [convolution(7, 1), Pooling2D(.mean, size: 2, stride: 2, edge: .partial)],
            [Resample2D(.nearest), Convolution2D(channels: 7, kernel: Extent(height: 1, width: 3))],
            [Resample2D(.nearest), Convolution2D(channels: 7, kernel: 3, padding: .valid)],
            [Resample2D(.linear), convolution(7, 3)], [Resample2D(.nearest, factor: 3), convolution(7, 3)],
            [Resample2D(.nearest), convolution(6, 3, groups: 2)], [Resample2D(.nearest), convolution(7, 3, stride: 2)],
            [Resample2D(.mean), convolution(7, 1)], [convolution(7, 1), Resample2D(.nearest)],
            [convolution(7, 1), Pooling2D(.mean, size: 2, stride: 1)],
            [convolution(7, 1), Pooling2D(.maximum, size: 2, stride: 2)],
        ] as [[any Layer]])
    private func othersStayApart(layers: [any Layer]) throws {
        #expect(!(try discriminator(layers, Self.odd)).computed.contains { $0 is AppliedBeside })
    }

    /// The layer in the middle of three is joined with one neighbour alone, and what a skip reads with none.
    @Test func eachIsJoinedOnce() throws {
        let three = try discriminator([Resample2D(.nearest), Self.convolution(7, 3), Resample2D(.mean)], Self.image)
        #expect(three.computed.map { $0 is AppliedBeside } == [false, true, false, false, false, false, false])
        let residual = try discriminator(
            [Resample2D(.nearest), Residual(body: [Self.convolution(5, 3)])], Self.image)
        #expect(!residual.computed.contains { $0 is AppliedBeside })
    }
}
