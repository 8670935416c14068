import AllocationCount
import Kernels
@testable import Nets
import Testing

/// Residuals as nodes: their numbers and names, their memory, what is refused.
@Suite struct ResidualTests {
    private static let nested: [any Layer] = [
        Dense(units: 4),
        Residual(
            body: [Dense(units: 6), Residual(body: [Tanh(), Dense(units: 6)]), Dropout(keepProbability: 0.5)],
            skip: [ReLU(), Dense(units: 6, hasBias: false)]),
        BatchNormalisation(),
    ]

    @Test func nodesFollowTheListAndNameTheirPlace() throws {
        let nodes = NetworkNode.list(of: Self.nested)
        #expect(
            nodes.map(\.path) == [
                "0.dense", "1.residual/body/0.dense", "1.residual/body/1.residual/body/0.tanh",
                "1.residual/body/1.residual/body/1.dense", "1.residual/body/1.residual", "1.residual/body/2.dropout",
                "1.residual/skip/0.relu", "1.residual/skip/1.dense", "1.residual", "2.batch_normalisation",
            ])
        #expect(nodes[3].place == "1.residual.body.1.residual.body.1" && nodes[8].place == "1")
        #expect(nodes.map(\.inputs) == [[0], [1], [2], [3], [4, 2], [5], [1], [7], [6, 8], [9]])
        let network = try Network(Self.nested, input: .vector(3), capacity: 2, name: "n")
        #expect(
            network.store.entries.map(\.name) == [
                "0.dense/weight", "0.dense/bias", "1.residual/body/0.dense/weight", "1.residual/body/0.dense/bias",
                "1.residual/body/1.residual/body/1.dense/weight", "1.residual/body/1.residual/body/1.dense/bias",
                "1.residual/skip/1.dense/weight", "2.batch_normalisation/scale", "2.batch_normalisation/shift",
            ])
        #expect(network.store.statisticEntries.map(\.name).first == "2.batch_normalisation/mean")
        _ = try network.forward(
            Batch(normal(6, step: 1), count: 2, shape: .vector(3)), parameters: network.store.values.values,
            mode: training())
        #expect(network.dropoutMasks.map(\.name) == ["1.residual/body/2.dropout"])
        // What is in the list of layers counts as ever.
        #expect(network.layerWithoutVariance(fewest: 1, batch: 2)?.place == "2")
    }

    private static let image = Shape.image(height: 4, width: 4, channels: 3)

    @Test(
        arguments: [
            (
                Residual(body: [Convolution2D(channels: 5, kernel: 3)]),
                "n: layer 1 (residual): its `body` makes [4, 4, 5] of the input [4, 4, 3], to which that is added: "
                    + "give it a `skip` that makes [4, 4, 5] too"
            ),
            (
                Residual(body: [Convolution2D(channels: 5, kernel: 3)], skip: [Pooling2D(.mean, size: 2, stride: 2)]),
                "n: layer 1 (residual): its `body` makes [4, 4, 5] and its `skip` [2, 2, 3]: they are added, so give "
                    + "both the same shape"
            ),
            (Residual(body: []), "n: layer 1 (residual): its input is [4, 4, 3]; its `body` has no layers"),
            (
                Residual(body: [ReLU(), Residual(body: [ReLU()], skip: [Flatten(), Dense(units: 0)])]),
                "n: layer 1.residual.body.1.residual.skip.1 (dense): its input is [48]; "
                    + "`units` must be at least 1, not 0"
            ),
            (
                Residual(body: [Residual(body: [Flatten()])]),
                "n: layer 1.residual.body.0 (residual): its `body` makes [48] of the input [4, 4, 3], to which that is "
                    + "added: give it a `skip` that makes [48] too"
            ),
        ] as [(Residual, String)])
    private func whatDoesNotFitIsRefused(residual: Residual, message: String) {
        let error = #expect(throws: ShapeError.self) {
            try Network([ReLU(), residual], input: Self.image, capacity: 2, name: "n")
        }
        #expect(error?.description == message)
    }

    /// The number of a node is part of the key of dropout's draws, and has eight bits there, of which the latents and
    /// the conditions take two numbers.
    @Test func thereIsAnEndToLayers() throws {
        let layers = Array(repeating: ReLU() as any Layer, count: 253)
        _ = try Network(layers + [Dropout(keepProbability: 0.5)], input: .vector(2), capacity: 1, name: "n")
        let error = #expect(throws: ShapeError.self) {
            try Network([Residual(body: layers), ReLU()], input: .vector(2), capacity: 1, name: "n")
        }
        #expect(error?.description == "n: it has 255 layers, of which there may be 254")
    }

    /// Through a normalisation within the body, a penalty is refused by the place of that layer.
    @Test func aCouplingLayerInABodyIsNamed() {
        let error = #expect(throws: ShapeError.self) {
            try Network(
                [Residual(body: [Dense(units: 3), BatchNormalisation()]), Dense(units: 1)], input: .vector(3),
                capacity: 2, name: "n", penalised: true)
        }
        #expect(error?.description.hasPrefix("n: layer 0.residual.body.1 (batch_normalisation): a gradient") == true)
    }

    /// An activation is applied by the layer before it within a branch, but not where the sum reads that layer too.
    @Test func aValueThatTwoReadIsNotJoined() throws {
        let network = try Network(
            [
                Dense(units: 4), BatchNormalisation(),
                Residual(body: [ReLU(), BatchNormalisation(), LeakyReLU(slope: 0.2)]),
            ], input: .vector(4), capacity: 2, name: "n")
        #expect(network.computed.map { $0 is AppliedBeside } == [false, false, false, false, true, false])
        // The ReLU may not write over what the sum reads; the sum writes over the body's output.
        #expect(network.outputPlan.valuesUnderOutputs == [nil, nil, nil, nil, 4, 5])
    }

    /// A sum lies over its body, or over its skip where the body's output is read in backward; never over a value that
    /// backward reads elsewhere.
    @Test(
        arguments: [
            (Residual(body: [Dense(units: 4)]), [nil, nil, 2]),
            (Residual(body: [Dense(units: 4), Tanh()]), [nil, nil, 2, nil]),
            (Residual(body: [Dense(units: 4), Tanh()], skip: [Dense(units: 4)]), [nil, nil, 2, nil, 4]),
            (Residual(body: [Tanh()], skip: [ReLU()]), [nil, nil, nil, nil]),
            (Residual(body: [Flatten()]), [nil, 1, nil]),
            (Residual(body: [Flatten(), Dropout(keepProbability: 0.5)]), [nil, 1, nil, 3]),
        ] as [(Residual, [Int?])])
    private func outputsLieWhereNobodyReads(residual: Residual, expected: [Int?]) throws {
        let network = try Network([Dense(units: 4), residual], input: .vector(4), capacity: 2, name: "n")
        #expect(network.outputPlan.valuesUnderOutputs == expected)
    }

    /// A block's input that its backward does not read, nor what made it, makes room when the sum has read it: 16
    /// values of four live at once, where the last block's first layer makes a fifth. For sampling three suffice.
    @Test func outputsShareMemoryInTime() throws {
        func block() -> any Layer { Residual(body: [ReLU(), Dense(units: 16), ReLU(), Dense(units: 16)]) }
        let layers: [any Layer] = [Dense(units: 16), block(), ReLU(), Dense(units: 1)]
        let trained = try Network(layers, input: .vector(16), capacity: 1, name: "n")
        // The first layer's, the body's first ReLU's, its dense layers' and, over the first, the last layer's.
        #expect(trained.outputPlan.layout.countApart == 80 && trained.activations.values.count == 64)
        let sampled = try Network(layers, input: .vector(16), capacity: 1, name: "n", isTrained: false)
        #expect(sampled.activations.values.count == 48)
        #expect(sampled.memoryPlan.contains("outputs") && !sampled.memoryPlan.contains("gradients"))
    }

    /// Gradients of an identity block, 16 values each: the sum's is that of the block's input too until the body has
    /// made its own; three live at once, and a fourth is laid over the first.
    @Test func gradientsShareMemoryInTime() throws {
        let layers: [any Layer] = [
            Dense(units: 16), Residual(body: [Dense(units: 16), ReLU(), Dense(units: 16)]), Dense(units: 1),
        ]
        let network = try Network(layers, input: .vector(16), capacity: 1, name: "n")
        #expect(network.gradientPlan.layout.count == 48 && network.gradientPlan.layout.countApart == 64)
        #expect(network.memoryPlan.contains("1.residual.body.2 dense") && network.memoryPlan.contains("MB apart"))
    }

    @Test func aSteadyPassAllocatesNothing() throws {
        // One thread and wide convolutions, for OpenBLAS: see AllocationTests.
        func block() -> any Layer {
            Residual(
                body: [
                    LayerNormalisation(), LeakyReLU(slope: 0.2), Convolution2D(channels: 64, kernel: 3),
                    Residual(body: [Tanh(), Convolution2D(channels: 64, kernel: 3)]),
                ],
                skip: [Convolution2D(channels: 64, kernel: 1), Dropout(keepProbability: 0.5)])
        }
        let network = lasting(
            try Network(
                [block(), block(), Flatten(), Dense(units: 1)], input: .image(height: 8, width: 8, channels: 64),
                capacity: 4, halves: 2, name: "n", penalised: true))
        network.store.initialise(seed: 1, role: 1)
        let parameters = network.store.values.values, target = lasting(Array(repeating: 0, count: network.store.count))
        let input = Batch(normal(8 * 4096, step: 1), count: 8, shape: network.inputShape)
        let slopes = Batch(normal(8, step: 2), count: 8, shape: .vector(1))
        let parts = [
            BatchPart(rows: 0 ..< 4, firstSample: 0, purpose: .dropoutReal, isPenalised: true),
            BatchPart(rows: 4 ..< 8, firstSample: 0, purpose: .dropoutFake, half: 1),
        ]
        func step() throws {
            _ = try network.forward(input, parameters: parameters, mode: training(), parts: parts)
            try network.backward(from: slopes, parameters: parameters, into: target) { _ in }
            _ = try network.backward(from: slopes, parameters: parameters, into: nil, inputGradient: true)
        }
        for _ in 0 ..< 3 { try step() }
        let before = allocationsOfThisThread()
        for _ in 0 ..< 5 { try step() }
        #expect(allocationsOfThisThread() == before)
    }
}
