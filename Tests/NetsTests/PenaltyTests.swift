import AllocationCount
import Kernels
@testable import Nets
import Testing

/// Penalties through whole networks.
@Suite struct PenaltyTests {
    /// Everything that there is, with layers that write over their input before and behind those with curvature.
    static let everyLayer: [any Layer] = [
        Dense(units: 48), Reshape(to: .image(height: 4, width: 4, channels: 3)), Tanh(), LeakyReLU(slope: 0.2),
        TransposedConvolution2D(channels: 6, kernel: 4, stride: 2), LayerNormalisation(), ReLU(),
        ZeroPadding(pixels: 1), Convolution2D(channels: 8, kernel: 3, stride: 2), ChannelMaxout(pieces: 2),
        Pooling2D(.maximum, size: 2, stride: 1), Sigmoid(), Dropout(keepProbability: 0.7),
        Pooling2D(.mean, size: 2, stride: 2), Flatten(), LayerNormalisation(), Maxout(units: 6, pieces: 2), Softplus(),
        Basis(height: 2, width: 2, channels: 8), GroupNormalisation(groups: 2), SiLU(), Resample2D(.nearest),
        Convolution2D(channels: 8, kernel: 3, groups: 4), ScaleShift(scale: nil), GELU(),
        SelfAttention(gamma: .constant(0.5)), GroupNormalisation(groups: nil), Resample2D(.binomialDown), ScaleShift(),
        PixelNormalisation(), Convolution2D(channels: 8, kernel: 2, padding: .valid, groups: 8), Flatten(),
        Dense(units: 1),
    ]

    /// u = factor · g: what R1 and R2 make of g.
    static func scaled(_ factor: Float) -> (Batch) -> Void {
        { gradients in for index in 0 ..< gradients.values.count { gradients.values[index] *= factor } }
    }

    private func network(
        _ layers: [any Layer], _ input: Shape, capacity: Int = 4, shards: Int = 1, halves: Int = 1, seed: UInt64 = 4
    ) throws -> Network {
        let network = lasting(
            try Network(
                layers, input: input, capacity: capacity, shards: shards, halves: halves, name: "discriminator",
                penalised: true))
        network.store.initialise(seed: seed, role: 1)
        return network
    }

    private func run(
        _ network: Network, _ input: Batch, _ slopes: Batch, _ parts: [BatchPart]? = nil, into target: Floats? = nil,
        adding: Bool = false, penalties: (Batch) throws -> Void
    ) throws -> Floats {
        let target = target ?? lasting(Array(repeating: 0, count: network.shards * network.store.count))
        let parameters = network.store.values.values
        let whole = [BatchPart(rows: 0 ..< input.count, firstSample: 0, purpose: .dropoutReal, isPenalised: true)]
        _ = try network.forward(input, parameters: parameters, mode: training(), parts: parts ?? whole)
        try network.backward(
            from: slopes, parameters: parameters, into: target, adding: adding, penalties: penalties)
        return target
    }

    /// The definition in double, differentiated by differences: Σ_i a_i s_i + ⟨u_i, ∂s_i/∂x_i⟩.
    @Test(
        arguments: [
            [], [Tanh()], [LayerNormalisation(), Sigmoid()], [LeakyReLU(slope: 0.2), Softplus()],
            [Residual(body: [Tanh(), Residual(body: [LayerNormalisation()])], skip: [Softplus()])],
            [Residual(body: [Residual(body: [LeakyReLU(slope: 0.2)]), Sigmoid()])],
        ] as [[any Layer]])
    private func gradientsAreDifferencesOfTheDefinition(inner: [any Layer]) throws {
        let network = try network([Dense(units: 7)] + inner + [Dense(units: 6)] + inner + [Dense(units: 1)], .vector(5))
        for (number, entry) in network.store.entries.enumerated() {
            network.store.values.values[entry.range].copy(from: normal(entry.range.count, step: 20 + number))
        }
        let input = Batch(normal(20, step: 1), count: 4, shape: .vector(5))
        let slopes = Batch(normal(4, step: 2), count: 4, shape: .vector(1)), directions = normal(20, step: 3)
        let target = try run(network, input, slopes) { $0.values.copy(from: directions) }

        var naive = Naive(network)
        func cost() -> Double {
            (0 ..< 4).reduce(0) { sum, example in
                let x = input[example].array.map(Double.init)
                let u = directions[5 * example ..< 5 * example + 5].array.map(Double.init)
                return sum + Double(slopes.values[example]) * naive.logit(x) + naive.derivative(at: x, along: u)
            }
        }
        for entry in network.store.entries {
            let parameter = network.store.entries.filter { $0.layer == entry.layer }.firstIndex {
                $0.range == entry.range
            }!
            let expected = entry.range.indices.map { index -> Float in
                let place = index - entry.range.lowerBound, value = naive.parameters[entry.layer][parameter][place]
                let h = 1e-3
                func moved(_ step: Double) -> Double {
                    naive.parameters[entry.layer][parameter][place] = value + step
                    defer { naive.parameters[entry.layer][parameter][place] = value }
                    return cost()
                }
                return Float((8 * (moved(h) - moved(-h)) - (moved(2 * h) - moved(-2 * h))) / (12 * h))
            }
            expectClose(target[entry.range], expected, "\(entry.name)")
        }
    }

    /// D(x) = w·x + b: the penalty γ/2 · mean ‖w‖² has the gradient γ w, and none with respect to b.
    @Test func thePenaltyOfALinearNetworkIsExact() throws {
        let network = try network([Flatten(), Dense(units: 1)], .image(height: 3, width: 2, channels: 3))
        let input = Batch(normal(4 * 18, step: 1), count: 4, shape: network.inputShape)
        let slopes = Batch(lasting([0, 0, 0, 0]), count: 4, shape: .vector(1))
        let target = try run(network, input, slopes, penalties: Self.scaled(0.5 / 4))
        #expect(target[0 ..< 18].array == network.store.values.values[0 ..< 18].array.map { 0.5 * $0 })
        #expect(target[32] == 0)
    }

    /// The penalty of a network that is linear piece by piece does not depend on its biases; behind a curved layer
    /// that holds for those after it.
    @Test func biasesBeforeLinearLayersGetExactlyNothing() throws {
        let layers: [any Layer] = [
            Convolution2D(channels: 5, kernel: 3), LeakyReLU(slope: 0.2), Flatten(), Maxout(units: 7, pieces: 2),
            Dense(units: 6), ReLU(), Dense(units: 1),
        ]
        let shape = Shape.image(height: 4, width: 4, channels: 2)
        let input = Batch(normal(4 * 32, step: 1), count: 4, shape: shape)
        let slopes = Batch(lasting([0, 0, 0, 0]), count: 4, shape: .vector(1))
        let network = try network(layers, shape)
        let gradients = try run(network, input, slopes, penalties: Self.scaled(0.3))
        for (entry, values) in network.store.entries.map({ ($0, gradients[$0.range].array) }) {
            #expect(values.allSatisfy { $0 == 0 } == (entry.specification.name == "bias"), "\(entry.name)")
        }
        let curved = try self.network(
            [Flatten(), Dense(units: 6), Tanh(), Dense(units: 5), ReLU(), Dense(units: 1)], shape)
        let bent = try run(curved, input, slopes, penalties: Self.scaled(0.3))
        let biases = curved.store.entries.filter { $0.specification.name == "bias" }.map { bent[$0.range].array }
        #expect(biases[0].contains { $0 != 0 } && biases[1...].allSatisfy { $0.allSatisfy { $0 == 0 } })
    }

    /// Four halves of two shards of which some are penalised, in one batch, give the bits of each part alone, added in
    /// their order.
    @Test(arguments: [false, true]) func partsGiveTheBitsOfEachAlone(adding: Bool) throws {
        let layers = Self.everyLayer
        let together = try network(layers, .vector(5), shards: 2, halves: 4)
        let alone = try network(layers, .vector(5)), count = alone.store.count
        var parts: [BatchPart] = [], row = 0
        let purposes: [Purpose] = [.dropoutReal, .dropoutFake, .sample, .synthetic]
        for half in 0 ..< 4 {
            for shard in 0 ..< 2 {
                let end = row + [3, 2][shard]
                parts.append(
                    BatchPart(
                        rows: row ..< end, firstSample: 3 * shard, purpose: purposes[half], shard: shard, half: half,
                        isPenalised: [true, false, true, true][half]))
                row = end
            }
        }
        let input = Batch(normal(row * 5, step: 1), count: row, shape: .vector(5))
        let slopes = Batch(normal(row, step: 2), count: row, shape: .vector(1))
        let target = lasting(Array(repeating: 3, count: 2 * count)), single = lasting(target.array)
        _ = try run(together, input, slopes, parts, into: target, adding: adding, penalties: Self.scaled(0.7))
        for part in parts {
            let own = BatchPart(
                rows: 0 ..< part.rows.count, firstSample: part.firstSample, purpose: part.purpose,
                isPenalised: part.isPenalised)
            _ = try run(
                alone, input[part.rows], slopes[part.rows], [own],
                into: single[part.shard * count ..< (part.shard + 1) * count], adding: adding || part.half > 0,
                penalties: Self.scaled(0.7))
        }
        for entry in alone.store.entries {
            for shard in 0 ..< 2 {
                let range = shard * count + entry.range.lowerBound ..< shard * count + entry.range.upperBound
                #expect(target[range].array == single[range].array, "\(entry.name) of shard \(shard)")
                #expect(target[range].array != Array(repeating: 3, count: range.count), "\(entry.name): nothing there")
            }
        }
    }

    /// The sum over shards is the gradient of the whole batch, to rounding.
    @Test func shardsSumToTheWhole() throws {
        let layers = Self.everyLayer
        let divided = try network(layers, .vector(5), shards: 2), whole = try network(layers, .vector(5), capacity: 7)
        let input = Batch(normal(35, step: 1), count: 7, shape: .vector(5))
        let slopes = Batch(normal(7, step: 2), count: 7, shape: .vector(1))
        let parts = [0 ..< 4, 4 ..< 7].enumerated().map { shard, rows in
            BatchPart(
                rows: rows, firstSample: rows.lowerBound, purpose: .dropoutReal, shard: shard, isPenalised: true)
        }
        let ofShards = try run(divided, input, slopes, parts, penalties: Self.scaled(0.7))
        let expected = try run(whole, input, slopes, penalties: Self.scaled(0.7)), count = whole.store.count
        Reductions.add(ofShards[count ..< 2 * count], to: ofShards[0 ..< count])
        for entry in whole.store.entries {
            // Of a single number, a sum of many that nearly cancel, 5e-6 were seen without fused multiplication.
            expectClose(ofShards[entry.range], expected[entry.range].array, tolerance: 1e-5, "\(entry.name)")
        }
    }

    /// Without a penalised part, and with a penalty of zero and slopes of one, it is the usual backward.
    @Test func withoutPenaltiesItIsTheUsualBackward() throws {
        let network = try network(Self.everyLayer, .vector(5)), parameters = network.store.values.values
        let input = Batch(normal(20, step: 1), count: 4, shape: .vector(5))
        let slopes = Batch(lasting([1, 1, 1, 1]), count: 4, shape: .vector(1))
        let zero = try run(network, input, slopes, penalties: Self.scaled(0))
        let usual = lasting(Array(repeating: 0, count: network.store.count))
        let inputGradient = try #require(
            try network.backward(from: slopes, parameters: parameters, into: usual, inputGradient: true)
        ).values.array
        for entry in network.store.entries {
            expectClose(zero[entry.range], usual[entry.range].array, tolerance: 1e-6, entry.name)
        }
        // The forward stands: a second pass finds what the first found, and g is the usual input gradient.
        var given: [Float] = []
        let again = lasting(Array(repeating: 0, count: network.store.count))
        try network.backward(from: slopes, parameters: parameters, into: again) {
            given = $0.values.array
            $0.values.fill(0)
        }
        #expect(again.array == zero.array && given == inputGradient)

        let part = BatchPart(rows: 0 ..< 4, firstSample: 0, purpose: .dropoutReal)
        let plain = try run(network, input, slopes, [part]) { _ in Issue.record("a penalty of no part") }
        for entry in network.store.entries { #expect(plain[entry.range].array == usual[entry.range].array) }
    }

    @Test func readyRangesAreAGrowingSuffixOfEverything() throws {
        let network = try network(Self.everyLayer, .vector(5)), parameters = network.store.values.values
        let input = Batch(normal(20, step: 1), count: 4, shape: .vector(5))
        let part = BatchPart(rows: 0 ..< 4, firstSample: 0, purpose: .dropoutReal, isPenalised: true)
        _ = try network.forward(input, parameters: parameters, mode: training(), parts: [part])
        let target = lasting(Array(repeating: 0, count: network.store.count))
        var end = network.store.count, early: [(Range<Int>, [Float])] = []
        try network.backward(
            from: Batch(normal(4, step: 2), count: 4, shape: .vector(1)), parameters: parameters, into: target,
            penalties: Self.scaled(0.1)
        ) { range in
            #expect(range.upperBound == end)
            end = range.lowerBound
            early.append((range, target[range].array))
        }
        #expect(end == 0 && early.count == 15)
        for (range, values) in early { #expect(target[range].array == values, "\(range) was not final") }
    }

    /// A layer that is computed together with the next, in one pass through memory.
    @Test func joinedLayersGiveWhatTheyGiveApart() throws {
        let rest: [any Layer] = [LeakyReLU(slope: 0.2), Dense(units: 6), Tanh(), Dense(units: 1)]
        let apart = try network([Dense(units: 7)] + rest, .vector(5)),
            joined = try network([Joining()] + rest, .vector(5))
        let input = Batch(normal(20, step: 1), count: 4, shape: .vector(5))
        let slopes = Batch(normal(4, step: 2), count: 4, shape: .vector(1))
        let expected = try run(apart, input, slopes, penalties: Self.scaled(0.7))
        let gradients = try run(joined, input, slopes, penalties: Self.scaled(0.7))
        #expect(joined.computed[0] is Joined && gradients.array == expected.array)
    }

    @Test func layersThatCoupleExamplesAreRefused() {
        let layers: [any Layer] = [Dense(units: 3), ReLU(), BatchNormalisation(), ReLU(), Dense(units: 1)]
        let error = #expect(throws: ShapeError.self) {
            try Network(layers, input: .vector(2), capacity: 2, name: "discriminator", penalised: true)
        }
        #expect(
            error?.description == "discriminator: layer 2 (batch_normalisation): a gradient penalty cannot go through "
                + "it, for it makes the output of an example depend on the others: put `layer_normalisation` in its "
                + "place, or none")
    }

    /// Of 3 examples: e at the outputs of both dense layers and of the second sigmoid, t at their inputs and q between
    /// the two, which is made when t of the last layer has been read. The first sigmoid has no parameter below it, and
    /// the leaky ReLU is computed in the memory of its neighbour.
    @Test func memoryIsTakenForPenaltiesAlone() throws {
        let layers: [any Layer] = [
            Sigmoid(), Dense(units: 7), Sigmoid(), LeakyReLU(slope: 0.2), Dense(units: 1),
        ]
        let plain = try Network(layers, input: .vector(5), capacity: 3, name: "n")
        let penalised = try Network(layers, input: .vector(5), capacity: 3, name: "n", penalised: true)
        #expect(plain.penaltyPlan == nil && !plain.memoryPlan.contains("penalties"))
        let layout = try #require(penalised.penaltyPlan).layout
        #expect(layout.countApart == 16 * (2 + 2 + 1 + 1 + 2 + 2 + 2) && layout.count <= 16 * (2 + 2 + 1 + 1 + 2 + 2))
        #expect(penalised.memoryPlan.contains("penalties"))
    }

    @Test(arguments: [false, true]) func aSteadyPassAllocatesNothing(ofNewerLayers: Bool) throws {
        let layers: [any Layer] =
            ofNewerLayers
            ? [
                Basis(height: 8, width: 8, channels: 64), GroupNormalisation(groups: 4), SiLU(),
                Convolution2D(channels: 64, kernel: 3, groups: 4), ScaleShift(), GELU(), Resample2D(.linear),
                GroupNormalisation(groups: nil), Resample2D(.binomialDown), PixelNormalisation(),
                Convolution2D(channels: 64, kernel: 3, groups: 64), Resample2D(.mean), ScaleShift(scale: nil),
                Flatten(), Dense(units: 1),
            ]
            : [
                Dense(units: 160), Reshape(to: .image(height: 4, width: 4, channels: 10)),
                TransposedConvolution2D(channels: 64, kernel: 4, stride: 2), LayerNormalisation(),
                LeakyReLU(slope: 0.2), Dropout(keepProbability: 0.8), Convolution2D(channels: 32, kernel: 3, stride: 2),
                ChannelMaxout(pieces: 2), Pooling2D(.maximum, size: 2, stride: 2), Pooling2D(.mean, size: 2, stride: 2),
                ZeroPadding(pixels: 1),
                Flatten(), Tanh(), Maxout(units: 160, pieces: 3), Softplus(), Dense(units: 1),
            ]
        let network = try network(layers, .vector(16), capacity: 8, halves: 2)
        let parameters = network.store.values.values, input = Batch(normal(256, step: 1), count: 16, shape: .vector(16))
        let slopes = Batch(normal(16, step: 2), count: 16, shape: .vector(1))
        let target = lasting(Array(repeating: 0, count: network.store.count))
        let parts = [
            BatchPart(rows: 0 ..< 8, firstSample: 0, purpose: .dropoutReal, isPenalised: true),
            BatchPart(rows: 8 ..< 16, firstSample: 0, purpose: .dropoutFake, half: 1),
        ]
        var final = 0
        func step() throws {
            _ = try network.forward(input, parameters: parameters, mode: training(), parts: parts)
            try network.backward(from: slopes, parameters: parameters, into: target) { _ in
            } ready: {
                final += $0.count
            }
        }
        for _ in 0 ..< 3 { try step() }
        let before = allocationsOfThisThread()
        for _ in 0 ..< 5 { try step() }
        let made = allocationsOfThisThread() - before
        #expect(made == 0 && final == 8 * network.store.count, "5 steps made \(made) allocations")
    }
}

/// A dense layer that applies the leaky ReLU after it.
private struct Joining: Layer {
    let dense = Dense(units: 7)
    var name: String { "dense" }
    func applying(_ next: any Layer, to input: Shape) -> (any Layer)? {
        (next as? LeakyReLU).map { Joined(dense: dense, activation: $0) }
    }
    func outputShape(for input: Shape) throws(ShapeError) -> Shape { try dense.outputShape(for: input) }
    func parameters(for input: Shape) -> [ParameterSpec] { dense.parameters(for: input) }

    func forward(_ input: Batch, into output: Batch, _ memory: LayerMemory, mode: Mode) {
        Issue.record("it was to be joined")
    }

    func backward(
        _ outputGradient: Batch, input: Batch, output: Batch, into inputGradient: Batch?, _ memory: LayerMemory,
        parameterGradients: Bool
    ) {
        Issue.record("it was to be joined")
    }
}

private struct Joined: TangentLayer {
    let dense: Dense
    let activation: LeakyReLU
    var name: String { "dense" }
    var backwardReadsOutput: Bool { true }
    func outputShape(for input: Shape) throws(ShapeError) -> Shape { try dense.outputShape(for: input) }
    func parameters(for input: Shape) -> [ParameterSpec] { dense.parameters(for: input) }

    func forward(_ input: Batch, into output: Batch, _ memory: LayerMemory, mode: Mode) {
        dense.forward(input, into: output, memory, mode: mode)
        activation.forward(output, into: output, memory, mode: mode)
    }

    func backward(
        _ outputGradient: Batch, input: Batch, output: Batch, into inputGradient: Batch?, _ memory: LayerMemory,
        parameterGradients: Bool
    ) {
        let inner = Batch(normal(output.values.count, step: 0), count: output.count, shape: output.shape)
        activation.backward(
            outputGradient, input: output, output: output, into: inner, memory, parameterGradients: false)
        dense.backward(
            inner, input: input, output: output, into: inputGradient, memory, parameterGradients: parameterGradients)
    }

    func tangent(
        _ inputTangent: Batch, input: Batch, output: Batch, into outputTangent: Batch, _ memory: LayerMemory
    ) {
        dense.tangent(inputTangent, input: input, output: output, into: outputTangent, memory)
        activation.tangent(outputTangent, input: output, output: output, into: outputTangent, memory)
    }
}
