import Kernels
import Support

/// y = scale · v + shift, v = (x − mean) / √(variance + ε), with mean and variance over all values of an example: Ba,
/// Kiros & Hinton 2016; on images what PyTorch calls GroupNorm(1, C).
///
/// `scale` [C] and `shift` [C] are a channel's. An example's output depends on that example alone, in training as in
/// sampling.
public struct LayerNormalisation: TangentLayer {
    public let epsilon: Float

    public init(epsilon: Float = 1e-5) { self.epsilon = epsilon }

    public init(_ settings: any LayerSettings) throws(Failure) {
        epsilon = Float(try settings.number("epsilon", default: 1e-5, 1e-12 ... 1, meaning: "added to the variance"))
    }

    public var name: String { "layer_normalisation" }

    public func outputShape(for input: Shape) throws(ShapeError) -> Shape {
        guard epsilon > 0 && epsilon.isFinite else { throw ShapeError("`epsilon` must be positive, not \(epsilon)") }
        guard input.count > 1 else { throw ShapeError("a single value has no variance") }
        return input
    }

    public func parameters(for input: Shape) -> [ParameterSpec] {
        [
            ParameterSpec("scale", [input.channels], layout: "C", initialiser: .constant(1), fanIn: 1, fanOut: 1),
            ParameterSpec("shift", [input.channels], layout: "C", initialiser: .zero, fanIn: 1, fanOut: 1),
        ]
    }

    /// Each example's mean and 1/√(variance + ε).
    public func savedCount(for input: Shape, batch: Int) -> Int { 2 * batch }

    /// One example's v, and its gradient with respect to v.
    public func scratchCount(for input: Shape, batch: Int) -> Int { 2 * input.count }

    public func forward(_ input: Batch, into output: Batch, _ memory: LayerMemory, mode: Mode) {
        for example in 0 ..< input.count {
            let x = input[example], y = output[example]
            let (mean, inverse) = LayerNormalisationKernels.moments(of: x, epsilon: epsilon)
            (memory.saved[2 * example], memory.saved[2 * example + 1]) = (mean, inverse)
            LayerNormalisationKernels.standardise(x, mean: mean, inverse: inverse, into: y)
            LayerNormalisationKernels.scale(y, by: memory.parameters[0], shift: memory.parameters[1], into: y)
        }
    }

    public func backward(
        _ outputGradient: Batch, input: Batch, output: Batch,
        into inputGradient: Batch?, _ memory: LayerMemory, parameterGradients: Bool
    ) {
        let scaleGradient = parameterGradients ? memory.gradientToAdd(0) : nil
        if parameterGradients { memory.addBiasGradient(outputGradient.values, 1) }
        for example in 0 ..< input.count {
            let (v, inverse) = standardised(input, example, memory), gradient = outputGradient[example]
            if let scaleGradient { LayerNormalisationKernels.addProducts(gradient, v, to: scaleGradient) }
            guard let dx = inputGradient?[example] else { continue }
            LayerNormalisationKernels.scale(gradient, by: memory.parameters[0], into: dx)
            LayerNormalisationKernels.derivative(dx, standardised: v, inverse: inverse, into: dx)
        }
    }

    public func tangent(
        _ inputTangent: Batch, input: Batch, output: Batch, into outputTangent: Batch, _ memory: LayerMemory
    ) {
        for example in 0 ..< input.count {
            let (v, inverse) = standardised(input, example, memory), t = outputTangent[example]
            LayerNormalisationKernels.derivative(inputTangent[example], standardised: v, inverse: inverse, into: t)
            LayerNormalisationKernels.scale(t, by: memory.parameters[0], into: t)
        }
    }

    public var hasCurvature: Bool { true }

    public func curvature(
        _ outputGradient: Batch, tangent: Batch, input: Batch, output: Batch, into inputGradient: Batch, adding: Bool,
        _ memory: LayerMemory
    ) {
        let gradient = memory.scratch[input.shape.count ..< 2 * input.shape.count]
        for example in 0 ..< input.count {
            let (v, inverse) = standardised(input, example, memory)
            LayerNormalisationKernels.scale(outputGradient[example], by: memory.parameters[0], into: gradient)
            LayerNormalisationKernels.curvature(
                gradient, tangent: tangent[example], standardised: v, inverse: inverse, into: inputGradient[example],
                adding: adding)
        }
    }

    /// dscale = Σ_i e_i (a_i v_i + dv_i/dx_i t_i), dshift = Σ_i a_i e_i.
    public func tangentGradients(
        _ outputGradient: Batch, tangent: Batch, input: Batch, output: Batch, _ memory: LayerMemory
    ) {
        let scaleGradient = memory.gradientToAdd(0)
        memory.addBiasGradient(outputGradient.values, 1)
        for example in 0 ..< input.count {
            let (v, inverse) = standardised(input, example, memory), t = tangent[example]
            LayerNormalisationKernels.derivative(t, standardised: v, inverse: inverse, into: t)
            Reductions.addRows(of: v, times: memory.rowWeights[example ..< example + 1], to: t)
            LayerNormalisationKernels.addProducts(outputGradient[example], t, to: scaleGradient)
        }
    }

    /// v of an example, in the first half of the scratch memory.
    private func standardised(_ input: Batch, _ example: Int, _ memory: LayerMemory) -> (v: Floats, inverse: Float) {
        let v = memory.scratch[0 ..< input.shape.count], inverse = memory.saved[2 * example + 1]
        LayerNormalisationKernels.standardise(
            input[example], mean: memory.saved[2 * example], inverse: inverse, into: v)
        return (v, inverse)
    }

    public func operators(
        _ x: OperatorValue, from input: Shape, in graph: any OperatorGraph
    ) -> OperatorValue? {
        // ONNX wants a scale and a shift for every value.
        func parameter(_ index: Int) -> OperatorValue {
            guard case .image(let height, let width, let channels) = input else { return graph.parameter(index) }
            let column = graph.node("Reshape", [graph.parameter(index), graph.constant([channels, 1, 1])])
            return graph.node("Expand", [column, graph.constant([channels, height, width])])
        }
        return graph.node(
            "LayerNormalization", [x, parameter(0), parameter(1)], ["axis": .integer(1), "epsilon": .float(epsilon)])
    }
}
