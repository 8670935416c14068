import Kernels
import Support

/// y[u] = max_p z[u, p], z = x W + b: Goodfellow et al. 2013, eq. 1. The gradient goes to the piece that won, the
/// first of equals.
///
/// N examples, I inputs, U units of P pieces: x [N, I], W `weight` [I, U · P] and b `bias` [U · P] with the pieces of
/// a unit side by side, y [N, U].
public struct Maxout: TangentLayer {
    public let units: Int
    public let pieces: Int
    public let weights: Initialiser
    public let biases: Initialiser
    /// Whether W is divided by its spectral norm.
    public let isSpectral: Bool

    public init(
        units: Int, pieces: Int, weights: Initialiser = .glorot, biases: Initialiser = .zero,
        isSpectral: Bool = false
    ) {
        self.units = units
        self.pieces = pieces
        self.weights = weights
        self.biases = biases
        self.isSpectral = isSpectral
    }

    public init(_ settings: any LayerSettings) throws(Failure) {
        units = try settings.integer("units", 1 ... 1 << 24, meaning: "values of the output")
        pieces = try settings.integer("pieces", 1 ... 255, meaning: "values of which one output is the largest")
        weights = try settings.initialiser("weights", default: .glorot, meaning: "how the weights start")
        biases = try settings.initialiser("bias", default: .zero, meaning: "how the biases start")
        isSpectral = try settings.spectral()
    }

    public var name: String { "maxout" }

    public func outputShape(for input: Shape) throws(ShapeError) -> Shape {
        try requireAtLeastOne(units, "units")
        try requireAtLeastOne(pieces, "pieces")
        _ = try requireVector(input)
        return .vector(units)
    }

    public func parameters(for input: Shape) -> [ParameterSpec] {
        linearParameters(
            input: input.count, outputs: units * pieces, hasBias: true, weights: weights, biases: biases,
            isSpectral: isSpectral)
    }

    public var joinsParts: Bool { true }

    /// The number of the piece that won, for each unit.
    public func savedCount(for input: Shape, batch: Int) -> Int { batch * units }

    /// z in forward, its gradient in backward, and what their products need.
    public func scratchCount(for input: Shape, batch: Int) -> Int {
        batch * units * pieces + linearProduct(rows: batch, inputs: input.count, outputs: units * pieces).scratchCount
    }

    public func forward(_ input: Batch, into output: Batch, _ memory: LayerMemory, mode: Mode) {
        let (maps, scratch) = split(memory.scratch, for: output)
        multiplyRows(input, memory.parameters, hasBias: true, into: maps, scratch: scratch)
        MaxoutKernels.forward(
            maps, pieces: pieces, into: output.values, winners: memory.saved[0 ..< output.values.count])
    }

    public func backward(
        _ outputGradient: Batch, input: Batch, output: Batch,
        into inputGradient: Batch?, _ memory: LayerMemory, parameterGradients: Bool
    ) {
        let (mapGradients, scratch) = split(memory.scratch, for: output)
        MaxoutKernels.backward(
            outputGradient.values, winners: memory.saved[0 ..< output.values.count],
            pieces: pieces, into: mapGradients)
        multiplyRowsBackward(
            mapGradients, input: input, memory, hasBias: true,
            into: inputGradient, parameterGradients: parameterGradients, scratch: scratch)
    }

    public func tangent(
        _ inputTangent: Batch, input: Batch, output: Batch, into outputTangent: Batch, _ memory: LayerMemory
    ) {
        let (maps, scratch) = split(memory.scratch, for: output)
        multiplyRows(inputTangent, memory.parameters, hasBias: false, into: maps, scratch: scratch)
        MaxoutKernels.select(
            maps, winners: memory.saved[0 ..< output.values.count], pieces: pieces, into: outputTangent.values)
    }

    private func split(_ scratch: Floats, for output: Batch) -> (maps: Floats, rest: Floats) {
        let count = output.values.count * pieces
        return (scratch[0 ..< count], scratch[count ..< scratch.count])
    }

    public func operators(
        _ x: OperatorValue, from input: Shape, in graph: any OperatorGraph
    ) -> OperatorValue? {
        graph.maximum(of: graph.linear(x, hasBias: true), shape: [0, units, pieces])
    }
}
