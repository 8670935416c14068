import Kernels
import Support

/// y = scale · v + shift, v = (x − mean) / √(variance + ε), with mean and variance over all pixels of an example and
/// the channels of a group: Wu & He 2018 (arXiv:1803.08494). With a group a channel it is instance normalisation:
/// Ulyanov, Vedaldi & Lempitsky 2016 (arXiv:1607.08022); PyTorch's GroupNorm, or InstanceNorm2d with `affine=True`.
///
/// `scale` [C] and `shift` [C] are a channel's; a group has neighbouring channels. An example's output depends on that
/// example alone, in training as in sampling.
public struct GroupNormalisation: TangentLayer {
    /// Nil: as many as there are channels.
    public let groups: Int?
    public let epsilon: Float

    public init(groups: Int?, epsilon: Float = 1e-5) {
        self.groups = groups
        self.epsilon = epsilon
    }

    /// The settings of `group_normalisation`, or without groups of `instance_normalisation`.
    public init(_ settings: any LayerSettings, hasGroups: Bool) throws(Failure) {
        groups = hasGroups ? try settings.integer("groups", 1 ... 1 << 20, meaning: "groups of channels") : nil
        epsilon = Float(try settings.number("epsilon", default: 1e-5, 1e-12 ... 1, meaning: "added to the variance"))
    }

    public var name: String { groups == nil ? "instance_normalisation" : "group_normalisation" }

    public func outputShape(for input: Shape) throws(ShapeError) -> Shape {
        guard epsilon > 0 && epsilon.isFinite else { throw ShapeError("`epsilon` must be positive, not \(epsilon)") }
        if groups == nil { _ = try requireImage(input) }
        let groups = groups ?? input.channels
        try requireAtLeastOne(groups, "groups")
        guard input.channels % groups == 0 else { throw ShapeError("it wants a multiple of \(groups) channels") }
        guard input.count > groups else {
            throw ShapeError("\(groups) groups leave each a single value, which has no variance")
        }
        return input
    }

    public func parameters(for input: Shape) -> [ParameterSpec] {
        [
            ParameterSpec("scale", [input.channels], layout: "C", initialiser: .constant(1), fanIn: 1, fanOut: 1),
            ParameterSpec("shift", [input.channels], layout: "C", initialiser: .zero, fanIn: 1, fanOut: 1),
        ]
    }

    /// Each example's mean and 1/√(variance + ε), a channel.
    public func savedCount(for input: Shape, batch: Int) -> Int { 2 * batch * input.channels }

    public func scratchCount(for input: Shape, batch: Int) -> Int { 5 * input.channels }

    public func forward(_ input: Batch, into output: Batch, _ memory: LayerMemory, mode: Mode) {
        for example in 0 ..< input.count {
            let kernels = kernels(input, example, memory), channels = input.shape.channels
            kernels.measure(input[example], epsilon: epsilon, sums: memory.scratch[0 ..< channels])
            kernels.normalise(
                input[example], scale: memory.parameters[0], shift: memory.parameters[1], into: output[example])
        }
    }

    public func backward(
        _ outputGradient: Batch, input: Batch, output: Batch,
        into inputGradient: Batch?, _ memory: LayerMemory, parameterGradients: Bool
    ) {
        let scaleGradient = parameterGradients ? memory.gradientToAdd(0) : nil
        if parameterGradients { memory.addBiasGradient(outputGradient.values, 1) }
        let (first, second) = sums(input.shape, memory)
        for example in 0 ..< input.count {
            let kernels = kernels(input, example, memory), dy = outputGradient[example]
            kernels.sum(dy, input: input[example], first: first, second: second)
            if let scaleGradient { Reductions.add(second, to: scaleGradient) }
            guard let inputGradient else { continue }
            kernels.derivative(
                dy, input: input[example], first: first, second: second, factors: memory.parameters[0],
                into: inputGradient[example])
        }
    }

    public func tangent(
        _ inputTangent: Batch, input: Batch, output: Batch, into outputTangent: Batch, _ memory: LayerMemory
    ) {
        let (first, second) = sums(input.shape, memory)
        for example in 0 ..< input.count {
            let kernels = kernels(input, example, memory), t = inputTangent[example]
            kernels.sum(t, input: input[example], first: first, second: second)
            kernels.derivative(
                t, input: input[example], first: first, second: second, after: memory.parameters[0],
                into: outputTangent[example])
        }
    }

    public var hasCurvature: Bool { true }

    public func curvature(
        _ outputGradient: Batch, tangent: Batch, input: Batch, output: Batch, into inputGradient: Batch, adding: Bool,
        _ memory: LayerMemory
    ) {
        for example in 0 ..< input.count {
            kernels(input, example, memory).curvature(
                outputGradient[example], tangent: tangent[example], input: input[example],
                factors: memory.parameters[0], scratch: memory.scratch, into: inputGradient[example], adding: adding)
        }
    }

    /// dscale = Σ_i e_i (a_i v_i + dv_i/dx_i t_i), dshift = Σ_i a_i e_i.
    public func tangentGradients(
        _ outputGradient: Batch, tangent: Batch, input: Batch, output: Batch, _ memory: LayerMemory
    ) {
        let scaleGradient = memory.gradientToAdd(0), (first, second) = sums(input.shape, memory)
        memory.addBiasGradient(outputGradient.values, 1)
        for example in 0 ..< input.count {
            let kernels = kernels(input, example, memory), t = tangent[example]
            kernels.sum(t, input: input[example], first: first, second: second)
            kernels.derivative(
                t, input: input[example], first: first, second: second, share: memory.rowWeights[example], into: t)
            LayerNormalisationKernels.addProducts(outputGradient[example], t, to: scaleGradient)
        }
    }

    private func kernels(_ input: Batch, _ example: Int, _ memory: LayerMemory) -> GroupNormalisationKernels {
        let channels = input.shape.channels, first = 2 * example * channels
        return GroupNormalisationKernels(
            groups: groups ?? channels, mean: memory.saved[first ..< first + channels],
            inverse: memory.saved[first + channels ..< first + 2 * channels])
    }

    private func sums(_ input: Shape, _ memory: LayerMemory) -> (first: Floats, second: Floats) {
        (memory.scratch[0 ..< input.channels], memory.scratch[input.channels ..< 2 * input.channels])
    }

    public func operators(
        _ x: OperatorValue, from input: Shape, in graph: any OperatorGraph
    ) -> OperatorValue? {
        let groups = groups ?? input.channels, dimensions = input.isImage ? input.dimensions.dropLast() : []
        // The operator normalises each channel of [N, groups, values], with a scale and a shift of its own.
        func all(_ value: Float) -> OperatorValue {
            graph.node("Expand", [graph.number(value), graph.constant([groups])])
        }
        let grouped = graph.node("Reshape", [x, graph.constant([0, groups, -1])])
        let v = graph.node("InstanceNormalization", [grouped, all(1), all(0)], ["epsilon": .float(epsilon)])
        let shaped = graph.node("Reshape", [v, graph.constant([0, input.channels] + dimensions)])
        return graph.scaled(shaped, by: graph.parameter(0), shift: graph.parameter(1), of: input)
    }
}
