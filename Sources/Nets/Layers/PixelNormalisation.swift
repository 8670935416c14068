import Kernels
import Support

/// y[n, p, q, c] = x[n, p, q, c] / √(mean over channels k of x[n, p, q, k]² + ε): each pixel's values at a length of
/// √C, or those of a vector. Karras et al. 2018 (arXiv:1710.10196), §4.2. No parameters.
public struct PixelNormalisation: TangentLayer {
    public let epsilon: Float

    public init(epsilon: Float = 1e-8) { self.epsilon = epsilon }

    public init(_ settings: any LayerSettings) throws(Failure) {
        epsilon = Float(
            try settings.number("epsilon", default: 1e-8, 1e-12 ... 1, meaning: "added to the mean of the squares"))
    }

    public var name: String { "pixel_normalisation" }

    public func outputShape(for input: Shape) throws(ShapeError) -> Shape {
        guard epsilon > 0 && epsilon.isFinite else { throw ShapeError("`epsilon` must be positive, not \(epsilon)") }
        return input
    }

    public func forward(_ input: Batch, into output: Batch, _ memory: LayerMemory, mode: Mode) {
        PixelNormalisationKernels.forward(
            input.values, channels: input.shape.channels, epsilon: epsilon, into: output.values)
    }

    public func backward(
        _ outputGradient: Batch, input: Batch, output: Batch,
        into inputGradient: Batch?, _ memory: LayerMemory, parameterGradients: Bool
    ) {
        guard let inputGradient else { return }
        PixelNormalisationKernels.derivative(
            outputGradient.values, input: input.values, channels: input.shape.channels, epsilon: epsilon,
            into: inputGradient.values)
    }

    public func tangent(
        _ inputTangent: Batch, input: Batch, output: Batch, into outputTangent: Batch, _ memory: LayerMemory
    ) {
        PixelNormalisationKernels.derivative(
            inputTangent.values, input: input.values, channels: input.shape.channels, epsilon: epsilon,
            into: outputTangent.values)
    }

    public var hasCurvature: Bool { true }

    public func curvature(
        _ outputGradient: Batch, tangent: Batch, input: Batch, output: Batch, into inputGradient: Batch, adding: Bool,
        _ memory: LayerMemory
    ) {
        PixelNormalisationKernels.curvature(
            outputGradient.values, tangent: tangent.values, input: input.values, channels: input.shape.channels,
            epsilon: epsilon, into: inputGradient.values, adding: adding)
    }

    public func operators(
        _ x: OperatorValue, from input: Shape, in graph: any OperatorGraph
    ) -> OperatorValue? {
        let mean = graph.node(
            "ReduceMean", [graph.node("Mul", [x, x])], ["axes": .integers([1]), "keepdims": .integer(1)])
        return graph.node("Div", [x, graph.node("Sqrt", [graph.node("Add", [mean, graph.number(epsilon)])])])
    }
}
