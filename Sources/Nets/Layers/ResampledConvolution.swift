import Kernels

// A convolution and the resampling beside it, computed together: see `Layer.applying(_:to:)`. Both are linear maps of
// an image, and much of what one makes of a larger image the other makes of a smaller one.

/// What the two forms share: the shapes and parameters of the convolution, and its bias b after a linear map.
private protocol ResampledConvolution: TangentLayer {
    var convolution: Convolution2D { get }
    var resample: Resample2D { get }
}

extension ResampledConvolution {
    var name: String { convolution.name }
    var joinsParts: Bool { true }

    func outputShape(for input: Shape) throws(ShapeError) -> Shape {
        try convolution.outputShape(for: try resample.outputShape(for: input))
    }

    func parameters(for input: Shape) -> [ParameterSpec] { convolution.parameters(for: input) }

    func forward(_ input: Batch, into output: Batch, _ memory: LayerMemory, mode: Mode) {
        tangent(input, input: input, output: output, into: output, memory)
        if convolution.hasBias { Reductions.add(memory.parameters[1], toRowsOf: output.values) }
    }
}

/// A 1 × 1 convolution W beside a resampling R, which commute: W R x = R W x. What is left to be done is done to the
/// smaller image.
///
/// Where R makes images larger, y = R (W x) + b, otherwise y = W (R x) + b. W `weight` [1, 1, I / groups, O], b `bias`
/// [O], as ``Convolution2D`` has them.
struct PointwiseResampling: ResampledConvolution {
    let convolution: Convolution2D
    let resample: Resample2D

    /// What lies between the two: W x or R x.
    private func between(for input: Shape) -> Shape {
        if !resample.isLarger {
            let resampled = resample.resampling(of: input)
            return .image(height: resampled.outputHeight, width: resampled.outputWidth, channels: input.channels)
        }
        guard case .image(let height, let width, _) = input else { preconditionFailure("\(name) of \(input)") }
        return .image(height: height, width: width, channels: convolution.channels)
    }

    /// W of the smaller image, and R.
    private func maps(of input: Shape) -> (product: Convolution, resampling: Resampling) {
        let between = between(for: input)
        return resample.isLarger
            ? (convolution.product(of: input), resample.resampling(of: between))
            : (convolution.product(of: between), resample.resampling(of: input))
    }

    func scratchCount(for input: Shape, batch: Int) -> Int {
        betweenCount(for: input, batch: batch) + maps(of: input).product.scratchCount(batch: batch)
    }

    /// What the product takes begins on a cache line.
    private func betweenCount(for input: Shape, batch: Int) -> Int {
        (batch * between(for: input).count + 15) / 16 * 16
    }

    private func parts(of scratch: Floats, for input: Batch) -> (between: Floats, rest: Floats) {
        let count = input.count * between(for: input.shape).count
        return (
            scratch[0 ..< count], scratch[betweenCount(for: input.shape, batch: input.count) ..< scratch.count]
        )
    }

    func tangent(
        _ inputTangent: Batch, input: Batch, output: Batch, into outputTangent: Batch, _ memory: LayerMemory
    ) {
        let (between, rest) = parts(of: memory.scratch, for: input), weight = memory.parameters[0]
        let (product, resampling) = maps(of: input.shape), batch = input.count
        if resample.isLarger {
            product.forward(inputTangent.values, weight: weight, into: between, batch: batch, scratch: rest)
            resampling.forward(between, into: outputTangent.values, batch: batch)
        } else {
            resampling.forward(inputTangent.values, into: between, batch: batch)
            product.forward(between, weight: weight, into: outputTangent.values, batch: batch, scratch: rest)
        }
    }

    func backward(
        _ outputGradient: Batch, input: Batch, output: Batch,
        into inputGradient: Batch?, _ memory: LayerMemory, parameterGradients: Bool
    ) {
        let (between, rest) = parts(of: memory.scratch, for: input)
        let (product, resampling) = maps(of: input.shape)
        let isLarger = resample.isLarger, batch = input.count
        if isLarger { resampling.backward(outputGradient.values, into: between, batch: batch) }
        if parameterGradients {
            if !isLarger { resampling.forward(input.values, into: between, batch: batch) }
            product.weightGradient(
                input: isLarger ? input.values : between, outputGradient: isLarger ? between : outputGradient.values,
                into: memory.gradients[0], adding: memory.addsGradients, batch: batch, scratch: rest)
            if convolution.hasBias { memory.addBiasGradient(outputGradient.values, 1) }
        }
        guard let inputGradient else { return }
        product.inputGradient(
            isLarger ? between : outputGradient.values, weight: memory.parameters[0],
            into: isLarger ? inputGradient.values : between, batch: batch, scratch: rest)
        if !isLarger { resampling.backward(between, into: inputGradient.values, batch: batch) }
    }
}

/// A 3 × 3 convolution after each pixel was made 2 × 2, or before 2 × 2 become their mean, as ``WidenedConvolution``
/// computes it. W `weight` [3, 3, I, O], b `bias` [O], as ``Convolution2D`` has them.
struct WidenedConvolution2D: ResampledConvolution {
    let convolution: Convolution2D
    let resample: Resample2D

    private func product(for input: Shape) -> WidenedConvolution {
        var larger = input
        if resample.isLarger {
            let resampled = resample.resampling(of: input)
            larger = .image(height: resampled.outputHeight, width: resampled.outputWidth, channels: input.channels)
        }
        return WidenedConvolution(
            larger: convolution.product(of: larger).geometry, resamplesFirst: resample.isLarger)
    }

    func algorithm(for input: Shape, batch: Int) -> String? { product(for: input).algorithmName(batch: batch) }

    func scratchCount(for input: Shape, batch: Int) -> Int { product(for: input).scratchCount(batch: batch) }

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
    func joined(with resample: Resample2D, of input: Shape) -> (any Layer)? {
        guard case .image(let height, let width, _) = input, stride == 1 else { return nil }
        if kernel == 1 {
            // A mean has the bias that its pixels have; at an edge with zeros outside it would be a part of that.
            let biasStays = resample.isLarger || resample.filter == .mean || !hasBias
            return biasStays ? PointwiseResampling(convolution: self, resample: resample) : nil
        }
        guard kernel == 3, padding == .same, groups == 1, resample.factor == 2 else { return nil }
        // Of the smaller image; below three pixels Winograd's form of the 3 × 3 kernel has no counterpart of 4 × 4.
        switch resample.filter {
        case .nearest where min(height, width) >= 3:
            return WidenedConvolution2D(convolution: self, resample: resample)
        case .mean where height % 2 == 0 && width % 2 == 0 && min(height, width) >= 6:
            return WidenedConvolution2D(convolution: self, resample: resample)
        default: return nil
        }
    }
}
