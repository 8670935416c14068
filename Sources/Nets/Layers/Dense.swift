import Kernels
import Support

/// y = x W + b.
///
/// N examples, I inputs, O units: x [N, I], W `weight` [I, O], b `bias` [O], y [N, O].
public struct Dense: TangentLayer {
    public let units: Int
    public let hasBias: Bool
    public let weights: Initialiser
    public let biases: Initialiser
    /// Whether W is divided by its spectral norm.
    public let isSpectral: Bool

    public init(
        units: Int, hasBias: Bool = true, weights: Initialiser = .glorot, biases: Initialiser = .zero,
        isSpectral: Bool = false
    ) {
        self.units = units
        self.hasBias = hasBias
        self.weights = weights
        self.biases = biases
        self.isSpectral = isSpectral
    }

    public init(_ settings: any LayerSettings) throws(Failure) {
        units = try settings.integer("units", 1 ... 1 << 24, meaning: "values of the output")
        weights = try settings.initialiser("weights", default: .glorot, meaning: "how the weights start")
        let bias = try settings.bias()
        (hasBias, biases) = (bias != nil, bias ?? .zero)
        isSpectral = try settings.spectral()
    }

    public var name: String { "dense" }

    public func outputShape(for input: Shape) throws(ShapeError) -> Shape {
        try requireAtLeastOne(units, "units")
        _ = try requireVector(input)
        return .vector(units)
    }

    public func parameters(for input: Shape) -> [ParameterSpec] {
        linearParameters(
            input: input.count, outputs: units, hasBias: hasBias, weights: weights, biases: biases,
            isSpectral: isSpectral)
    }

    public var joinsParts: Bool { true }

    public func algorithm(for input: Shape, batch: Int) -> String? {
        linearProduct(rows: batch, inputs: input.count, outputs: units).algorithmName
    }

    public func scratchCount(for input: Shape, batch: Int) -> Int {
        linearProduct(rows: batch, inputs: input.count, outputs: units).scratchCount
    }

    public func forward(_ input: Batch, into output: Batch, _ memory: LayerMemory, mode: Mode) {
        multiplyRows(input, memory.parameters, hasBias: hasBias, into: output.values, scratch: memory.scratch)
    }

    public func backward(
        _ outputGradient: Batch, input: Batch, output: Batch,
        into inputGradient: Batch?, _ memory: LayerMemory, parameterGradients: Bool
    ) {
        multiplyRowsBackward(
            outputGradient.values, input: input, memory, hasBias: hasBias,
            into: inputGradient, parameterGradients: parameterGradients, scratch: memory.scratch)
    }

    public func tangent(
        _ inputTangent: Batch, input: Batch, output: Batch, into outputTangent: Batch, _ memory: LayerMemory
    ) {
        multiplyRows(
            inputTangent, memory.parameters, hasBias: false, into: outputTangent.values, scratch: memory.scratch)
    }

    public func operators(
        _ x: OperatorValue, from input: Shape, in graph: any OperatorGraph
    ) -> OperatorValue? {
        graph.linear(x, hasBias: hasBias)
    }
}
