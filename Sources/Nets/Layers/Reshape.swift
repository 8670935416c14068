import Kernels
import Support

/// The same values under another shape.
public struct Reshape: DiagonalLayer {
    public let shape: Shape

    public init(to shape: Shape) { self.shape = shape }

    public init(_ settings: any LayerSettings) throws(Failure) {
        shape = try settings.shape("shape", meaning: "the shape of the output")
    }

    public var name: String { "reshape" }
    public var outputMemory: OutputMemory { .input }

    public func outputShape(for input: Shape) throws(ShapeError) -> Shape {
        try shape.requirePositive()
        guard input.count == shape.count else {
            throw ShapeError("\(shape) wants \(shape.count) values, not \(input.count)")
        }
        return shape
    }

    public func forward(_ input: Batch, into output: Batch, _ memory: LayerMemory, mode: Mode) {
        copyIfElsewhere(input.values, to: output.values)
    }

    public func backward(
        _ outputGradient: Batch, input: Batch, output: Batch,
        into inputGradient: Batch?, _ memory: LayerMemory, parameterGradients: Bool
    ) {
        if let inputGradient { copyIfElsewhere(outputGradient.values, to: inputGradient.values) }
    }

    public func operators(
        _ x: OperatorValue, from input: Shape, in graph: any OperatorGraph
    ) -> OperatorValue? {
        graph.reshaped(x, from: input, to: shape)
    }
}

/// An image as a vector: H × W × C values, channels fastest. A vector stays one.
public struct Flatten: DiagonalLayer {
    public init() {}
    public var name: String { "flatten" }
    public var outputMemory: OutputMemory { .input }
    public func outputShape(for input: Shape) throws(ShapeError) -> Shape { .vector(input.count) }

    public func forward(_ input: Batch, into output: Batch, _ memory: LayerMemory, mode: Mode) {
        copyIfElsewhere(input.values, to: output.values)
    }

    public func backward(
        _ outputGradient: Batch, input: Batch, output: Batch,
        into inputGradient: Batch?, _ memory: LayerMemory, parameterGradients: Bool
    ) {
        if let inputGradient { copyIfElsewhere(outputGradient.values, to: inputGradient.values) }
    }

    public func operators(
        _ x: OperatorValue, from input: Shape, in graph: any OperatorGraph
    ) -> OperatorValue? {
        graph.reshaped(x, from: input, to: .vector(input.count))
    }
}

/// What is left of a layer that its neighbour applies.
struct AppliedBeside: DiagonalLayer {
    let name: String
    var outputMemory: OutputMemory { .input }
    func outputShape(for input: Shape) throws(ShapeError) -> Shape { input }

    func forward(_ input: Batch, into output: Batch, _ memory: LayerMemory, mode: Mode) {
        copyIfElsewhere(input.values, to: output.values)
    }

    func backward(
        _ outputGradient: Batch, input: Batch, output: Batch,
        into inputGradient: Batch?, _ memory: LayerMemory, parameterGradients: Bool
    ) {
        if let inputGradient { copyIfElsewhere(outputGradient.values, to: inputGradient.values) }
    }
}

/// Layers that pass values on are usually lent the same memory on both sides.
func copyIfElsewhere(_ source: Floats, to target: Floats) {
    if source.base != target.base { target.copy(from: source) }
}
