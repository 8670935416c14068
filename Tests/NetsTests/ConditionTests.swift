import AllocationCount
import Foundation
import Kernels
@testable import Nets
import Testing

/// Layers that look at what stands beside each example.
@Suite struct ConditionTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let name: String
        let layers: [any Layer]
        var testDescription: String { name }

        init(_ name: String, _ layers: [any Layer]) { (self.name, self.layers) = (name, layers) }
    }

    private static let classes = Condition.classes(5), vectors = Condition.vector(3)

    private static let cases = [
        Case("embedding", [Embedding(size: 3, of: classes)]),
        Case("embedding of images", [Embedding(size: 3, of: classes)]),
        Case("embedding by vectors", [Embedding(size: 10, of: vectors)]),
        Case("joined classes", [JoinedCondition(classes)]), Case("joined vectors", [JoinedCondition(vectors)]),
        Case("projection", [Projection(of: classes)]), Case("projection by vectors", [Projection(of: vectors)]),
        Case("conditional batch normalisation of images", [ConditionalBatchNormalisation(of: classes)]),
        Case("conditional batch normalisation of vectors", [ConditionalBatchNormalisation(of: classes)]),
    ]

    /// Outputs and gradients against PyTorch's: the first gradient overwrites, the second is added.
    @Test(arguments: cases) private func outputsAndGradientsArePyTorchs(of tested: Case) throws {
        let fixture = try Fixture(tested.name, in: .conditions)
        let network = try fixture.network(tested.layers), parameters = network.store.values.values
        let gradient = try fixture.batch("outputGradient"), conditions = try fixture.floats("conditions")
        let output = try network.forward(
            try fixture.batch("input"), parameters: parameters, mode: training(), conditions: conditions)
        #expect(output.shape == (try fixture.shape("output")))
        expectClose(output.values, try fixture.values("output"), "\(tested.name): output")
        let target = lasting(Array(repeating: 0, count: network.store.count))
        for entry in network.store.entries { target[entry.range].fill(.nan) }
        for times in 1 ... 2 {
            let back = try network.backward(
                from: gradient, parameters: parameters, into: target, adding: times == 2, inputGradient: true)
            expectClose(try #require(back).values, try fixture.values("inputGradient"), "\(tested.name): input")
            for entry in network.store.entries {
                let expected = try fixture.values(fixture.key(entry) + ".gradient").map { $0 * Float(times) }
                expectClose(target[entry.range], expected, "\(tested.name): gradient of \(entry.name)")
            }
        }
        target.fill(7)
        let frozen = try network.backward(from: gradient, parameters: parameters, into: nil, inputGradient: true)
        expectClose(try #require(frozen).values, try fixture.values("inputGradient"), "\(tested.name): frozen")
        #expect(target.array.allSatisfy { $0 == 7 })
    }

    /// Parts of a batch have the conditions of their own rows.
    @Test(arguments: cases.filter { !($0.layers[0] is ConditionalBatchNormalisation) })
    private func partsHaveTheirRowsConditions(of tested: Case) throws {
        let fixture = try Fixture(tested.name, in: .conditions)
        let network = lasting(
            try Network(tested.layers, input: fixture.shape("input"), capacity: 3, shards: 2, name: "n"))
        for entry in network.store.entries {
            network.store.values.values[entry.range].copy(from: try fixture.floats(fixture.key(entry)))
        }
        let parts = [0 ..< 1, 1 ..< 4].enumerated().map {
            BatchPart(rows: $1, firstSample: $1.lowerBound, purpose: .dropoutReal, shard: $0)
        }
        let output = try network.forward(
            try fixture.batch("input"), parameters: network.store.values.values, mode: training(), parts: parts,
            conditions: try fixture.floats("conditions"))
        expectClose(output.values, try fixture.values("output"), tested.name)
    }

    @Test(arguments: ["images", "vectors"]) func runningStatisticsMakeSamples(of kind: String) throws {
        let fixture = try Fixture("conditional batch normalisation of \(kind)", in: .conditions)
        let network = try fixture.network([ConditionalBatchNormalisation(of: Self.classes)]), store = network.store
        for entry in store.statisticEntries {
            store.statistics.values[entry.range].copy(from: try fixture.floats(entry.specification.name))
        }
        let batch = try fixture.batch("input"), conditions = try fixture.floats("conditions")
        let sums = lasting(store.statistics.values.array.map { _ in 0 })
        _ = try network.forward(
            batch, parameters: store.values.values, mode: training(), batchStatistics: sums, conditions: conditions)
        store.applyStatistics(sums, samples: batch.count)
        for entry in store.statisticEntries {
            expectClose(
                store.statistics.values[entry.range], try fixture.values(entry.specification.name + ".after"), kind)
        }
        let sampled = try network.forward(
            batch, parameters: store.values.values, mode: .sampling, conditions: conditions)
        expectClose(sampled.values, try fixture.values("sampled"), "sampled \(kind)")
    }

    /// Every class with a scale of 1 and a shift of 0 is what batch normalisation without them is, to the bit.
    @Test func equalClassesAreBatchNormalisation() throws {
        let shape = Shape.image(height: 3, width: 2, channels: 9)
        let input = Batch(normal(4 * shape.count, step: 1), count: 4, shape: shape)
        let gradient = Batch(normal(4 * shape.count, step: 2), count: 4, shape: shape)
        func run(_ layer: any Layer) throws -> ([Float], [Float]) {
            let network = lasting(try Network([layer], input: shape, capacity: 4, name: "n"))
            network.store.initialise(seed: 1, role: 0)
            let parameters = network.store.values.values
            let output = try network.forward(
                input, parameters: parameters, mode: training(), conditions: lasting([0, 3, 3, 1]))
            let back = try network.backward(from: gradient, parameters: parameters, into: nil, inputGradient: true)
            return (output.values.array, try #require(back).values.array)
        }
        let conditional = try run(ConditionalBatchNormalisation(of: Self.classes)),
            plain = try run(BatchNormalisation())
        #expect(conditional.0 == plain.0)
        expectClose(lasting(conditional.1), plain.1, tolerance: 1e-6, "input gradient")
    }

    private static let tangents: [(any TangentLayer, Shape)] = [
        (Embedding(size: 3, of: classes), .vector(7)),
        (Embedding(size: 2, of: vectors), .image(height: 3, width: 2, channels: 4)),
        (JoinedCondition(classes), .image(height: 2, width: 2, channels: 3)), (JoinedCondition(vectors), .vector(5)),
        (Projection(of: classes), .vector(19)), (Projection(of: vectors, hasBias: false), .vector(8)),
    ]

    /// ⟨e, J t⟩ = ⟨Jᵀ e, t⟩, with the conditions held.
    @Test(arguments: tangents.indices) private func theTangentIsTheAdjointOfBackward(number: Int) throws {
        let (layer, shape) = Self.tangents[number]
        let network = lasting(try Network([layer], input: shape, capacity: 3, name: "n", penalised: true))
        for (step, entry) in network.store.entries.enumerated() {
            network.store.values.values[entry.range].copy(from: normal(entry.range.count, step: 10 + step))
        }
        let width = try #require(network.condition).width
        let conditions = width == 1 ? lasting([4, 0, 4]) : normal(9, step: 30), parameters = network.store.values.values
        _ = try network.forward(
            Batch(normal(3 * shape.count, step: 0), count: 3, shape: shape), parameters: parameters,
            mode: training(), conditions: conditions)
        let (input, output) = network.ends(0), memory = network.memory(0, 0 ..< 1, parameters)
        let t = normal(input.values.count, step: 1), e = normal(output.values.count, step: 2)
        let tangent = lasting(Array(repeating: .nan, count: output.values.count))
        layer.tangent(
            Batch(t, count: 3, shape: shape), input: input, output: output,
            into: Batch(tangent, count: 3, shape: output.shape), memory)
        let back = lasting(Array(repeating: .nan, count: input.values.count))
        layer.backward(
            Batch(e, count: 3, shape: output.shape), input: input, output: output,
            into: Batch(back, count: 3, shape: shape), memory, parameterGradients: false)
        let scale = (dot(e, e) * dot(tangent, tangent)).squareRoot()
        #expect(scale > 0 && abs(dot(e, tangent) - dot(back, t)) <= 1e-6 * scale)
    }

    private static let penalised = [
        Case(
            "penalty of classes",
            [
                Embedding(size: 3, of: classes), Convolution2D(channels: 4, kernel: 3), Tanh(), Flatten(),
                Dense(units: 9), Softplus(), Projection(of: classes),
            ]),
        Case(
            "penalty of vectors",
            [
                Dense(units: 8), Sigmoid(), Embedding(size: 4, of: vectors), JoinedCondition(vectors), Dense(units: 7),
                Tanh(), Projection(of: vectors),
            ]),
    ]

    /// R1 through a conditional discriminator against PyTorch's double backward.
    @Test(arguments: penalised) private func penaltiesArePyTorchs(of tested: Case) throws {
        let fixture = try Fixture(tested.name, in: .conditions)
        let network = try fixture.network(tested.layers, penalised: true), parameters = network.store.values.values
        let input = try fixture.batch("input"), slopes = try fixture.batch("slopes")
        let part = BatchPart(rows: 0 ..< input.count, firstSample: 0, purpose: .dropoutReal, isPenalised: true)
        let logits = try network.forward(
            input, parameters: parameters, mode: training(), parts: [part],
            conditions: try fixture.floats("conditions"))
        expectClose(logits.values, try fixture.values("logits"), "\(tested.name): logits")
        let target = lasting(Array(repeating: .nan, count: network.store.count))
        try network.backward(from: slopes, parameters: parameters, into: target) { gradients in
            expectClose(gradients.values, try fixture.values("inputGradient"), "\(tested.name): gradient of the input")
            for index in 0 ..< gradients.values.count { gradients.values[index] *= 0.7 / Float(gradients.count) }
        }
        for entry in network.store.entries {
            let expected = try fixture.values("\(entry.name).r1"), values = target[entry.range].array
            let difference = zip(values, expected).reduce(0) { $0 + pow(Double($1.0 - $1.1), 2) }.squareRoot()
            let norm = expected.reduce(0) { $0 + Double($1) * Double($1) }.squareRoot()
            #expect(difference <= 2e-6 * norm, "\(tested.name): \(entry.name): \(difference / norm)")
        }
    }

    /// Central differences through a whole generator, of every parameter.
    @Test func gradientsAreDifferences() throws {
        let network = lasting(
            try Network(
                [
                    Embedding(size: 3, of: Self.classes), Dense(units: 12), Tanh(),
                    Reshape(to: .image(height: 2, width: 2, channels: 3)),
                    ConditionalBatchNormalisation(of: Self.classes), Sigmoid(), JoinedCondition(Self.classes),
                    Convolution2D(channels: 2, kernel: 3), Flatten(), Projection(of: Self.classes),
                ], input: .vector(4), capacity: 5, name: "n"))
        let store = network.store, parameters = store.values.values, conditions = lasting([4, 1, 1, 0, 2])
        for (step, entry) in store.entries.enumerated() {
            let values = normal(entry.range.count, step: 40 + step)
            for (place, index) in entry.range.enumerated() { parameters[index] = 0.5 * values[place] }
        }
        let input = Batch(normal(20, step: 3), count: 5, shape: .vector(4))
        func cost() throws -> Double {
            try network.forward(input, parameters: parameters, mode: training(), conditions: conditions)
                .values.array.enumerated().reduce(0) { $0 + Double($1.offset + 1) * Double($1.element) }
        }
        _ = try cost()
        let target = lasting(Array(repeating: 0, count: store.count))
        _ = try network.backward(
            from: Batch(lasting([1, 2, 3, 4, 5]), count: 5, shape: .vector(1)), parameters: parameters, into: target,
            inputGradient: false)
        for entry in store.entries {
            let differences = try entry.range.map { index -> Float in
                let value = parameters[index]
                func slope(_ h: Float) throws -> Double {
                    parameters[index] = value + h
                    let above = try cost()
                    parameters[index] = value - h
                    let below = try cost()
                    parameters[index] = value
                    return (above - below) / Double(2 * h)
                }
                return Float(try (4 * slope(0.03125) - slope(0.0625)) / 3)
            }
            expectClose(target[entry.range], differences, tolerance: 3e-3, entry.name)
        }
    }

    @Test func aSteadyStepAllocatesNothing() throws {
        let network = lasting(
            try Network(
                [
                    Embedding(size: 8, of: Self.classes), Dense(units: 32),
                    ConditionalBatchNormalisation(of: Self.classes),
                    ReLU(), JoinedCondition(Self.classes), Dense(units: 16), Projection(of: Self.classes),
                ], input: .vector(16), capacity: 4, name: "n"))
        network.store.initialise(seed: 1, role: 0)
        let parameters = network.store.values.values, target = lasting(Array(repeating: 0, count: network.store.count))
        let input = Batch(normal(64, step: 1), count: 4, shape: .vector(16)), conditions = lasting([0, 1, 4, 4])
        let ones = Batch(lasting([1, 1, 1, 1]), count: 4, shape: .vector(1))
        func run() throws {
            _ = try network.forward(input, parameters: parameters, mode: training(), conditions: conditions)
            _ = try network.backward(from: ones, parameters: parameters, into: target, inputGradient: true)
        }
        for _ in 0 ..< 3 { try run() }
        let before = allocationsOfThisThread()
        for _ in 0 ..< 10 { try run() }
        #expect(allocationsOfThisThread() == before, "10 steps made \(allocationsOfThisThread() - before) allocations")
    }

    /// A table is one of the weights that a network's spectral normalisation divides, as in the source's code; the
    /// scales of classes are not.
    @Test func tablesAreSpectralWeights() throws {
        let network = try Network(
            [
                Dense(units: 6), ConditionalBatchNormalisation(of: Self.classes), Embedding(size: 3, of: Self.classes),
                Projection(of: Self.classes),
            ], input: .vector(4), capacity: 1, name: "n")
        network.store.initialise(seed: 1, role: 0)
        let spectral = try #require(SpectralNormalisation(of: network.store, all: true, seed: 1, role: 1))
        #expect(
            spectral.sigmas.map(\.name) == [
                "0.dense/weight", "2.embedding/embedding", "3.projection/weight", "3.projection/embedding",
            ])
    }
}
