import Kernels

// What dense and maxout share: z = x W + b on the rows of a batch, and requirements on shapes.

func linearParameters(
    input: Int, outputs: Int, hasBias: Bool, weights: Initialiser, biases: Initialiser
) -> [ParameterSpec] {
    let weight = ParameterSpec("weight", [input, outputs], layout: "IO", initialiser: weights, fanIn: input, fanOut: outputs)
    guard hasBias else { return [weight] }
    return [weight, ParameterSpec("bias", [outputs], layout: "C", initialiser: biases, fanIn: input, fanOut: outputs)]
}

/// z = x W + b. The bias is written first and the product added: the product would set z to zero anyway.
func multiplyRows(_ input: Batch, _ parameters: Parts, hasBias: Bool, into output: Floats) {
    if hasBias { Reductions.setRows(of: output, to: parameters[1]) }
    Matrix.multiply(input.values, by: parameters[0], into: output,
                    rows: input.count, columns: output.count / input.count, inner: input.shape.count, adding: hasBias)
}

/// dW += xᵀ dz, db += Σ_n dz, dx = dz Wᵀ.
func multiplyRowsBackward(
    _ gradient: Floats, input: Batch, _ memory: LayerMemory, hasBias: Bool, into inputGradient: Batch?, parameterGradients: Bool
) {
    let outputs = gradient.count / input.count
    if parameterGradients {
        Matrix.multiply(input.values, transposed: true, by: gradient, into: memory.gradients[0],
                        rows: input.shape.count, columns: outputs, inner: input.count, adding: true)
        if hasBias { Reductions.addColumnSums(of: gradient, columns: outputs, to: memory.gradients[1]) }
    }
    if let inputGradient {
        Matrix.multiply(gradient, by: memory.parameters[0], secondTransposed: true, into: inputGradient.values,
                        rows: input.count, columns: input.shape.count, inner: outputs)
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
