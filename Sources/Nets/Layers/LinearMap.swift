import Kernels

// What layers with a linear map share: z = x W + b on the rows of a batch, and requirements on shapes.

/// The products of a batch with weights of ``linearParameters(input:outputs:hasBias:weights:biases:isSpectral:)``.
func linearProduct(rows: Int, inputs: Int, outputs: Int) -> BatchProduct {
    WeightPanels(inputs: inputs, outputs: outputs).map { BatchProduct(rows: rows, of: $0) }
        ?? BatchProduct(rows: rows, inputs: inputs, outputs: outputs)
}

func linearParameters(
    input: Int, outputs: Int, hasBias: Bool, weights: Initialiser, biases: Initialiser, isSpectral: Bool
) -> [ParameterSpec] {
    let weight = ParameterSpec(
        "weight", [input, outputs], layout: "IO", initialiser: weights, fanIn: input, fanOut: outputs,
        isSpectral: isSpectral, panels: WeightPanels(inputs: input, outputs: outputs))
    guard hasBias else { return [weight] }
    return [weight, ParameterSpec("bias", [outputs], layout: "C", initialiser: biases, fanIn: input, fanOut: outputs)]
}

/// z = x W + b.
func multiplyRows(_ input: Batch, _ parameters: Parts, hasBias: Bool, into output: Floats, scratch: Floats) {
    linearProduct(rows: input.count, inputs: input.shape.count, outputs: output.count / input.count)
        .forward(
            input.values, weight: parameters[0], bias: hasBias ? parameters[1] : nil, into: output, scratch: scratch)
}

/// dW (+)= xᵀ dz, db (+)= Σ_n dz, dx = dz Wᵀ.
func multiplyRowsBackward(
    _ gradient: Floats, input: Batch, _ memory: LayerMemory, hasBias: Bool, into inputGradient: Batch?,
    parameterGradients: Bool,
    scratch: Floats
) {
    let outputs = gradient.count / input.count
    let product = linearProduct(rows: input.count, inputs: input.shape.count, outputs: outputs)
    if parameterGradients {
        product.weightGradient(
            input.values, gradient, into: memory.gradients[0], adding: memory.addsGradients, scratch: scratch)
        if hasBias { memory.addBiasGradient(gradient, 1) }
    }
    if let inputGradient {
        product.inputGradient(gradient, weight: memory.parameters[0], into: inputGradient.values, scratch: scratch)
    }
}

func requireAtLeastOne(_ value: Int, _ setting: String) throws(ShapeError) {
    guard value >= 1 else { throw ShapeError("`\(setting)` must be at least 1, not \(value)") }
}

/// The size of a vector input.
func requireVector(_ input: Shape) throws(ShapeError) -> Int {
    guard case .vector(let count) = input else { throw ShapeError("it wants a vector: put `flatten` before it") }
    return count
}
