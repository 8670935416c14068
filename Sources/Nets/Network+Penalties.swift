import Kernels

/// A layer of a penalised network, with what a backward keeps at its two sides: see ``TangentLayer``.
struct PenaltyPlan {
    let layer: any TangentLayer
    /// For e at the layer's output; nil where no later pass reads it there.
    let adjoint: FloatBuffer?
    /// For t at the layer's input; nil where no later pass reads it there.
    let tangent: FloatBuffer?
    /// Whether a later layer reads the tangent.
    let passesTangentOn: Bool
}

extension Network {
    /// Throws the first layer that no penalty can go through.
    static func tangentLayers(
        _ layers: [any Layer], computed: [any Layer], name: String
    ) throws(ShapeError) -> [any TangentLayer] {
        var result: [any TangentLayer] = []
        for (number, layer) in computed.enumerated() {
            guard let layer = layer as? any TangentLayer else {
                let remedy =
                    layers[number] is MinibatchDeviation
                    ? "leave it out" : "put `layer_normalisation` in its place, or none"
                throw ShapeError(
                    "\(name): layer \(number) (\(layers[number].name)): a gradient penalty cannot go through it, for "
                        + "it makes the output of an example depend on the others: " + remedy)
            }
            result.append(layer)
        }
        return result
    }

    /// e and t are kept from the pass that makes them to the layer's parameter gradients, where it has parameters or
    /// curvature. A layer computed in the memory of its input makes them in its neighbour's.
    static func penaltyPlan(_ layers: [any TangentLayer], plans: [LayerPlan], rows: Int) -> [PenaltyPlan] {
        let lowest = plans.firstIndex { $0.parameterStart != nil } ?? layers.count
        // The curvature of a layer changes the gradients of those below.
        let reads = layers.indices.map {
            plans[$0].parameterStart != nil || ($0 > lowest && layers[$0].hasCurvature)
        }
        var adjoints: [FloatBuffer?] = [], tangents: [FloatBuffer?] = []
        for number in layers.indices {
            // The pass begins in memory of its own, and ends in that of the tangent.
            if reads[number] || number == layers.count - 1 {
                adjoints.append(FloatBuffer(count: rows * plans[number].output.count))
            } else {
                adjoints.append(number == 0 || layers[number].outputMemory == .own ? nil : adjoints[number - 1])
            }
        }
        for number in layers.indices.reversed() {
            if reads[number] {
                tangents.insert(FloatBuffer(count: rows * plans[number].input.count), at: 0)
            } else {
                tangents.insert(layers[number].outputMemory == .own ? nil : tangents.first ?? nil, at: 0)
            }
        }
        return layers.indices.map { number in
            PenaltyPlan(
                layer: layers[number], adjoint: adjoints[number], tangent: tangents[number],
                passesTangentOn: reads[(number + 1)...].contains(true))
        }
    }

    /// Values kept for penalties.
    var penaltyValues: Int {
        var seen: Set<ObjectIdentifier> = []
        return penalised.flatMap { [$0.adjoint, $0.tangent] }.reduce(0) { sum, buffer in
            guard let buffer, seen.insert(ObjectIdentifier(buffer)).inserted else { return sum }
            return sum + buffer.count
        }
    }

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
        precondition(!penalised.isEmpty, "\(name): a penalised part where no penalties were planned")
        check(slopes, target)
        precondition(outputShape.count == 1, "\(name): a penalty on \(outputShape) logits")
        let inputGradient = keepAdjoints(slopes, parameters)
        try penalties(inputGradient)
        keepTangents(inputGradient, parameters)
        try makeGradients(slopes, parameters, target, adding: adding, ready)
    }

    /// What layer `number` was given and made in the last forward (in training, of a batch that was run whole), and
    /// what it is lent: to run a pass of it by itself, such as for measuring.
    public func lastCall(
        of number: Int, parameters: Floats, gradients: Floats, rowWeights: Floats
    ) -> (input: Batch, output: Batch, memory: LayerMemory) {
        let (input, output) = ends(number)
        return (input, output, memory(number, 0, parameters, gradients: gradients, rowWeights: rowWeights))
    }

    private var hasPenalisedPart: Bool {
        for index in lastParts.indices where lastParts[index].isPenalised { return true }
        return false
    }

    /// e at the output of every layer, from 1 in the penalised parts and the slopes in the others; returns that at the
    /// input, in the rows of penalised parts.
    private func keepAdjoints(_ slopes: Batch, _ parameters: Floats) -> Batch {
        var current = Batch(penalised[layers.count - 1].adjoint!.values, count: lastCount, shape: outputShape)
        current.values.copy(from: slopes.values)
        for index in lastParts.indices where lastParts[index].isPenalised {
            current[lastParts[index].rows].values.fill(1)
        }
        var number = layers.count
        while number > 0 {
            number -= 1
            let kept = number > 0 ? penalised[number - 1].adjoint : penalised[0].tangent
            let next = Batch(room(kept, after: current, of: number), count: lastCount, shape: plans[number].input)
            for index in lastParts.indices where lastParts[index].isPenalised || number > lowestWithParameters {
                takeBack(current, through: number, index, into: next, parameters)
            }
            current = next
        }
        return current
    }

    /// t at the input of every layer, in the rows of penalised parts.
    private func keepTangents(_ direction: Batch, _ parameters: Floats) {
        var current = direction
        for number in layers.indices where penalised[number].passesTangentOn {
            let kept = penalised[number + 1].tangent
            let next = Batch(room(kept, after: current, of: number), count: lastCount, shape: plans[number].output)
            let (input, output) = ends(number)
            for index in lastParts.indices where lastParts[index].isPenalised {
                let rows = lastParts[index].rows
                penalised[number].layer.tangent(
                    current[rows], input: input[rows], output: output[rows], into: next[rows],
                    memory(number, index, parameters))
            }
            current = next
        }
    }

    /// The parameters' gradients of each layer, the last layer's first, and with it q at the layer's input.
    private func makeGradients(
        _ slopes: Batch, _ parameters: Floats, _ target: Floats, adding: Bool, _ ready: (Range<Int>) throws -> Void
    ) throws {
        // q, in the rows of penalised parts; nil as long as the layers are linear piece by piece.
        var curvature: Batch?
        var final = store.count
        var number = layers.count
        while number > lowestWithParameters {
            number -= 1
            // A layer's parameters come first, so that their gradient can travel meanwhile, unless curvature reads
            // the tangent that they overwrite.
            let isCurved = penalised[number].layer.hasCurvature
            let below = isCurved ? takeBackCurvature(curvature, through: number, parameters) : nil
            if let start = plans[number].parameterStart {
                for index in lastParts.indices {
                    makeGradient(
                        number, index, slopes, curvature, parameters, target,
                        adding: adding || isAdded(index, lastParts.indices))
                }
                try ready(start ..< final)
                final = start
            }
            curvature = isCurved ? below : takeBackCurvature(curvature, through: number, parameters)
        }
    }

    /// One part's gradient of the parameters of layer `number`.
    private func makeGradient(
        _ number: Int, _ index: Int, _ slopes: Batch, _ curvature: Batch?, _ parameters: Floats, _ target: Floats,
        adding: Bool
    ) {
        let plan = penalised[number], rows = lastParts[index].rows
        let (input, output) = ends(number)
        let adjoint = Batch(plan.adjoint!.values, count: lastCount, shape: plans[number].output)
        guard lastParts[index].isPenalised else {
            return computed[number].backward(
                adjoint[rows], input: input[rows], output: output[rows], into: nil,
                memory(number, index, parameters, gradients: target, adding: adding), parameterGradients: true)
        }
        let tangent = Batch(plan.tangent!.values, count: lastCount, shape: plans[number].input)
        plan.layer.tangentGradients(
            adjoint[rows], tangent: tangent[rows], input: input[rows], output: output[rows],
            memory(number, index, parameters, gradients: target, adding: adding, rowWeights: slopes[rows].values))
        if let curvature {
            computed[number].backward(
                curvature[rows], input: input[rows], output: output[rows], into: nil,
                memory(number, index, parameters, gradients: target, adding: true), parameterGradients: true)
        }
    }

    /// q at the input of layer `number`, of that at its output and the layer's own curvature; nil where there is
    /// neither, or no parameter below.
    private func takeBackCurvature(_ curvature: Batch?, through number: Int, _ parameters: Floats) -> Batch? {
        let plan = penalised[number]
        guard number > lowestWithParameters, plan.layer.hasCurvature || curvature != nil else { return nil }
        let shape = plans[number].input
        let next = Batch(
            curvature.map { room(nil, after: $0, of: number) } ?? gradients[0].values, count: lastCount, shape: shape)
        let (input, output) = ends(number)
        for index in lastParts.indices where lastParts[index].isPenalised {
            if let curvature { takeBack(curvature, through: number, index, into: next, parameters) }
            guard plan.layer.hasCurvature else { continue }
            let rows = lastParts[index].rows
            plan.layer.curvature(
                Batch(plan.adjoint!.values, count: lastCount, shape: plans[number].output)[rows],
                tangent: Batch(plan.tangent!.values, count: lastCount, shape: shape)[rows], input: input[rows],
                output: output[rows], into: next[rows], adding: curvature != nil, memory(number, index, parameters))
        }
        return next
    }

    /// Jᵀ times `gradient`, for one part.
    private func takeBack(
        _ gradient: Batch, through number: Int, _ index: Int, into inputGradient: Batch, _ parameters: Floats
    ) {
        let (input, output) = ends(number), rows = lastParts[index].rows
        computed[number].backward(
            gradient[rows], input: input[rows], output: output[rows], into: inputGradient[rows],
            memory(number, index, parameters), parameterGradients: false)
    }

    /// Where a pass through layer `number` puts what it makes of `current`: where it is kept, else over `current` if
    /// that is not kept and the layer allows it, else in the one of the two that `current` is not in.
    private func room(_ kept: FloatBuffer?, after current: Batch, of number: Int) -> Floats {
        if let kept { return kept.values }
        let isInFirst = current.values.base == gradients[0].values.base
        let isInSecond = current.values.base == gradients[1].values.base
        if isInFirst || isInSecond, computed[number].outputMemory != .own { return current.values }
        return gradients[isInFirst ? 1 : 0].values
    }
}
