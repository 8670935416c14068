import Kernels

// A convolution and the resampling beside it, computed together: see `Layer.applying(_:to:)`. Both are linear maps of
// an image, and much of what one makes of a larger image the other makes of a smaller one.

/// A 1 × 1 convolution W beside a resampling R, which commute: W R x = R W x. What is left to be done is done to the
/// smaller image.
///
/// Where R makes images larger, y = R (W x) + b, otherwise y = W (R x) + b. W `weight` [1, 1, I / groups, O], b `bias`
/// [O], as ``Convolution2D`` has them.
struct PointwiseResampling: TangentLayer {
    let convolution: Convolution2D
    let resampling: Resample2D

    var name: String { convolution.name }

    func outputShape(for input: Shape) throws(ShapeError) -> Shape {
        try convolution.outputShape(for: try resampling.outputShape(for: input))
    }

    func parameters(for input: Shape) -> [ParameterSpec] { convolution.parameters(for: input) }

    /// What lies between the two: W x or R x.
    private func between(for input: Shape) -> Shape {
        let (layer, image): (any Layer, Shape) =
            resampling.isLarger ? (convolution, input) : (resampling, input)
        guard let shape = try? layer.outputShape(for: image) else { preconditionFailure("\(name) of \(input)") }
        return shape
    }

    private func convolution(for input: Shape) -> Convolution {
        convolution.convolution(for: resampling.isLarger ? input : between(for: input))
    }

    private func resampling(for input: Shape) -> Resampling {
        resampling.resampling(of: resampling.isLarger ? between(for: input) : input)
    }

    func scratchCount(for input: Shape, batch: Int) -> Int {
        batch * between(for: input).count + convolution(for: input).scratchCount(batch: batch)
    }

    private func parts(of scratch: Floats, for input: Batch) -> (between: Floats, rest: Floats) {
        let count = input.count * between(for: input.shape).count
        return (scratch[0 ..< count], scratch[count ..< scratch.count])
    }

    /// J x.
    private func apply(to input: Batch, into output: Batch, _ memory: LayerMemory) {
        let (between, rest) = parts(of: memory.scratch, for: input)
        let convolution = convolution(for: input.shape), resampling = resampling(for: input.shape)
        if self.resampling.isLarger {
            convolution.forward(
                input.values, weight: memory.parameters[0], into: between, batch: input.count, scratch: rest)
            resampling.forward(between, into: output.values, batch: input.count)
        } else {
            resampling.forward(input.values, into: between, batch: input.count)
            convolution.forward(
                between, weight: memory.parameters[0], into: output.values, batch: input.count, scratch: rest)
        }
    }

    func forward(_ input: Batch, into output: Batch, _ memory: LayerMemory, mode: Mode) {
        apply(to: input, into: output, memory)
        if convolution.hasBias { Reductions.add(memory.parameters[1], toRowsOf: output.values) }
    }

    func tangent(
        _ inputTangent: Batch, input: Batch, output: Batch, into outputTangent: Batch, _ memory: LayerMemory
    ) {
        apply(to: inputTangent, into: outputTangent, memory)
    }

    func backward(
        _ outputGradient: Batch, input: Batch, output: Batch,
        into inputGradient: Batch?, _ memory: LayerMemory, parameterGradients: Bool
    ) {
        let (between, rest) = parts(of: memory.scratch, for: input)
        let convolution = convolution(for: input.shape), resampling = resampling(for: input.shape)
        let isLarger = self.resampling.isLarger, batch = input.count
        if isLarger { resampling.backward(outputGradient.values, into: between, batch: batch) }
        if parameterGradients {
            if !isLarger { resampling.forward(input.values, into: between, batch: batch) }
            convolution.weightGradient(
                input: isLarger ? input.values : between, outputGradient: isLarger ? between : outputGradient.values,
                into: memory.gradients[0], adding: memory.addsGradients, batch: batch, scratch: rest)
            if self.convolution.hasBias { memory.addBiasGradient(outputGradient.values, 1) }
        }
        guard let inputGradient else { return }
        convolution.inputGradient(
            isLarger ? between : outputGradient.values, weight: memory.parameters[0],
            into: isLarger ? inputGradient.values : between, batch: batch, scratch: rest)
        if !isLarger { resampling.backward(between, into: inputGradient.values, batch: batch) }
    }
}

/// A 3 × 3 convolution after each pixel was made 2 × 2, or before 2 × 2 become their mean, as ``WidenedConvolution``
/// computes it. W `weight` [3, 3, I, O], b `bias` [O], as ``Convolution2D`` has them.
struct WidenedConvolution2D: TangentLayer {
    let convolution: Convolution2D
    let resampling: Resample2D

    var name: String { convolution.name }

    func outputShape(for input: Shape) throws(ShapeError) -> Shape {
        try convolution.outputShape(for: try resampling.outputShape(for: input))
    }

    func parameters(for input: Shape) -> [ParameterSpec] { convolution.parameters(for: input) }

    private func product(for input: Shape) -> WidenedConvolution {
        guard let image = resampling.isLarger ? try? resampling.outputShape(for: input) : input else {
            preconditionFailure("\(name) of \(input)")
        }
        return WidenedConvolution(
            larger: convolution.convolution(for: image).geometry, resamplesFirst: resampling.isLarger)
    }

    func algorithm(for input: Shape, batch: Int) -> String? { product(for: input).algorithmName(batch: batch) }

    func scratchCount(for input: Shape, batch: Int) -> Int { product(for: input).scratchCount(batch: batch) }

    func forward(_ input: Batch, into output: Batch, _ memory: LayerMemory, mode: Mode) {
        tangent(input, input: input, output: output, into: output, memory)
        if convolution.hasBias { Reductions.add(memory.parameters[1], toRowsOf: output.values) }
    }

    func tangent(
        _ inputTangent: Batch, input: Batch, output: Batch, into outputTangent: Batch, _ memory: LayerMemory
    ) {
        product(for: input.shape).forward(
            inputTangent.values, weight: memory.parameters[0], into: outputTangent.values, batch: input.count,
            scratch: memory.scratch)
    }

    func backward(
        _ outputGradient: Batch, input: Batch, output: Batch,
        into inputGradient: Batch?, _ memory: LayerMemory, parameterGradients: Bool
    ) {
        let product = product(for: input.shape)
        if parameterGradients {
            product.weightGradient(
                input: input.values, outputGradient: outputGradient.values, into: memory.gradients[0],
                adding: memory.addsGradients, batch: input.count, scratch: memory.scratch)
            if convolution.hasBias { memory.addBiasGradient(outputGradient.values, 1) }
        }
        if let inputGradient {
            product.inputGradient(
                outputGradient.values, weight: memory.parameters[0], into: inputGradient.values, batch: input.count,
                scratch: memory.scratch)
        }
    }
}

extension Convolution2D {
    /// This convolution and a resampling after it, or before it, as one layer of `input`, which is that of the first of
    /// them; nil where they are better apart.
    func joined(with resampling: Resample2D, of input: Shape) -> (any Layer)? {
        guard case .image(let height, let width, _) = input, stride == 1 else { return nil }
        if kernel == 1 {
            // A mean has the bias that its pixels have; at an edge with zeros outside it would be a part of that.
            let biasStays = resampling.isLarger || resampling.filter == .mean || !hasBias
            return biasStays ? PointwiseResampling(convolution: self, resampling: resampling) : nil
        }
        guard kernel == 3, padding == .same, groups == 1, resampling.factor == 2 else { return nil }
        switch resampling.filter {
        case .nearest: return WidenedConvolution2D(convolution: self, resampling: resampling)
        case .mean where height % 2 == 0 && width % 2 == 0:
            return WidenedConvolution2D(convolution: self, resampling: resampling)
        default: return nil
        }
    }
}
