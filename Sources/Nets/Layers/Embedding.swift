import Kernels
import Support

/// y = [x, E(c)]: an embedding of the example's condition c joined to a vector; of an image, as further channels that
/// are the same in every pixel.
///
/// N examples, C channels (values of a vector), S `size`: x [N, …, C], y [N, …, C + S]. E is a table `embedding`
/// [classes, S]; where the condition is a vector, E(c) = c E of a matrix [numbers, S]. In a generator behind the latent
/// z (Mirza & Osindero 2014), in a discriminator as channels of the image (Reed et al. 2016).
public struct Embedding: TangentLayer, ConditionalLayer {
    public let size: Int
    public let condition: Condition
    public let weights: Initialiser
    public let isSpectral: Bool

    public init(size: Int, of condition: Condition, weights: Initialiser = .normal(1), isSpectral: Bool = false) {
        self.size = size
        self.condition = condition
        self.weights = weights
        self.isSpectral = isSpectral
    }

    public init(_ settings: any LayerSettings) throws(Failure) {
        size = try settings.integer("size", 1 ... 1 << 20, meaning: "values that are joined to the input, or channels")
        weights = try settings.initialiser("weights", default: .normal(1), meaning: "how the embedding starts")
        isSpectral = try settings.spectral()
        condition = try settings.condition()
    }

    public var name: String { "embedding" }

    public func outputShape(for input: Shape) throws(ShapeError) -> Shape {
        try requireAtLeastOne(size, "size")
        return JoinedChannels.outputShape(for: input, adding: size)
    }

    public func parameters(for input: Shape) -> [ParameterSpec] {
        [condition.table("embedding", size: size, initialiser: weights, isSpectral: isSpectral)]
    }

    /// E(c) of one example, or the gradient with respect to it.
    public func scratchCount(for input: Shape, batch: Int) -> Int { size }

    public func forward(_ input: Batch, into output: Batch, _ memory: LayerMemory, mode: Mode) {
        let values = memory.scratch[0 ..< size]
        JoinedChannels.copy(input, into: output)
        for row in 0 ..< input.count {
            values.fill(0)
            condition.addEmbedding(of: row, in: memory.condition, table: memory.parameters[0], to: values)
            JoinedChannels.set(values, in: output[row], channels: output.shape.channels)
        }
    }

    public func backward(
        _ outputGradient: Batch, input: Batch, output: Batch,
        into inputGradient: Batch?, _ memory: LayerMemory, parameterGradients: Bool
    ) {
        if let inputGradient { JoinedChannels.copy(outputGradient, into: inputGradient) }
        guard parameterGradients else { return }
        let target = memory.gradientToAdd(0), sums = memory.scratch[0 ..< size]
        let channels = outputGradient.shape.channels
        for row in 0 ..< input.count {
            let gradient = outputGradient[row]
            sums.fill(0)
            for start in stride(from: channels - size, to: gradient.count, by: channels) {
                for index in 0 ..< size { sums[index] += gradient[start + index] }
            }
            if memory.rowWeights.count > 0 {
                for index in 0 ..< size { sums[index] *= memory.rowWeights[row] }
            }
            condition.addGradient(sums, of: row, in: memory.condition, toTable: target)
        }
    }

    public func tangent(
        _ inputTangent: Batch, input: Batch, output: Batch, into outputTangent: Batch, _ memory: LayerMemory
    ) {
        JoinedChannels.tangent(inputTangent, into: outputTangent)
    }

    public func operators(
        _ x: OperatorValue, from input: Shape, in graph: any OperatorGraph
    ) -> OperatorValue? {
        JoinedChannels.operators(
            x, condition.embedding(graph.parameter(0), in: graph), count: size, from: input, in: graph)
    }
}
