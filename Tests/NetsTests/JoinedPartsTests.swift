import Kernels
@testable import Nets
import Testing

/// The halves of a shard through each layer as one, beside the halves apart.
@Suite struct JoinedPartsTests {
    /// Layers that join parts, of every kind, and between them those that do not: their statistics, draws and winners
    /// are each half's own.
    private static let layers: [any Layer] = [
        Convolution2D(channels: 8, kernel: 3, weights: .normal(0.3)), BatchNormalisation(), LeakyReLU(slope: 0.2),
        Resample2D(.nearest), Convolution2D(channels: 6, kernel: 3, weights: .normal(0.3)), Tanh(),
        Dropout(keepProbability: 0.7), Convolution2D(channels: 6, kernel: 1, weights: .normal(0.3)),
        Resample2D(.mean), Convolution2D(channels: 4, kernel: 3, groups: 2, weights: .normal(0.3)),
        TransposedConvolution2D(channels: 3, kernel: 4, stride: 2, weights: .normal(0.3)), Flatten(),
        Maxout(units: 7, pieces: 3, weights: .normal(0.3)), Dropout(keepProbability: 0.7),
        Dense(units: 1, weights: .normal(0.3)),
    ]
    private static let input = Shape.image(height: 4, width: 4, channels: 2)

    /// Fewer real rows than generated ones, then rows that a penalty alone looks at.
    private static func parts(joined: Bool, penalised: [Bool]) -> [BatchPart] {
        let rows = [0 ..< 2, 2 ..< 5, 5 ..< 8], purposes: [Purpose] = [.dropoutReal, .dropoutFake, .dropoutBetween]
        return penalised.indices.map {
            BatchPart(
                rows: rows[$0], firstSample: 3, purpose: purposes[$0], half: $0, isPenalised: penalised[$0],
                joinsPrevious: joined && $0 > 0)
        }
    }

    private static func network(_ layers: [any Layer]) throws -> Network {
        let network = lasting(
            try Network(layers, input: input, capacity: 3, halves: 3, name: "discriminator", penalised: true))
        network.store.initialise(seed: 7, role: 1)
        return network
    }

    /// Batch normalisation takes no penalties.
    private static let penalisable = layers.filter { !($0 is BatchNormalisation) }

    private static func distance(_ found: [Float], _ right: [Float]) -> Double {
        let differences = zip(found, right).reduce(0.0) { $0 + Double($1.0 - $1.1) * Double($1.0 - $1.1) }
        let squares = right.reduce(0.0) { $0 + Double($1) * Double($1) }
        return found.count == right.count && squares > 0 ? (differences / squares).squareRoot() : .infinity
    }

    /// Logits, gradients of the parameters, and of the input from the generated half alone, as G's update takes them.
    @Test func theyGiveWhatTheyGiveApart() throws {
        let network = lasting(try Network(Self.layers, input: Self.input, capacity: 3, halves: 2, name: "d"))
        network.store.initialise(seed: 7, role: 1)
        let parameters = network.store.values.values
        let input = Batch(normal(5 * Self.input.count, step: 1), count: 5, shape: Self.input)
        let slopes = Batch(normal(5, step: 2), count: 5, shape: .vector(1))
        func results(joined: Bool) throws -> [[Float]] {
            let target = lasting(Array(repeating: Float.zero, count: network.store.count))
            network.activations.values.fill(.nan)
            network.scratch.values.fill(.nan)
            let logits = try network.forward(
                input, parameters: parameters, mode: training(),
                parts: Self.parts(joined: joined, penalised: [false, false]))
            let first = logits.values.array
            _ = try network.backward(from: slopes, parameters: parameters, into: target, inputGradient: false)
            let ofFake = try #require(
                try network.backward(
                    from: slopes, parameters: parameters, into: nil, only: 1 ..< 2, inputGradient: true))
            return [first, target.array, ofFake[2 ..< 5].values.array]
        }
        for (found, right) in zip(try results(joined: true), try results(joined: false)) {
            #expect(Self.distance(found, right) < 2e-6)
        }
    }

    @Test(arguments: [[true, true], [true, false], [false, true], [false, false, true], [true, true, true]])
    func penaltiesToo(penalised: [Bool]) throws {
        let network = try Self.network(Self.penalisable), parameters = network.store.values.values
        let count = penalised.count == 3 ? 8 : 5
        let input = Batch(normal(count * Self.input.count, step: 1), count: count, shape: Self.input)
        let slopes = Batch(normal(count, step: 2), count: count, shape: .vector(1))
        func gradient(joined: Bool) throws -> [Float] {
            let target = lasting(Array(repeating: Float.zero, count: network.store.count))
            _ = try network.forward(
                input, parameters: parameters, mode: training(),
                parts: Self.parts(joined: joined, penalised: penalised))
            try network.backward(
                from: slopes, parameters: parameters, into: target, penalties: PenaltyTests.scaled(0.6))
            return target.array
        }
        #expect(try Self.distance(gradient(joined: true), gradient(joined: false)) < 2e-6)
    }

    /// Of a cost whose slopes are opposite on both halves the last bias has no gradient at all.
    @Test(arguments: [false, true], [3, 70])
    func oppositeSlopesLeaveNoGradientOfTheLastBias(penalised: Bool, rows: Int) throws {
        let network = lasting(
            try Network(
                Self.penalisable, input: Self.input, capacity: rows, halves: 2, name: "discriminator", penalised: true))
        network.store.initialise(seed: 7, role: 1)
        let parameters = network.store.values.values, count = 2 * rows
        let input = Batch(normal(count * Self.input.count, step: 1), count: count, shape: Self.input)
        let real = normal(rows, step: 2).array, slopes = lasting(real + real.map { -$0 })
        let target = lasting(Array(repeating: Float(1), count: network.store.count))
        let parts = [0, 1].map {
            BatchPart(
                rows: rows * $0 ..< rows * $0 + rows, firstSample: 0, purpose: .dropoutReal, half: $0,
                isPenalised: penalised, joinsPrevious: $0 > 0)
        }
        _ = try network.forward(input, parameters: parameters, mode: training(), parts: parts)
        try network.backward(
            from: Batch(slopes, count: count, shape: .vector(1)), parameters: parameters, into: target,
            penalties: PenaltyTests.scaled(0.6))
        let bias = try #require(network.store.entries.last)
        #expect(bias.name.hasSuffix("bias") && target[bias.range].array == [0])
    }

    /// Both halves in one call of a layer that allows it; those of which one alone is penalised in two.
    @Test func neighboursOfOneKindAreOneSpan() throws {
        let network = try Self.network(Self.penalisable)
        func spans(_ penalised: [Bool], joined: Bool, of layer: Int, in parts: Range<Int>) throws -> [Range<Int>] {
            let count = penalised.count == 3 ? 8 : 5
            _ = try network.forward(
                Batch(normal(count * Self.input.count, step: 1), count: count, shape: Self.input),
                parameters: network.store.values.values, mode: training(),
                parts: Self.parts(joined: joined, penalised: penalised))
            var spans: [Range<Int>] = []
            network.forEachSpan(of: parts, layer) { span, _ in spans.append(span) }
            return spans
        }
        let apart = [0 ..< 1, 1 ..< 2]
        #expect(try spans([true, true], joined: true, of: 0, in: 0 ..< 2) == [0 ..< 2])
        #expect(try spans([true, true], joined: true, of: 1, in: 0 ..< 2) == apart)
        #expect(try spans([true, true], joined: false, of: 0, in: 0 ..< 2) == apart)
        #expect(try spans([true, false], joined: true, of: 0, in: 0 ..< 2) == apart)
        #expect(try spans([false, false, true], joined: true, of: 0, in: 0 ..< 3) == [0 ..< 2, 2 ..< 3])
        #expect(try spans([false, false], joined: true, of: 0, in: 1 ..< 2) == [1 ..< 2])
    }
}
