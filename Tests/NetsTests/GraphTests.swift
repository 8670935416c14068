import Foundation
import Kernels
@testable import Nets
import Testing

/// Random networks of nested residuals, of 31 kinds of layers, against PyTorch:
/// Tests/reference/make_graph_fixtures.py.
@Suite struct GraphTests {
    private static let examples = 3
    private static let graphs = try! Graph.all()

    /// Outputs and gradients, with and without penalty; what is not made anew in a pass would be seen as NaN.
    @Test func everyGraphAgreesWithPyTorch() throws {
        var results = Graph.results()[...]
        for graph in Self.graphs {
            let network = try graph.network(capacity: Self.examples), store = network.store
            let input = graph.input(examples: Self.examples), slopes = graph.slopes(of: network, Self.examples)
            let whole = [
                BatchPart(
                    rows: 0 ..< Self.examples, firstSample: 0, purpose: .dropoutReal, isPenalised: graph.penalised)
            ]
            network.activations.values.fill(.nan)
            let output = try network.forward(
                input, parameters: store.values.values, mode: training(), parts: whole)
            graph.compare([output.values], &results, "output")
            let target = lasting(Array(repeating: .nan, count: store.count))
            network.gradients.values.fill(.nan)
            let inputGradient = try #require(
                try network.backward(
                    from: slopes, parameters: store.values.values, into: target, inputGradient: true))
            graph.compare([inputGradient.values], &results, "gradient of the input")
            graph.compare(store.entries.map { target[$0.range] }, &results, "gradient")
            guard graph.penalised else { continue }
            target.fill(.nan)
            network.gradients.values.fill(.nan)
            try network.backward(
                from: slopes, parameters: store.values.values, into: target,
                penalties: PenaltyTests.scaled(2 * 0.3))
            graph.compare(store.entries.map { target[$0.range] }, &results, "gradient with a penalty")
        }
        #expect(results.isEmpty && Self.graphs.count > 250)
    }

    /// Shards and halves in one batch, of which one half alone is penalised, give the bits of each alone; frozen, or
    /// without the gradient of the input, it is the same backward; and what is said to be ready is.
    @Test func partsGiveTheBitsOfEachAlone() throws {
        for graph in Self.graphs {
            let together = try graph.network(capacity: 2, shards: 2, halves: 2), alone = try graph.network(capacity: 2)
            let count = alone.store.count, parameters = together.store.values.values
            let parts = [
                BatchPart(rows: 0 ..< 2, firstSample: 0, purpose: .dropoutReal, isPenalised: graph.penalised),
                BatchPart(rows: 2 ..< 3, firstSample: 2, purpose: .dropoutReal, shard: 1, isPenalised: graph.penalised),
                BatchPart(rows: 3 ..< 5, firstSample: 0, purpose: .dropoutFake, half: 1),
                BatchPart(rows: 5 ..< 6, firstSample: 2, purpose: .dropoutFake, shard: 1, half: 1),
            ]
            let input = graph.input(examples: 6), slopes = graph.slopes(of: together, 6)
            let target = lasting(Array(repeating: .nan, count: 2 * count)), single = lasting(target.array)
            _ = try together.forward(input, parameters: parameters, mode: training(), parts: parts)
            var end = count, early: [(Range<Int>, [Float])] = []
            try together.backward(
                from: slopes, parameters: parameters, into: target, penalties: PenaltyTests.scaled(0.3)
            ) { range in
                #expect(range.upperBound == end, "\(graph)")
                end = range.lowerBound
                early.append((range, target[count + range.lowerBound ..< count + range.upperBound].array))
            }
            for (range, values) in early {
                let now = target[count + range.lowerBound ..< count + range.upperBound]
                #expect(now.bits == values.map(\.bitPattern), "\(graph): \(range) was not final")
            }
            #expect(end == 0, "\(graph)")
            let both = lasting(Array(repeating: .nan, count: 2 * count))
            let ofInput = try #require(
                try together.backward(from: slopes, parameters: parameters, into: both, inputGradient: true)
            ).values.bits
            let frozen = try together.backward(
                from: slopes, parameters: parameters, into: nil, only: 2 ..< 4, inputGradient: true)!.values.bits
            let size = graph.shape.count
            #expect(frozen[3 * size ..< 6 * size] == ofInput[3 * size ..< 6 * size], "\(graph)")
            let without = lasting(Array(repeating: .nan, count: 2 * count))
            #expect(
                try together.backward(from: slopes, parameters: parameters, into: without, inputGradient: false) == nil)
            for part in parts {
                let own = BatchPart(
                    rows: 0 ..< part.rows.count, firstSample: part.firstSample, purpose: part.purpose,
                    isPenalised: part.isPenalised)
                _ = try alone.forward(input[part.rows], parameters: parameters, mode: training(), parts: [own])
                try alone.backward(
                    from: slopes[part.rows], parameters: parameters,
                    into: single[part.shard * count ..< (part.shard + 1) * count], adding: part.half > 0,
                    penalties: PenaltyTests.scaled(0.3))
            }
            for range in alone.store.entries.map(\.range) {
                for start in [0, count] {
                    let range = start + range.lowerBound ..< start + range.upperBound
                    #expect(
                        target[range].bits == single[range].bits && without[range].bits == both[range].bits, "\(graph)")
                }
            }
        }
    }

    /// Both halves of a shard in products of both give what each gives alone, but for the order of sums.
    @Test func joinedHalvesGiveWhatTheyGiveApart() throws {
        var joined = 0
        for graph in Self.graphs {
            let network = try graph.network(capacity: 3, halves: 2), parameters = network.store.values.values
            if network.computed.contains(where: \.joinsParts) { joined += 1 }
            let input = graph.input(examples: 5), slopes = graph.slopes(of: network, 5)
            func results(joins: Bool) throws -> [[Float]] {
                let parts = [
                    BatchPart(rows: 0 ..< 2, firstSample: 0, purpose: .dropoutReal, isPenalised: graph.penalised),
                    BatchPart(
                        rows: 2 ..< 5, firstSample: 0, purpose: .dropoutFake, half: 1, isPenalised: graph.penalised,
                        joinsPrevious: joins),
                ]
                let target = lasting(Array(repeating: .nan, count: network.store.count))
                network.activations.values.fill(.nan)
                network.gradients.values.fill(.nan)
                let output = try network.forward(input, parameters: parameters, mode: training(), parts: parts)
                let outputs = output.values.array
                try network.backward(
                    from: slopes, parameters: parameters, into: target, penalties: PenaltyTests.scaled(0.3))
                let gradient = network.store.entries.flatMap { target[$0.range].array }
                let frozen = try network.backward(
                    from: slopes, parameters: parameters, into: nil, only: 1 ..< 2, inputGradient: true)!
                return [outputs, gradient, frozen[2 ..< 5].values.array]
            }
            for (found, right) in zip(try results(joins: true), try results(joins: false)) {
                let differences = zip(found, right).reduce(0.0) { $0 + Double($1.0 - $1.1) * Double($1.0 - $1.1) }
                let squares = right.reduce(0.0) { $0 + Double($1) * Double($1) }
                #expect(differences <= 1e-10 * squares, "\(graph): \((differences / squares).squareRoot())")
            }
        }
        #expect(joined > 200)
    }

    /// Where there is no backward more memory is shared, and the outputs are the same.
    @Test func samplingWithoutMemoryForBackwardGivesTheSameBits() throws {
        var saved = 0
        for graph in Self.graphs {
            let trained = try graph.network(capacity: 3), parameters = trained.store.values.values
            let sampled = try Network(graph.layers, input: graph.shape, capacity: 3, name: "n", isTrained: false)
            let input = graph.input(examples: 3)
            let expected = try trained.forward(input, parameters: parameters, mode: .sampling).values.bits
            sampled.activations.values.fill(.nan)
            #expect(try sampled.forward(input, parameters: parameters, mode: .sampling).values.bits == expected)
            #expect(sampled.gradients.values.count == 0)
            #expect(sampled.activations.values.count <= trained.activations.values.count, "\(graph)")
            saved += trained.activations.values.count - sampled.activations.values.count
        }
        #expect(saved > 0)
    }

    /// Each network with a layer more in the body of its first residual.
    @Test func bodiesOfAnotherShapeAreRefused() throws {
        for graph in Self.graphs {
            let number = graph.layers.firstIndex { $0 is Residual }!, residual = graph.layers[number] as! Residual
            let network = try graph.network(capacity: 1)
            let sum = network.nodes.firstIndex { $0.place == "\(number)" }!, made = network.outputShapes[sum]
            let more: any Layer, shape: Shape
            if case .image(let height, let width, let channels) = made {
                more = Convolution2D(channels: channels + 1, kernel: 1)
                shape = .image(height: height, width: width, channels: channels + 1)
            } else {
                (more, shape) = (Dense(units: made.count + 1), .vector(made.count + 1))
            }
            var layers = graph.layers
            layers[number] = Residual(body: residual.body + [more], skip: residual.skip)
            let error = #expect(throws: ShapeError.self, "\(graph)") {
                try Network(layers, input: graph.shape, capacity: 1, name: "n")
            }
            let message = error?.description ?? ""
            #expect(message.hasPrefix("n: layer \(number) (residual): its `body` makes \(shape) "), "\(message)")
            #expect(message.contains(residual.skip.isEmpty ? "the input \(made)" : "its `skip` \(made):"), "\(message)")
            let before = try layers[..<number].reduce(graph.shape) { try $1.outputShape(for: $0) }
            #expect(throws: ShapeError.self, "\(graph)") { try layers[number].outputShape(for: before) }
        }
    }
}

extension Floats {
    fileprivate var bits: [UInt32] { array.map(\.bitPattern) }
}

/// One line of Fixtures/graphs.json.
private struct Graph: CustomStringConvertible {
    let seed: Int
    let penalised: Bool
    let shape: Shape
    let layers: [any Layer]

    var description: String { "the network of seed \(seed)" }

    static func all() throws -> [Graph] {
        let lines = try JSONSerialization.jsonObject(with: file("json")) as! [[String: Any]]
        return lines.map { line in
            Graph(
                seed: line["seed"] as! Int, penalised: line["penalised"] as! Bool,
                shape: shape(line["input"] as! [Int]), layers: (line["layers"] as! [[Any]]).map(layer))
        }
    }

    static func results() -> [Float] {
        file("f32").withUnsafeBytes {
            $0.bindMemory(to: UInt32.self).map { Float(bitPattern: UInt32(littleEndian: $0)) }
        }
    }

    private static func file(_ ending: String) -> Data {
        try! Data(contentsOf: Bundle.module.resourceURL!.appendingPathComponent("Fixtures/graphs.\(ending)"))
    }

    private static func shape(_ sizes: [Int]) -> Shape {
        sizes.count == 1 ? .vector(sizes[0]) : .image(height: sizes[0], width: sizes[1], channels: sizes[2])
    }

    private static func layer(_ line: [Any]) -> any Layer {
        func size(_ index: Int) -> Int { line[index] as! Int }
        func real(_ index: Int) -> Float { Float(line[index] as! Double) }
        func list(_ index: Int) -> [any Layer] { (line[index] as! [[Any]]).map(layer) }
        switch line[0] as! String {
        case "residual": return Residual(body: list(1), skip: list(2))
        case "dense": return Dense(units: size(1), hasBias: line[2] as! Bool)
        case "maxout": return Maxout(units: size(1), pieces: size(2))
        case "channel_maxout": return ChannelMaxout(pieces: size(1))
        case "convolution":
            return Convolution2D(
                channels: size(1), kernel: square(size(2)), stride: square(size(3)),
                groups: line.count > 4 ? size(4) : 1)
        case "transposed_convolution":
            return TransposedConvolution2D(channels: size(1), kernel: square(size(2)), stride: square(size(3)))
        case "layer_normalisation": return LayerNormalisation(epsilon: 0.01)
        case "group_normalisation": return GroupNormalisation(groups: size(1), epsilon: 0.01)
        case "instance_normalisation": return GroupNormalisation(groups: nil, epsilon: 0.01)
        case "pixel_normalisation": return PixelNormalisation(epsilon: 0.01)
        case "batch_normalisation": return BatchNormalisation(epsilon: 0.01)
        case "minibatch_deviation": return MinibatchDeviation(group: 4)
        case "scale_shift": return ScaleShift()
        case "dropout": return Dropout(keepProbability: real(1))
        case "max_pool": return Pooling2D(.maximum, size: size(1), stride: size(2), edge: .partial)
        case "mean_pool": return Pooling2D(.mean, size: size(1), stride: size(2), edge: .partial)
        case "sum_pool": return Pooling2D(.sum, size: size(1), stride: size(2), edge: .partial)
        case "upsample": return Resample2D(larger(line[1] as! String))
        case "downsample": return Resample2D(line[1] as! String == "mean" ? .mean : .binomialDown)
        case "self_attention": return SelfAttention()
        case "basis": return Basis(height: size(1), width: size(2), channels: size(3))
        case "constant": return Constant(shape: shape(line.dropFirst().map { $0 as! Int }))
        case "zero_padding": return ZeroPadding(pixels: size(1))
        case "reshape": return Reshape(to: shape(line.dropFirst().map { $0 as! Int }))
        case "flatten": return Flatten()
        case "relu": return ReLU()
        case "leaky_relu": return LeakyReLU(slope: real(1))
        case "sigmoid": return Sigmoid()
        case "tanh": return Tanh()
        case "softplus": return Softplus()
        case "gelu": return GELU()
        case "silu": return SiLU()
        case let kind: fatalError("graphs.json has a layer '\(kind)'")
        }
    }

    private static func larger(_ kind: String) -> Resampling.Filter {
        switch kind {
        case "nearest": .nearest
        case "bilinear": .linear
        default: .binomialUp
        }
    }

    private static func square(_ size: Int) -> Extent { Extent(height: size, width: size) }

    /// The hash of make_graph_fixtures.py.
    private func fill(_ array: Int, _ count: Int) -> [Float] {
        (0 ..< count).map { index in
            var hash = UInt32(truncatingIfNeeded: seed) &* 0x9E37_79B1
            hash &+= UInt32(array) &* 0x85EB_CA6B &+ UInt32(index) &* 0xC2B2_AE35
            hash = (hash ^ hash >> 16) &* 0x7FEB_352D
            hash = (hash ^ hash >> 15) &* 0x846C_A68B
            hash ^= hash >> 16
            return Float(hash >> 8) / 0x1p23 - 1
        }
    }

    func input(examples: Int) -> Batch {
        Batch(lasting(fill(0, examples * shape.count)), count: examples, shape: shape)
    }

    func slopes(of network: Network, _ examples: Int) -> Batch {
        Batch(lasting(fill(1, examples * network.outputShape.count)), count: examples, shape: network.outputShape)
    }

    /// The network with the parameters of the seed.
    func network(capacity: Int, shards: Int = 1, halves: Int = 1) throws -> Network {
        let network = lasting(
            try Network(
                layers, input: shape, capacity: capacity, shards: shards, halves: halves, name: "n",
                penalised: penalised))
        for (number, entry) in network.store.entries.enumerated() {
            let sizes = entry.specification.dimensions
            let fan =
                switch entry.specification.layout {
                case "IO": sizes[0]
                case "HWIO": sizes[0] * sizes[1] * sizes[2]
                case "HWOI": sizes[0] * sizes[1] * sizes[3]
                default: entry.specification.name == "values" ? 1 : 0
                }
            var factor: Float = fan == 0 ? 0.5 : 1
            while fan > 0, 3 / (factor * factor) < Float(fan) { factor /= 2 }
            let start: Float = entry.specification.name == "scale" ? 1 : 0
            let values = fill(10 + number, entry.range.count).map { start + factor * $0 }
            network.store.values.values[entry.range].copy(from: lasting(values))
        }
        return network
    }

    /// Takes as many values off `results` as `arrays` have. An array that nearly cancels has the digits of the others.
    func compare(_ arrays: [Floats], _ results: inout ArraySlice<Float>, _ what: String) {
        let expected = arrays.map { array in
            defer { results = results.dropFirst(array.count) }
            return Array(results.prefix(array.count)).map(Double.init)
        }
        func norm(_ values: some Sequence<Double>) -> Double { values.reduce(0) { $0 + $1 * $1 }.squareRoot() }
        let all = norm(expected.joined())
        for (number, (array, expected)) in zip(arrays, expected).enumerated() {
            let apart = norm(zip(array.array, expected).map { Double($0) - $1 })
            #expect(
                apart <= 1e-5 * (norm(expected) + all / 100),
                "\(self): \(what) \(number) is \(apart) of \(norm(expected))")
        }
    }
}
