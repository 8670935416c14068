import Kernels
import Support

/// y_n = θ for every example n, whatever the input: `values` θ of the output's shape are learned. Networks that begin
/// with it are those that learn a point or an image.
public struct Constant: TangentLayer {
    public let shape: Shape
    public let values: Initialiser

    public init(shape: Shape, values: Initialiser = .zero) {
        self.shape = shape
        self.values = values
    }

    public init(_ settings: any LayerSettings) throws(Failure) {
        shape = try settings.shape("shape", meaning: "of the output")
        values = try settings.initialiser("values", default: .zero, meaning: "how the values start")
    }

    public var name: String { "constant" }

    public func outputShape(for input: Shape) throws(ShapeError) -> Shape {
        try shape.requirePositive()
        return shape
    }

    public func parameters(for input: Shape) -> [ParameterSpec] {
        [
            ParameterSpec(
                "values", shape.dimensions, layout: shape.isImage ? "HWC" : "C", initialiser: values, fanIn: 1,
                fanOut: shape.count)
        ]
    }

    public func forward(_ input: Batch, into output: Batch, _ memory: LayerMemory, mode: Mode) {
        Reductions.setRows(of: output.values, to: memory.parameters[0])
    }

    public func backward(
        _ outputGradient: Batch, input: Batch, output: Batch,
        into inputGradient: Batch?, _ memory: LayerMemory, parameterGradients: Bool
    ) {
        if parameterGradients { memory.addBiasGradient(outputGradient.values, 0) }
        inputGradient?.values.fill(0)
    }

    public func tangent(
        _ inputTangent: Batch, input: Batch, output: Batch, into outputTangent: Batch, _ memory: LayerMemory
    ) {
        outputTangent.values.fill(0)
    }

    public func operators(
        _ x: OperatorValue, from input: Shape, in graph: any OperatorGraph
    ) -> OperatorValue? {
        let examples = graph.node("Shape", [x], ["start": .integer(0), "end": .integer(1)])
        let dimensions = graph.node("Concat", [examples, graph.constant(shape.dimensions)], ["axis": .integer(0)])
        let values = graph.node("Expand", [graph.parameter(0), dimensions])
        return shape.isImage ? graph.channelsFirst(values) : values
    }
}
