import Kernels
@testable import Nets
import Testing

/// What a penalty asks of each layer alone.
@Suite struct TangentTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let layer: any Layer
        let input: Shape
        var testDescription: String { "\(layer.name) of \(input)" }

        init(_ layer: any Layer, _ input: Shape) { (self.layer, self.input) = (layer, input) }
    }

    private static let image = Shape.image(height: 5, width: 7, channels: 6)

    private static let cases: [Case] = [
        Case(Dense(units: 11), .vector(7)), Case(Dense(units: 40, hasBias: false), .vector(24)),
        Case(Maxout(units: 5, pieces: 3), .vector(9)), Case(ChannelMaxout(pieces: 3), image),
        Case(Convolution2D(channels: 4, kernel: 3, stride: 2), image),
        Case(Convolution2D(channels: 5, kernel: Extent(height: 2, width: 4), padding: .valid), image),
        Case(Convolution2D(channels: 64, kernel: 4, stride: 2), .image(height: 16, width: 16, channels: 32)),
        Case(TransposedConvolution2D(channels: 3, kernel: 4, stride: 2), image),
        Case(
            TransposedConvolution2D(channels: 8, kernel: 4, padding: .valid), .image(height: 1, width: 1, channels: 9)),
        Case(ReLU(), image), Case(LeakyReLU(slope: 0.2), image), Case(Sigmoid(), image), Case(Tanh(), image),
        Case(Softplus(), image), Case(Pooling2D(.maximum, size: 3, stride: 2, edge: .partial), image),
        Case(Pooling2D(.mean, size: 3, stride: 2, edge: .partial), image),
        Case(Pooling2D(.mean, size: 2, stride: 2), image), Case(Pooling2D(.sum, size: 2, stride: 2), image),
        Case(ZeroPadding(pixels: 2), image),
        Case(Reshape(to: .vector(210)), image), Case(Flatten(), image), Case(Dropout(keepProbability: 0.6), image),
        Case(LayerNormalisation(), image), Case(LayerNormalisation(epsilon: 0.1), .vector(13)),
        Case(Constant(shape: .vector(3)), image), Case(AppliedBeside(name: "relu"), image),
        Case(Convolution2D(channels: 9, kernel: 3, groups: 3), image),
        Case(Convolution2D(channels: 32, kernel: 3, groups: 2), .image(height: 6, width: 9, channels: 32)),
        Case(Convolution2D(channels: 4, kernel: 4, stride: 2, groups: 2), image),
        Case(Convolution2D(channels: 6, kernel: Extent(height: 3, width: 2), padding: .valid, groups: 6), image),
        Case(Resample2D(.nearest, factor: 3), image), Case(Resample2D(.linear, factor: 2), image),
        Case(Resample2D(.mean, factor: 3), image), Case(Resample2D(.binomialUp), image),
        Case(Resample2D(.binomialDown), image), Case(GroupNormalisation(groups: 2), image),
        Case(GroupNormalisation(groups: 5), .vector(20)), Case(GroupNormalisation(groups: nil), image),
        Case(PixelNormalisation(), image), Case(PixelNormalisation(), .vector(13)), Case(GELU(), image),
        Case(SiLU(), image), Case(SelfAttention(), .image(height: 5, width: 6, channels: 16)),
        Case(Basis(height: 3, width: 2, channels: 9), .vector(7)), Case(ScaleShift(), image),
        Case(ScaleShift(shift: nil), .vector(9)), Case(ScaleShift(scale: nil), image),
        Case(
            WidenedConvolution2D(convolution: Convolution2D(channels: 4, kernel: 3), resample: Resample2D(.nearest)),
            image),
        Case(
            PointwiseResampling(
                convolution: Convolution2D(channels: 4, kernel: 1), resample: Resample2D(.binomialUp)),
            image),
        Case(
            PointwiseResampling(convolution: Convolution2D(channels: 4, kernel: 1), resample: Resample2D(.mean)),
            image
        ),
    ]

    /// ⟨e, J t⟩ = ⟨Jᵀ e, t⟩: the tangent belongs to the layer's own backward.
    @Test(arguments: cases)
    private func theTangentIsTheAdjointOfBackward(of tested: Case) throws {
        let layer = try OneLayer(tested.layer, tested.input)
        let t = normal(layer.input.values.count, step: 1), e = normal(layer.output.values.count, step: 2)
        let tangent = layer.tangent(t), back = layer.backward(e)
        let left = dot(e, tangent), right = dot(back, t)
        let scale = (dot(e, e) * dot(tangent, tangent)).squareRoot()
        #expect(abs(left - right) <= 1e-6 * scale, "\(tested.layer.name): ⟨e, J t⟩ = \(left), ⟨Jᵀ e, t⟩ = \(right)")
        #expect(scale > 0 || tested.layer is Constant, "\(tested.layer.name): nothing was tested")
        #expect(layer.tangent(t).array == tangent.array, "\(tested.layer.name): the tangent changed what it read")
    }

    struct Curved: Sendable, CustomTestStringConvertible {
        let layer: any TangentLayer
        let input: Shape
        /// Of the parameters: with those of 1 attention is so sharp that differences have no digits.
        var deviation: Float = 1
        /// The layer in double, for one example; `parameters` are the network's.
        let function: @Sendable (_ x: [Double], _ parameters: [[Double]]) -> [Double]
        var testDescription: String { "\(layer.name) of \(input)" }
    }

    private static let curved: [Curved] = [
        Curved(layer: Sigmoid(), input: .vector(21)) { x, _ in x.map(Naive.sigmoid) },
        Curved(layer: Tanh(), input: .vector(21)) { x, _ in x.map(Naive.tanh) },
        Curved(layer: Softplus(), input: .vector(21)) { x, _ in x.map(Naive.softplus) },
        Curved(layer: GELU(), input: .vector(21)) { x, _ in x.map(Naive.gelu) },
        Curved(layer: SiLU(), input: .vector(21)) { x, _ in x.map(Naive.silu) },
        Curved(layer: GroupNormalisation(groups: 3), input: .vector(12)) { x, p in
            Naive.groupNormalisation(x, groups: 3, p[0], p[1])
        },
        Curved(layer: GroupNormalisation(groups: 2), input: .image(height: 3, width: 2, channels: 6)) { x, p in
            Naive.groupNormalisation(x, groups: 2, p[0], p[1])
        },
        Curved(layer: GroupNormalisation(groups: nil), input: .image(height: 3, width: 4, channels: 3)) { x, p in
            Naive.groupNormalisation(x, groups: 3, p[0], p[1])
        },
        Curved(layer: PixelNormalisation(), input: .image(height: 2, width: 2, channels: 5)) { x, _ in
            Naive.pixelNormalisation(x, channels: 5)
        },
        Curved(layer: SelfAttention(), input: .image(height: 4, width: 3, channels: 8), deviation: 0.4) { x, p in
            Naive.selfAttention(x, p, height: 4, width: 3)
        },
        Curved(layer: LayerNormalisation(), input: .vector(13)) { x, p in Naive.layerNormalisation(x, p[0], p[1]) },
        Curved(layer: LayerNormalisation(), input: .image(height: 3, width: 2, channels: 3)) { x, p in
            Naive.layerNormalisation(x, p[0], p[1])
        },
    ]

    /// c = ∂⟨e, J(x) t⟩ / ∂x against second differences of ⟨e, f(x)⟩ along t and along each value.
    @Test(arguments: curved)
    private func curvatureIsTheSecondDifference(of tested: Curved) throws {
        let layer = try OneLayer(tested.layer, tested.input, deviation: tested.deviation), count = tested.input.count
        let parameters = layer.network.store.entries.map {
            layer.network.store.values.values[$0.range].array.map(Double.init)
        }
        let t = normal(layer.input.values.count, step: 1), e = normal(layer.output.values.count, step: 2)
        var expected: [Float] = []
        let h = 1e-4
        for example in 0 ..< layer.input.count {
            let x = layer.input[example].array.map(Double.init)
            let (direction, weights) = (slice(t, example, count), slice(e, example, count))
            func value(_ along: Double, _ index: Int, _ step: Double) -> Double {
                var moved = zip(x, direction).map { $0 + along * $1 }
                moved[index] += step
                return zip(weights, tested.function(moved, parameters)).reduce(0) { $0 + $1.0 * $1.1 }
            }
            for index in 0 ..< count {
                let difference = value(h, index, h) - value(h, index, -h) - value(-h, index, h) + value(-h, index, -h)
                expected.append(Float(difference / (4 * h * h)))
            }
        }
        let sum = lasting(Array(repeating: .nan, count: expected.count))
        layer.curvature(e, t, into: sum, adding: false)
        expectClose(sum, expected, tolerance: 5e-6, "\(tested.layer.name): curvature")
        layer.curvature(e, t, into: sum, adding: true)
        expectClose(sum, expected.map { 2 * $0 }, tolerance: 5e-6, "\(tested.layer.name): curvature, added")
    }

    /// Every parameter's and input's gradient of ⟨e, f(x)⟩ against differences of the definition, in double: over
    /// distances at which a float has digits, maxima change.
    @Test func gradientsOfAttentionAreDifferencesOfTheDefinition() throws {
        let shape = Shape.image(height: 4, width: 3, channels: 8)
        let layer = try OneLayer(SelfAttention(), shape, deviation: 0.4), e = normal(3 * shape.count, step: 2)
        let entries = layer.network.store.entries, values = layer.network.store.values.values
        var parameters = entries.map { values[$0.range].array.map(Double.init) }
        var inputs = (0 ..< 3).map { layer.input[$0].array.map(Double.init) }
        func cost() -> Double {
            (0 ..< 3).reduce(0) { sum, example in
                let y = Naive.selfAttention(inputs[example], parameters, height: 4, width: 3)
                return sum + zip(y, slice(e, example, shape.count)).reduce(0) { $0 + $1.0 * $1.1 }
            }
        }
        func slope(_ move: (Double) -> Void) -> Float {
            let h = 1e-6
            move(h)
            let above = cost()
            move(-2 * h)
            let below = cost()
            move(h)
            return Float((above - below) / (2 * h))
        }
        let flat = lasting(Array(repeating: .nan, count: layer.network.store.count))
        let inputGradient = try #require(
            try layer.network.backward(
                from: Batch(e, count: 3, shape: shape), parameters: values, into: flat, inputGradient: true))
        for (number, entry) in entries.enumerated() {
            let expected = parameters[number].indices.map { index in slope { parameters[number][index] += $0 } }
            expectClose(flat[entry.range], expected, tolerance: 1e-5, entry.name)
        }
        let expected = (0 ..< 3).flatMap { n in inputs[n].indices.map { index in slope { inputs[n][index] += $0 } } }
        expectClose(inputGradient.values, expected, tolerance: 1e-5, "input")
    }

    /// The layers' own slopes hold where the output of the activation has no digits left.
    @Test func softplusIsExactFarFromZero() throws {
        let x = lasting([-80, -20, -5, 0, 5, 20, 80]), ones = lasting(Array(repeating: 1, count: 7))
        let slopes = lasting(Array(repeating: 0, count: 7)), bends = lasting(Array(repeating: 0, count: 7))
        Activations.softplusGradient(ones, input: x, into: slopes)
        Activations.softplusCurvature(ones, tangent: ones, input: x, into: bends, adding: false)
        for index in 0 ..< 7 {
            let s = Naive.sigmoid(Double(x[index])), bend = s * Naive.sigmoid(-Double(x[index]))
            #expect(abs(Double(slopes[index]) / s - 1) < 1e-6 && abs(Double(bends[index]) / bend - 1) < 1e-6)
        }
    }

    private func slice(_ values: Floats, _ example: Int, _ count: Int) -> [Double] {
        values[example * count ..< (example + 1) * count].array.map(Double.init)
    }
}

/// A network of one layer after a forward of three examples in training, with random parameters.
private struct OneLayer {
    let network: Network
    let input: Batch
    let output: Batch

    init(_ layer: any Layer, _ shape: Shape, deviation: Float = 1) throws {
        network = lasting(try Network([layer], input: shape, capacity: 3, name: "n", penalised: true))
        for (number, entry) in network.store.entries.enumerated() {
            let values = normal(entry.range.count, step: 10 + number)
            for index in 0 ..< values.count { values[index] *= deviation }
            network.store.values.values[entry.range].copy(from: values)
        }
        _ = try network.forward(
            Batch(normal(3 * shape.count, step: 0), count: 3, shape: shape), parameters: network.store.values.values,
            mode: training())
        (input, output) = network.ends(0)
    }

    private var memory: LayerMemory { network.memory(0, 0 ..< 1, network.store.values.values) }

    func tangent(_ t: Floats) -> Floats {
        let result = lasting(Array(repeating: .nan, count: output.values.count))
        network.penaltyPlan!.layers[0].tangent(
            Batch(t, count: 3, shape: input.shape), input: input, output: output,
            into: Batch(result, count: 3, shape: output.shape), memory)
        return result
    }

    func backward(_ e: Floats) -> Floats {
        let result = lasting(Array(repeating: .nan, count: input.values.count))
        network.layers[0].backward(
            Batch(e, count: 3, shape: output.shape), input: input, output: output,
            into: Batch(result, count: 3, shape: input.shape), memory, parameterGradients: false)
        return result
    }

    func curvature(_ e: Floats, _ t: Floats, into sum: Floats, adding: Bool) {
        network.penaltyPlan!.layers[0].curvature(
            Batch(e, count: 3, shape: output.shape), tangent: Batch(t, count: 3, shape: input.shape), input: input,
            output: output, into: Batch(sum, count: 3, shape: input.shape), adding: adding, memory)
    }
}

/// Normal values, the same for the same `step`.
func normal(_ count: Int, step: Int) -> Floats {
    let values = lasting(Array(repeating: 0, count: count))
    Draws(seed: 9, purpose: .synthetic, step: step).fillNormal(values, samples: 1)
    return values
}

func dot(_ a: Floats, _ b: Floats) -> Double {
    (0 ..< a.count).reduce(0) { $0 + Double(a[$1]) * Double(b[$1]) }
}
