import Kernels
@testable import Nets
import Testing

/// Outputs and gradients against PyTorch's.
@Suite struct PyTorchTests {
    /// Runs `layers` on the fixture: forward, then backward twice from one forward, for gradients are *added*.
    func check(_ name: String, _ layers: [any Layer], tolerance: Float = 1e-5) throws {
        let fixture = try Fixture(name)
        let network = try fixture.network(layers)
        let input = try fixture.batch("input"), gradient = try fixture.batch("outputGradient")
        let output = try network.forward(input, parameters: network.store.values.values, mode: training())
        #expect(output.shape == (try fixture.shape("output")))
        expectClose(output.values, try fixture.values("output"), tolerance: tolerance, "\(name): output")

        // The first gradient overwrites what was there before, the second is added.
        let target = lasting(Array(repeating: 0, count: network.store.count))
        for entry in network.store.entries { target[entry.range].fill(.nan) }
        for times in 1 ... 2 {
            let inputGradient = try network.backward(
                from: gradient, parameters: network.store.values.values, into: target, adding: times == 2,
                inputGradient: true)
            expectClose(
                try #require(inputGradient).values, try fixture.values("inputGradient"), tolerance: tolerance,
                "\(name): input gradient")
            for entry in network.store.entries {
                let expected = try fixture.values(fixture.key(entry) + ".gradient").map { $0 * Float(times) }
                expectClose(target[entry.range], expected, tolerance: tolerance, "\(name): gradient of \(entry.name)")
            }
        }
        #expect(input.values.array == (try fixture.values("input")), "\(name): the input was changed")
        #expect(gradient.values.array == (try fixture.values("outputGradient")), "\(name): the gradient was changed")
        expectPaddingIsZero(network, target)

        // Frozen: the same input gradient, and no parameter gradient is touched. Not wanted: nothing comes back.
        target.fill(7)
        let frozen = try network.backward(
            from: gradient, parameters: network.store.values.values, into: nil, inputGradient: true)
        expectClose(
            try #require(frozen).values, try fixture.values("inputGradient"), tolerance: tolerance, "\(name): frozen")
        #expect(target.array.allSatisfy { $0 == 7 })
        #expect(
            try network.backward(
                from: gradient, parameters: network.store.values.values, into: target, inputGradient: false) == nil)
        for entry in network.store.entries {
            expectClose(
                target[entry.range], try fixture.values(fixture.key(entry) + ".gradient"), tolerance: tolerance,
                "\(name): gradient of \(entry.name) without input gradient")
        }
    }

    private func expectPaddingIsZero(_ network: Network, _ gradients: Floats) {
        var isParameter = Array(repeating: false, count: network.store.count)
        for entry in network.store.entries { for index in entry.range { isParameter[index] = true } }
        for index in isParameter.indices where !isParameter[index] {
            #expect(gradients[index] == 0 && network.store.values.values[index] == 0)
        }
    }

    @Test func dense() throws {
        try check("dense", [Dense(units: 11)])
        try check("dense wide", [Dense(units: 40)])
        try check("dense without bias", [Dense(units: 1, hasBias: false)])
    }

    @Test func maxout() throws {
        try check("maxout", [Maxout(units: 10, pieces: 5)])
        try check("maxout of two", [Maxout(units: 16, pieces: 2)])
        try check("maxout discriminator", [Maxout(units: 6, pieces: 5), Maxout(units: 4, pieces: 5), Dense(units: 1)])
    }

    @Test(
        arguments: [
            ("4x4 stride 2 same", 5, 4, 2, .same), ("3x3 same", 9, 3, 1, .same),
            ("4x4 valid to one", 1, 4, 1, .valid), ("5x5 stride 2 same", 4, 5, 2, .same),
            ("2x2 stride 3 valid", 6, 2, 3, .valid),
            ("3x5 stride 2x1 same", 4, Extent(height: 3, width: 5), Extent(height: 2, width: 1), .same),
            ("2x5 stride 1x3 valid", 3, Extent(height: 2, width: 5), Extent(height: 1, width: 3), .valid),
        ] as [(String, Int, Extent, Extent, Padding)])
    func convolution(name: String, channels: Int, kernel: Extent, stride: Extent, padding: Padding) throws {
        try check(
            "convolution " + name,
            [Convolution2D(channels: channels, kernel: kernel, stride: stride, padding: padding)])
    }

    @Test(
        arguments: [
            ("4x4 stride 2 same", 3, 4, 2, .same), ("4x4 valid from one", 8, 4, 1, .valid),
            ("5x5 stride 3 valid", 2, 5, 3, .valid), ("5x5 stride 2 same", 4, 5, 2, .same),
            ("2x2 stride 3 same", 3, 2, 3, .same),
            ("3x5 stride 2x1 same", 4, Extent(height: 3, width: 5), Extent(height: 2, width: 1), .same),
            ("2x5 stride 1x3 valid", 3, Extent(height: 2, width: 5), Extent(height: 1, width: 3), .valid),
            ("4x2 stride 2x3 same", 2, Extent(height: 4, width: 2), Extent(height: 2, width: 3), .same),
        ] as [(String, Int, Extent, Extent, Padding)])
    func transposedConvolution(name: String, channels: Int, kernel: Extent, stride: Extent, padding: Padding) throws {
        try check(
            "transposed convolution " + name,
            [TransposedConvolution2D(channels: channels, kernel: kernel, stride: stride, padding: padding)])
    }

    @Test(arguments: [
        ("4 stride 2 partial", 4, 2, Pooling2D.Edge.partial), ("4 stride 2 whole", 4, 2, .whole), ("2", 2, 2, .whole),
    ])
    func pooling(name: String, size: Int, stride: Int, edge: Pooling2D.Edge) throws {
        try check("maximum pool " + name, [Pooling2D(.maximum, size: size, stride: stride, edge: edge)])
        try check("mean pool " + name, [Pooling2D(.mean, size: size, stride: stride, edge: edge)])
    }

    @Test func sumPooling() throws {
        try check("sum pool 3 stride 2 partial", [Pooling2D(.sum, size: 3, stride: 2, edge: .partial)])
    }

    @Test(arguments: ["of images", "of vectors", "far from zero"])
    func layerNormalisation(name: String) throws {
        try check(
            "layer normalisation " + name, [LayerNormalisation()], tolerance: name == "far from zero" ? 2e-5 : 1e-5)
    }

    @Test func constant() throws {
        try check("constant", [Constant(shape: .image(height: 2, width: 3, channels: 4))])
    }

    @Test func layersWithoutArithmetic() throws {
        try check("zero padding", [ZeroPadding(pixels: 2)])
        try check("channel maxout", [ChannelMaxout(pieces: 2)])
    }

    @Test func convolutionalNetworks() throws {
        try check(
            "small discriminator",
            [
                Convolution2D(channels: 8, kernel: 4, stride: 2), LeakyReLU(slope: 0.2),
                Convolution2D(channels: 12, kernel: 4, stride: 2, hasBias: false), BatchNormalisation(),
                LeakyReLU(slope: 0.2),
                Flatten(), Dense(units: 1),
            ])
        try check(
            "small generator",
            [
                Reshape(to: .image(height: 1, width: 1, channels: 10)),
                TransposedConvolution2D(channels: 9, kernel: 4, padding: .valid, hasBias: false),
                BatchNormalisation(), ReLU(), TransposedConvolution2D(channels: 1, kernel: 4, stride: 2), Sigmoid(),
            ])
    }

    @Test func activations() throws {
        try check("relu", [ReLU()])
        try check("leaky_relu", [LeakyReLU(slope: 0.2)])
        try check("sigmoid", [Sigmoid()])
        try check("softplus", [Softplus()])
        try check("tanh", [Tanh()])
        // The same computed in place: behind a layer that needs not its output, and before one that only renames it.
        let fixture = try Fixture("tanh")
        let network = try Network(
            [Dense(units: 37, hasBias: false), Tanh(), Flatten()], input: .vector(37), capacity: 3, name: "n")
        let weight = network.store.values.values
        for index in 0 ..< 37 { weight[index * 37 + index] = 1 }
        let output = try network.forward(
            try fixture.batch("input"), parameters: network.store.values.values, mode: training())
        expectClose(output.values, try fixture.values("output"), "tanh in place")
        let back = try network.backward(
            from: try fixture.batch("outputGradient"), parameters: network.store.values.values, into: nil,
            inputGradient: true)
        expectClose(try #require(back).values, try fixture.values("inputGradient"), "gradient of tanh in place")
    }

    @Test(arguments: [
        "batch normalisation of images", "batch normalisation of vectors", "batch normalisation far from zero",
    ])
    func batchNormalisation(name: String) throws {
        // The mean of values near 100 is a float that is wrong in the sixth digit of their deviation.
        try check(name, [BatchNormalisation()], tolerance: name.hasSuffix("zero") ? 1e-4 : 1e-5)

        let fixture = try Fixture(name)
        let network = try fixture.network([BatchNormalisation()])
        let store = network.store
        for entry in store.statisticEntries {
            store.statistics.values[entry.range].copy(from: try fixture.floats(entry.specification.name))
        }
        let batch = try fixture.batch("input")
        let sums = lasting(store.statistics.values.array.map { _ in 0 })
        _ = try network.forward(batch, parameters: network.store.values.values, mode: training(), batchStatistics: sums)
        store.applyStatistics(sums, samples: batch.count)
        for entry in store.statisticEntries {
            let expected = try fixture.values(entry.specification.name + ".after")
            expectClose(store.statistics.values[entry.range], expected, "\(name): running \(entry.specification.name)")
        }
        let sampled = try network.forward(
            batch, parameters: network.store.values.values, mode: .sampling, batchStatistics: sums)
        expectClose(sampled.values, try fixture.values("sampled"), "\(name): sampled")
    }

    /// PyTorch draws another mask, and cannot be given one: the forward is compared with the mask of the keyed draws'
    /// definition, and the backward, in the mask's place PyTorch's, with PyTorch's.
    @Test func dropout() throws {
        let fixture = try Fixture("dropout")
        let network = try fixture.network([Dropout(keepProbability: 0.8)])
        let input = try fixture.batch("input")
        let output = try network.forward(input, parameters: network.store.values.values, mode: training(step: 3))
        let draws = lasting([Float](repeating: 0, count: input.values.count))
        Draws(seed: 1, purpose: .dropoutReal, step: 3).fillUniform(draws, samples: input.count, low: 0, high: 1)
        func dropped(_ keep: (Int) -> Bool) throws -> [Float] {
            try fixture.values("input").enumerated().map { keep($0.offset) ? $0.element / 0.8 : 0 }
        }
        expectClose(output.values, try dropped { draws[$0] < 0.8 }, tolerance: 1e-6, "dropout: output")
        // The same formula with PyTorch's mask is PyTorch's output.
        let mask = try fixture.floats("mask")
        expectClose(try fixture.floats("output"), try dropped { mask[$0] == 1 }, tolerance: 1e-6, "PyTorch's output")
        network.dropoutMasks[0].mask.copy(from: mask)
        let back = try network.backward(
            from: try fixture.batch("outputGradient"), parameters: network.store.values.values, into: nil,
            inputGradient: true)
        expectClose(try #require(back).values, try fixture.values("inputGradient"), "dropout: input gradient")
    }
}
