import Kernels

extension Network {
    /// Makes the parameters' gradients of a cost of which a part is a penalty on the gradients g_i = ∂s_i/∂x_i of the
    /// logits s_i with respect to their inputs, in the rows of the parts with ``BatchPart/isPenalised``: the gradient
    /// of Σ_i slopes_i s_i + Σ_i ⟨u_i, g_i⟩, u held constant. For the rows of other parts it is that of
    /// Σ_i slopes_i s_i. Where no part is penalised this is the usual backward.
    ///
    /// - Parameters:
    ///   - slopes: the derivative of the rest of the cost with respect to each logit of the last forward (in training).
    ///   - parameters, target, adding, ready: as in
    ///     ``backward(from:parameters:into:adding:only:inputGradient:ready:)``.
    ///   - penalties: is given g of all rows, of which only those of penalised parts are to be read, and puts u, the
    ///     penalty's derivative with respect to g, in its place. Called once.
    ///
    /// Throws what `penalties` and `ready` throw, and nothing else.
    public func backward(
        from slopes: Batch, parameters: Floats, into target: Floats, adding: Bool = false,
        penalties: (_ inputGradient: Batch) throws -> Void, ready: (Range<Int>) throws -> Void = { _ in }
    ) throws {
        guard hasPenalisedPart else {
            _ = try backward(
                from: slopes, parameters: parameters, into: target, adding: adding, inputGradient: false, ready: ready)
            return
        }
        guard let plan = penaltyPlan else {
            preconditionFailure("\(name): a penalised part where no penalties were planned")
        }
        check(slopes, target)
        precondition(outputShape.count == 1, "\(name): a penalty on \(outputShape) logits")
        let memory = GradientMemory(values: gradients.values, layout: plan.layout)
        keepAdjoints(plan, memory, slopes, parameters)
        try penalties(memory.batch(plan.input, lastCount, inputShape))
        keepTangents(plan, memory, parameters)
        try makeGradients(plan, memory, slopes, parameters, target, adding: adding, ready)
    }

    /// What layer `number` was given and made in the last forward (in training, of a batch that was run whole), and
    /// what it is lent: to run a pass of it by itself, such as for measuring.
    public func lastCall(
        of number: Int, parameters: Floats, gradients: Floats, rowWeights: Floats
    ) -> (input: Batch, output: Batch, memory: LayerMemory) {
        let (input, output) = ends(number)
        return (input, output, memory(number, 0 ..< 1, parameters, gradients: gradients, rowWeights: rowWeights))
    }

    private var hasPenalisedPart: Bool {
        for index in lastParts.indices where lastParts[index].isPenalised { return true }
        return false
    }

    /// e of every value, from 1 in the penalised parts and the slopes in the others; of the input in the rows of
    /// penalised parts.
    private func keepAdjoints(
        _ plan: PenaltyPlan, _ memory: GradientMemory, _ slopes: Batch, _ parameters: Floats
    ) {
        let last = memory.batch(plan.last, lastCount, outputShape)
        last.values.copy(from: slopes.values)
        for index in lastParts.indices where lastParts[index].isPenalised {
            last[lastParts[index].rows].values.fill(1)
        }
        for number in nodes.indices.reversed() {
            forEachSpan(of: lastParts.indices, number) { span, rows in
                takeBack(
                    plan.adjoints[number], memory, through: number, span, rows, parameters,
                    toInput: lastParts[span.lowerBound].isPenalised)
            }
        }
    }

    /// t of every value, in the rows of penalised parts.
    private func keepTangents(_ plan: PenaltyPlan, _ memory: GradientMemory, _ parameters: Floats) {
        for number in nodes.indices {
            let node = plan.tangents[number]
            guard let flow = node.flow, let source = node.sources[0] else { continue }
            let (input, output) = ends(number), shape = output.shape
            let tangent = memory.batch(source, lastCount, input.shape)
            let target = memory.batch(flow.target, lastCount, shape)
            forEachSpan(of: lastParts.indices, number) { span, rows in
                guard lastParts[span.lowerBound].isPenalised else { return }
                if !nodes[number].isSum {
                    plan.layers[number].tangent(
                        tangent[rows], input: input[rows], output: output[rows], into: target[rows],
                        self.memory(number, span, parameters))
                }
                memory.finish(flow, rows, of: lastCount, shape)
            }
        }
    }

    /// The parameters' gradients of each layer, the last layer's first, and with it q at the layer's input.
    private func makeGradients(
        _ plan: PenaltyPlan, _ memory: GradientMemory, _ slopes: Batch, _ parameters: Floats, _ target: Floats,
        adding: Bool, _ ready: (Range<Int>) throws -> Void
    ) throws {
        var final = store.count
        for number in nodes.indices.reversed() where leadsToParameters[number + 1] {
            // A layer's parameters come first, so that their gradient can travel meanwhile, unless curvature reads
            // the tangent that they overwrite.
            let isCurved = plan.layers[number].hasCurvature
            if isCurved { takeBackCurvature(plan, memory, through: number, parameters) }
            if let start = plans[number].parameterStart {
                forEachSpan(of: lastParts.indices, number) { span, rows in
                    makeGradient(
                        plan, memory, number, span, rows, slopes, parameters, target,
                        adding: adding || isAdded(span.lowerBound, lastParts.indices))
                }
                try ready(start ..< final)
                final = start
            }
            if !isCurved { takeBackCurvature(plan, memory, through: number, parameters) }
        }
    }

    /// The gradient of the parameters of layer `number`, of the parts of a span.
    private func makeGradient(
        _ plan: PenaltyPlan, _ memory: GradientMemory, _ number: Int, _ span: Range<Int>, _ rows: Range<Int>,
        _ slopes: Batch, _ parameters: Floats, _ target: Floats, adding: Bool
    ) {
        let (input, output) = ends(number)
        let adjoint = memory.batch(plan.adjoints[number].source!, lastCount, output.shape)
        guard lastParts[span.lowerBound].isPenalised else {
            return computed[number].backward(
                adjoint[rows], input: input[rows], output: output[rows], into: nil,
                self.memory(number, span, parameters, gradients: target, adding: adding), parameterGradients: true)
        }
        var tangent = memory.batch(plan.tangents[number].sources[0]!, lastCount, input.shape)[rows]
        if let copy = plan.tangents[number].copy {
            let copied = memory.batch(copy, lastCount, input.shape)[rows]
            copied.values.copy(from: tangent.values)
            tangent = copied
        }
        plan.layers[number].tangentGradients(
            adjoint[rows], tangent: tangent, input: input[rows], output: output[rows],
            self.memory(
                number, span, parameters, gradients: target, adding: adding, rowWeights: slopes[rows].values))
        if let source = plan.curvatures[number].source {
            computed[number].backward(
                memory.batch(source, lastCount, output.shape)[rows], input: input[rows], output: output[rows],
                into: nil, self.memory(number, span, parameters, gradients: target, adding: true),
                parameterGradients: true)
        }
    }

    /// q at the input of node `number`, of that at its output and its own curvature, where there is either and a
    /// parameter before it.
    private func takeBackCurvature(
        _ plan: PenaltyPlan, _ memory: GradientMemory, through number: Int, _ parameters: Floats
    ) {
        let node = plan.curvatures[number], layer = plan.layers[number], (input, output) = ends(number)
        forEachSpan(of: lastParts.indices, number) { span, rows in
            guard lastParts[span.lowerBound].isPenalised else { return }
            guard layer.hasCurvature, let flow = node.flows[0] else {
                return takeBack(node, memory, through: number, span, rows, parameters, toInput: false)
            }
            let target = memory.batch(flow.target, lastCount, input.shape)
            if let source = node.source {
                computed[number].backward(
                    memory.batch(source, lastCount, output.shape)[rows], input: input[rows], output: output[rows],
                    into: target[rows], self.memory(number, span, parameters), parameterGradients: false)
            }
            layer.curvature(
                memory.batch(plan.adjoints[number].source!, lastCount, output.shape)[rows],
                tangent: memory.batch(plan.tangents[number].sources[0]!, lastCount, input.shape)[rows],
                input: input[rows], output: output[rows], into: target[rows], adding: node.source != nil,
                self.memory(number, span, parameters))
            memory.finish(flow, rows, of: lastCount, input.shape)
        }
    }

    /// Jᵀ times a gradient, for the parts of a span; `toInput`: also where there are no parameters before.
    private func takeBack(
        _ node: NodeGradient, _ memory: GradientMemory, through number: Int, _ span: Range<Int>, _ rows: Range<Int>,
        _ parameters: Floats, toInput: Bool
    ) {
        let (input, output) = ends(number)
        for place in node.flows.indices where toInput || leadsToParameters[nodes[number].inputs[place]] {
            guard let flow = node.flows[place] else { continue }
            if !nodes[number].isSum, let source = node.source {
                computed[number].backward(
                    memory.batch(source, lastCount, output.shape)[rows], input: input[rows], output: output[rows],
                    into: memory.batch(flow.target, lastCount, input.shape)[rows],
                    self.memory(number, span, parameters), parameterGradients: false)
            }
            memory.finish(flow, rows, of: lastCount, input.shape)
        }
    }
}
