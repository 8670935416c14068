import Kernels
import Support

// y[i] = f(x[i]) for vectors and images of any shape: no parameters, computed in place where the network allows it.
// Slopes are taken from the output.

/// y = max(x, 0).
public struct ReLU: DiagonalLayer {
    public init() {}
    public var name: String { "relu" }
    public var outputMemory: OutputMemory { .overInput }
    public var backwardReadsOutput: Bool { true }
    public func outputShape(for input: Shape) throws(ShapeError) -> Shape { input }

    public func forward(_ input: Batch, into output: Batch, _ memory: LayerMemory, mode: Mode) {
        Activations.leakyRelu(input.values, slope: 0, into: output.values)
    }

    public func backward(
        _ outputGradient: Batch, input: Batch, output: Batch,
        into inputGradient: Batch?, _ memory: LayerMemory, parameterGradients: Bool
    ) {
        guard let inputGradient else { return }
        Activations.leakyReluGradient(
            outputGradient.values, output: output.values, slope: 0, into: inputGradient.values)
    }

    public func operators(
        _ x: OperatorValue, from input: Shape, in graph: any OperatorGraph
    ) -> OperatorValue? {
        graph.node("Relu", [x])
    }
}

/// y = x where x > 0, slope · x elsewhere: Maas et al. 2013.
public struct LeakyReLU: DiagonalLayer {
    public let slope: Float

    public init(slope: Float) { self.slope = slope }

    public init(_ settings: any LayerSettings) throws(Failure) {
        slope = Float(try settings.number("slope", default: 0.2, 0 ... 1, meaning: "the slope below 0"))
    }

    public var name: String { "leaky_relu" }
    public var outputMemory: OutputMemory { .overInput }
    public var backwardReadsOutput: Bool { true }

    /// The slope may not be negative: the sign of y must be the sign of x.
    public func outputShape(for input: Shape) throws(ShapeError) -> Shape {
        guard slope >= 0 && slope.isFinite else { throw ShapeError("`slope` must be zero or positive, not \(slope)") }
        return input
    }

    public func forward(_ input: Batch, into output: Batch, _ memory: LayerMemory, mode: Mode) {
        Activations.leakyRelu(input.values, slope: slope, into: output.values)
    }

    public func backward(
        _ outputGradient: Batch, input: Batch, output: Batch,
        into inputGradient: Batch?, _ memory: LayerMemory, parameterGradients: Bool
    ) {
        guard let inputGradient else { return }
        Activations.leakyReluGradient(
            outputGradient.values, output: output.values, slope: slope, into: inputGradient.values)
    }

    public func operators(
        _ x: OperatorValue, from input: Shape, in graph: any OperatorGraph
    ) -> OperatorValue? {
        graph.node("LeakyRelu", [x], ["alpha": .float(slope)])
    }
}

/// y = 1 / (1 + exp(−x)).
public struct Sigmoid: DiagonalLayer {
    public init() {}
    public var name: String { "sigmoid" }
    public var outputMemory: OutputMemory { .overInput }
    public var backwardReadsOutput: Bool { true }
    public func outputShape(for input: Shape) throws(ShapeError) -> Shape { input }

    public func forward(_ input: Batch, into output: Batch, _ memory: LayerMemory, mode: Mode) {
        Activations.sigmoid(input.values, into: output.values)
    }

    public func backward(
        _ outputGradient: Batch, input: Batch, output: Batch,
        into inputGradient: Batch?, _ memory: LayerMemory, parameterGradients: Bool
    ) {
        guard let inputGradient else { return }
        Activations.sigmoidGradient(outputGradient.values, output: output.values, into: inputGradient.values)
    }

    public var hasCurvature: Bool { true }

    public func curvature(
        _ outputGradient: Batch, tangent: Batch, input: Batch, output: Batch, into inputGradient: Batch, adding: Bool,
        _ memory: LayerMemory
    ) {
        Activations.sigmoidCurvature(
            outputGradient.values, tangent: tangent.values, output: output.values, into: inputGradient.values,
            adding: adding)
    }

    public func operators(
        _ x: OperatorValue, from input: Shape, in graph: any OperatorGraph
    ) -> OperatorValue? {
        graph.node("Sigmoid", [x])
    }
}

/// y = tanh(x).
public struct Tanh: DiagonalLayer {
    public init() {}
    public var name: String { "tanh" }
    public var outputMemory: OutputMemory { .overInput }
    public var backwardReadsOutput: Bool { true }
    public func outputShape(for input: Shape) throws(ShapeError) -> Shape { input }

    public func forward(_ input: Batch, into output: Batch, _ memory: LayerMemory, mode: Mode) {
        Activations.tanh(input.values, into: output.values)
    }

    public func backward(
        _ outputGradient: Batch, input: Batch, output: Batch,
        into inputGradient: Batch?, _ memory: LayerMemory, parameterGradients: Bool
    ) {
        guard let inputGradient else { return }
        Activations.tanhGradient(outputGradient.values, output: output.values, into: inputGradient.values)
    }

    public var hasCurvature: Bool { true }

    public func curvature(
        _ outputGradient: Batch, tangent: Batch, input: Batch, output: Batch, into inputGradient: Batch, adding: Bool,
        _ memory: LayerMemory
    ) {
        Activations.tanhCurvature(
            outputGradient.values, tangent: tangent.values, output: output.values, into: inputGradient.values,
            adding: adding)
    }

    public func operators(
        _ x: OperatorValue, from input: Shape, in graph: any OperatorGraph
    ) -> OperatorValue? {
        graph.node("Tanh", [x])
    }
}

/// y = ln(1 + exp(x)). The slope, the sigmoid of x, is taken from the input, for the output has lost its digits where
/// it is small.
public struct Softplus: DiagonalLayer {
    public init() {}
    public var name: String { "softplus" }
    public func outputShape(for input: Shape) throws(ShapeError) -> Shape { input }

    public func forward(_ input: Batch, into output: Batch, _ memory: LayerMemory, mode: Mode) {
        Activations.softplus(input.values, into: output.values)
    }

    public func backward(
        _ outputGradient: Batch, input: Batch, output: Batch,
        into inputGradient: Batch?, _ memory: LayerMemory, parameterGradients: Bool
    ) {
        guard let inputGradient else { return }
        Activations.softplusGradient(outputGradient.values, input: input.values, into: inputGradient.values)
    }

    public var hasCurvature: Bool { true }

    public func curvature(
        _ outputGradient: Batch, tangent: Batch, input: Batch, output: Batch, into inputGradient: Batch, adding: Bool,
        _ memory: LayerMemory
    ) {
        Activations.softplusCurvature(
            outputGradient.values, tangent: tangent.values, input: input.values, into: inputGradient.values,
            adding: adding)
    }

    public func operators(
        _ x: OperatorValue, from input: Shape, in graph: any OperatorGraph
    ) -> OperatorValue? {
        graph.node("Softplus", [x])
    }
}

/// y = x Φ(x) = ½ x (1 + erf(x / √2)), Φ the normal distribution function: Hendrycks & Gimpel 2016, exactly, as
/// PyTorch's GELU is, and not by the approximation with tanh.
public struct GELU: DiagonalLayer {
    public init() {}
    public var name: String { "gelu" }
    public func outputShape(for input: Shape) throws(ShapeError) -> Shape { input }

    public func forward(_ input: Batch, into output: Batch, _ memory: LayerMemory, mode: Mode) {
        Activations.gelu(input.values, into: output.values)
    }

    public func backward(
        _ outputGradient: Batch, input: Batch, output: Batch,
        into inputGradient: Batch?, _ memory: LayerMemory, parameterGradients: Bool
    ) {
        guard let inputGradient else { return }
        Activations.geluGradient(outputGradient.values, input: input.values, into: inputGradient.values)
    }

    public var hasCurvature: Bool { true }

    public func curvature(
        _ outputGradient: Batch, tangent: Batch, input: Batch, output: Batch, into inputGradient: Batch, adding: Bool,
        _ memory: LayerMemory
    ) {
        Activations.geluCurvature(
            outputGradient.values, tangent: tangent.values, input: input.values, into: inputGradient.values,
            adding: adding)
    }

    public func operators(
        _ x: OperatorValue, from input: Shape, in graph: any OperatorGraph
    ) -> OperatorValue? {
        let error = graph.node("Erf", [graph.node("Mul", [x, graph.number(Float(0.5).squareRoot())])])
        let cumulative = graph.node("Mul", [graph.node("Add", [error, graph.number(1)]), graph.number(0.5)])
        return graph.node("Mul", [x, cumulative])
    }
}

/// y = x / (1 + exp(−x)): the SiLU (Elfwing et al. 2017), or Swish.
public struct SiLU: DiagonalLayer {
    public init() {}
    public var name: String { "silu" }
    public func outputShape(for input: Shape) throws(ShapeError) -> Shape { input }

    public func forward(_ input: Batch, into output: Batch, _ memory: LayerMemory, mode: Mode) {
        Activations.silu(input.values, into: output.values)
    }

    public func backward(
        _ outputGradient: Batch, input: Batch, output: Batch,
        into inputGradient: Batch?, _ memory: LayerMemory, parameterGradients: Bool
    ) {
        guard let inputGradient else { return }
        Activations.siluGradient(outputGradient.values, input: input.values, into: inputGradient.values)
    }

    public var hasCurvature: Bool { true }

    public func curvature(
        _ outputGradient: Batch, tangent: Batch, input: Batch, output: Batch, into inputGradient: Batch, adding: Bool,
        _ memory: LayerMemory
    ) {
        Activations.siluCurvature(
            outputGradient.values, tangent: tangent.values, input: input.values, into: inputGradient.values,
            adding: adding)
    }

    public func operators(
        _ x: OperatorValue, from input: Shape, in graph: any OperatorGraph
    ) -> OperatorValue? {
        graph.node("Mul", [x, graph.node("Sigmoid", [x])])
    }
}
