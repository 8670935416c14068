import Kernels
import Support

/// s = w·φ + b + ⟨E(c), φ⟩: the last layer of a discriminator that judges an example x together with its condition c,
/// φ the features of x (Miyato & Koyama 2018, arXiv:1802.05637, eq. 3).
///
/// N examples, I features: φ [N, I], w `weight` [I, 1], E `embedding` [classes, I], b `bias` [1], s [N, 1]. Where the
/// condition is a vector, E(c) = c E of a matrix [numbers, I]. For a given c it is a linear map of φ.
public struct Projection: TangentLayer, ConditionalLayer {
    public let condition: Condition
    public let hasBias: Bool
    public let weights: Initialiser
    public let embedding: Initialiser
    public let biases: Initialiser
    /// Whether w and E are each divided by their spectral norm, as in the source's code.
    public let isSpectral: Bool

    public init(
        of condition: Condition, hasBias: Bool = true, weights: Initialiser = .glorot, embedding: Initialiser = .glorot,
        biases: Initialiser = .zero, isSpectral: Bool = false
    ) {
        self.condition = condition
        self.hasBias = hasBias
        self.weights = weights
        self.embedding = embedding
        self.biases = biases
        self.isSpectral = isSpectral
    }

    public init(_ settings: any LayerSettings) throws(Failure) {
        weights = try settings.initialiser("weights", default: .glorot, meaning: "how w starts")
        embedding = try settings.initialiser("embedding", default: .glorot, meaning: "how E starts")
        let bias = try settings.bias()
        (hasBias, biases) = (bias != nil, bias ?? .zero)
        isSpectral = try settings.spectral()
        condition = try settings.condition()
    }

    public var name: String { "projection" }

    public func outputShape(for input: Shape) throws(ShapeError) -> Shape {
        _ = try requireVector(input)
        return .vector(1)
    }

    public func parameters(for input: Shape) -> [ParameterSpec] {
        let linear = linearParameters(
            input: input.count, outputs: 1, hasBias: hasBias, weights: weights, biases: biases, isSpectral: isSpectral)
        let table = condition.table(
            "embedding", size: input.count, initialiser: embedding, isSpectral: isSpectral)
        return [linear[0], table] + linear.dropFirst()
    }

    /// w + E(c) of one example, or a slope times φ.
    public func scratchCount(for input: Shape, batch: Int) -> Int { input.count }

    public func forward(_ input: Batch, into output: Batch, _ memory: LayerMemory, mode: Mode) {
        multiply(input, into: output, memory, bias: hasBias ? memory.parameters[2][0] : 0)
    }

    public func backward(
        _ outputGradient: Batch, input: Batch, output: Batch,
        into inputGradient: Batch?, _ memory: LayerMemory, parameterGradients: Bool
    ) {
        let row = memory.scratch[0 ..< input.shape.count]
        if parameterGradients {
            let ofWeight = memory.gradientToAdd(0), ofTable = memory.gradientToAdd(1)
            for number in 0 ..< input.count {
                let slope = outputGradient.values[number], features = input[number]
                for index in 0 ..< row.count { row[index] = slope * features[index] }
                Reductions.add(row, to: ofWeight)
                condition.addGradient(row, of: number, in: memory.condition, toTable: ofTable)
            }
            if hasBias { memory.addBiasGradient(outputGradient.values, 2) }
        }
        guard let inputGradient else { return }
        for number in 0 ..< input.count {
            let slope = outputGradient.values[number], target = inputGradient[number]
            weight(of: number, memory, into: row)
            for index in 0 ..< row.count { target[index] = slope * row[index] }
        }
    }

    public func tangent(
        _ inputTangent: Batch, input: Batch, output: Batch, into outputTangent: Batch, _ memory: LayerMemory
    ) {
        multiply(inputTangent, into: outputTangent, memory, bias: 0)
    }

    private func multiply(_ input: Batch, into output: Batch, _ memory: LayerMemory, bias: Float) {
        let row = memory.scratch[0 ..< input.shape.count]
        for number in 0 ..< input.count {
            weight(of: number, memory, into: row)
            output.values[number] = Float(Reductions.product(input[number], row)) + bias
        }
    }

    /// w + E(c).
    private func weight(of number: Int, _ memory: LayerMemory, into row: Floats) {
        row.copy(from: memory.parameters[0])
        condition.addEmbedding(of: number, in: memory.condition, table: memory.parameters[1], to: row)
    }

    public func operators(
        _ x: OperatorValue, from input: Shape, in graph: any OperatorGraph
    ) -> OperatorValue? {
        let embedding = condition.embedding(graph.parameter(1), in: graph)
        let sum = graph.node(
            "ReduceSum", [graph.node("Mul", [embedding, x]), graph.constant([1])], ["keepdims": .integer(1)])
        let projected = graph.node("Add", [graph.node("MatMul", [x, graph.parameter(0)]), sum])
        return hasBias ? graph.node("Add", [projected, graph.parameter(2)]) : projected
    }
}
