import Kernels
import Support

/// y = γ · A V W_o + x, A = softmax over j of (Q Kᵀ)[i, j]: Zhang et al. 2019 (SAGAN, arXiv:1805.08318), §3, with its
/// code's halved positions.
///
/// Of an example's P = H · W pixels X [P, C]: queries Q = X W_q [P, C/8]; keys K = pool(X W_k) [P′, C/8] and values
/// V = pool(X W_v) [P′, C/2], of which the largest of 2 × 2 pixels remain, P′ = ⌊H/2⌋ · ⌊W/2⌋. x and y [N, H, W, C];
/// `query` and `key` [1, 1, C, C/8], `value` [1, 1, C, C/2], `output` [1, 1, C/2, C] (1 × 1 kernels, HWIO, no biases)
/// and `gamma` [1], which starts at 0: at first y = x.
public struct SelfAttention: TangentLayer {
    public let weights: Initialiser
    public let gamma: Initialiser
    /// Whether the four weights are divided by their spectral norms.
    public let isSpectral: Bool

    public init(weights: Initialiser = .glorot, gamma: Initialiser = .zero, isSpectral: Bool = false) {
        (self.weights, self.gamma, self.isSpectral) = (weights, gamma, isSpectral)
    }

    public init(_ settings: any LayerSettings) throws(Failure) {
        weights = try settings.initialiser("weights", default: .glorot, meaning: "how the four weights start")
        gamma = try settings.initialiser(
            "gamma", default: .zero, meaning: "how the factor of what attention adds starts")
        isSpectral = try settings.spectral()
    }

    public var name: String { "self_attention" }

    public func outputShape(for input: Shape) throws(ShapeError) -> Shape {
        let (height, width, channels) = try requireImage(input)
        guard channels % 8 == 0 else { throw ShapeError("it wants a multiple of 8 channels") }
        guard min(height, width) >= 2 else { throw ShapeError("it wants at least 2 × 2 pixels") }
        return input
    }

    public func parameters(for input: Shape) -> [ParameterSpec] {
        let sizes = AttentionSizes(input)
        func weight(_ name: String, _ inputs: Int, _ outputs: Int) -> ParameterSpec {
            ParameterSpec(
                name, [1, 1, inputs, outputs], layout: "HWIO", initialiser: weights, fanIn: inputs, fanOut: outputs,
                isSpectral: isSpectral)
        }
        return [
            weight("query", sizes.channels, sizes.small), weight("key", sizes.channels, sizes.small),
            weight("value", sizes.channels, sizes.half), weight("output", sizes.half, sizes.channels),
            ParameterSpec("gamma", [1], layout: "C", initialiser: gamma, fanIn: 1, fanOut: 1),
        ]
    }

    /// Multiplications of the products of one example, forward.
    public func multiplications(for input: Shape) -> Int {
        let sizes = AttentionSizes(input)
        return sizes.positions * (sizes.channels * (2 * sizes.small + 2 * sizes.half))
            + sizes.positions * sizes.pooled * (sizes.small + sizes.half)
    }

    public func savedCount(for input: Shape, batch: Int) -> Int { batch * AttentionSizes(input).savedCount }
    public func scratchCount(for input: Shape, batch: Int) -> Int { AttentionSizes(input).scratchCount }

    public func forward(_ input: Batch, into output: Batch, _ memory: LayerMemory, mode: Mode) {
        for example in 0 ..< input.count {
            OneAttention(input, example, memory).forward(into: output[example])
        }
    }

    public func backward(
        _ outputGradient: Batch, input: Batch, output: Batch,
        into inputGradient: Batch?, _ memory: LayerMemory, parameterGradients: Bool
    ) {
        let gradients = parameterGradients ? AttentionGradients(memory) : nil
        for example in 0 ..< input.count {
            OneAttention(input, example, memory).backward(
                outputGradient[example], into: inputGradient?[example], gradients)
        }
    }

    public func tangent(
        _ inputTangent: Batch, input: Batch, output: Batch, into outputTangent: Batch, _ memory: LayerMemory
    ) {
        for example in 0 ..< input.count {
            OneAttention(input, example, memory).tangent(inputTangent[example], into: outputTangent[example])
        }
    }

    public var hasCurvature: Bool { true }

    public func curvature(
        _ outputGradient: Batch, tangent: Batch, input: Batch, output: Batch, into inputGradient: Batch, adding: Bool,
        _ memory: LayerMemory
    ) {
        for example in 0 ..< input.count {
            OneAttention(input, example, memory).curvature(
                outputGradient[example], tangent: tangent[example], into: inputGradient[example], adding: adding)
        }
    }

    public func tangentGradients(
        _ outputGradient: Batch, tangent: Batch, input: Batch, output: Batch, _ memory: LayerMemory
    ) {
        let gradients = AttentionGradients(memory)
        for example in 0 ..< input.count {
            OneAttention(input, example, memory).tangentGradients(
                outputGradient[example], tangent: tangent[example], weight: memory.rowWeights[example ..< example + 1],
                gradients)
        }
    }

    public func operators(
        _ x: OperatorValue, from input: Shape, in graph: any OperatorGraph
    ) -> OperatorValue? {
        let sizes = AttentionSizes(input)
        func convolution(_ x: OperatorValue, _ index: Int) -> OperatorValue {
            graph.node("Conv", [x, graph.parameter(index, order: [3, 2, 0, 1])])
        }
        /// [N, channels, positions], pooled or not.
        func rows(_ index: Int, _ channels: Int, pooled: Bool) -> OperatorValue {
            var maps = convolution(x, index)
            if pooled {
                let sides = OperatorAttribute.integers([2, 2])
                maps = graph.node("MaxPool", [maps], ["kernel_shape": sides, "strides": sides])
            }
            return graph.node("Reshape", [maps, graph.constant([0, channels, -1])])
        }
        func transposed(_ matrices: OperatorValue) -> OperatorValue {
            graph.node("Transpose", [matrices], ["perm": .integers([0, 2, 1])])
        }
        let queries = transposed(rows(0, sizes.small, pooled: false)), keys = rows(1, sizes.small, pooled: true)
        let weights = graph.node("Softmax", [graph.node("MatMul", [queries, keys])], ["axis": .integer(-1)])
        let means = graph.node("MatMul", [weights, transposed(rows(2, sizes.half, pooled: true))])
        let images = graph.node(
            "Reshape", [transposed(means), graph.constant([0, sizes.half] + input.dimensions.dropLast())])
        return graph.node("Add", [graph.node("Mul", [convolution(images, 3), graph.parameter(4)]), x])
    }
}
