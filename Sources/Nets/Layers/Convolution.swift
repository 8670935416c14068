import Kernels

/// How far a kernel reaches beyond the image.
public enum Padding: String, Sendable, CaseIterable {
    /// TensorFlow's SAME: the output has ⌈size / stride⌉ pixels an axis (transposed: size · stride); zeros around the image, the odd one
    /// at the bottom and the right.
    case same
    /// No padding: ⌊(size − kernel) / stride⌋ + 1 pixels (transposed: (size − 1) · stride + kernel).
    case valid
}

/// y[n, p, q, o] = b[o] + Σ over i, j, c of x[n, p·stride + i − top, q·stride + j − left, c] · W[i, j, c, o].
///
/// x [N, H, W, I], W `weight` [K, K, I, O], b `bias` [O], y [N, H′, W′, O]: see ``Padding``.
public struct Convolution2D: Layer {
    public let channels: Int
    public let kernel: Int
    public let stride: Int
    public let padding: Padding
    public let hasBias: Bool
    public let weights: Initialiser
    public let biases: Initialiser

    public init(channels: Int, kernel: Int, stride: Int = 1, padding: Padding = .same, hasBias: Bool = true,
                weights: Initialiser = .glorot, biases: Initialiser = .zero) {
        self.channels = channels
        self.kernel = kernel
        self.stride = stride
        self.padding = padding
        self.hasBias = hasBias
        self.weights = weights
        self.biases = biases
    }

    public var name: String { "convolution" }

    public func outputShape(for input: Shape) throws(ShapeError) -> Shape {
        let (height, width, _) = try requireImage(input)
        try requirePositive(channels: channels, kernel: kernel, stride: stride)
        guard padding == .same || kernel <= min(height, width) else {
            throw ShapeError("with `padding: valid` it wants at least the \(kernel) × \(kernel) pixels of its kernel")
        }
        let geometry = convolution(for: input).geometry
        return .image(height: geometry.outputHeight, width: geometry.outputWidth, channels: channels)
    }

    public func parameters(for input: Shape) -> [ParameterSpec] {
        convolutionParameters(kernel: kernel, inputs: input.channels, outputs: channels, layout: "HWIO",
                              hasBias: hasBias, weights: weights, biases: biases)
    }

    public func scratchCount(for input: Shape, batch: Int) -> Int { convolution(for: input).scratchCount(batch: batch) }

    public func forward(_ input: Batch, into output: Batch, _ memory: LayerMemory, mode: Mode) {
        convolution(for: input.shape).forward(
            input.values, weight: memory.parameters[0], into: output.values, batch: input.count, scratch: memory.scratch)
        if hasBias { Reductions.add(memory.parameters[1], toRowsOf: output.values) }
    }

    public func backward(_ outputGradient: Batch, input: Batch, output: Batch,
                         into inputGradient: Batch?, _ memory: LayerMemory, parameterGradients: Bool) {
        let convolution = convolution(for: input.shape)
        if parameterGradients {
            convolution.weightGradient(input: input.values, outputGradient: outputGradient.values,
                                       addingTo: memory.gradients[0], batch: input.count, scratch: memory.scratch)
            if hasBias {
                Reductions.addColumnSums(of: outputGradient.values, columns: channels, to: memory.gradients[1])
            }
        }
        if let inputGradient {
            convolution.inputGradient(outputGradient.values, weight: memory.parameters[0], into: inputGradient.values,
                                      batch: input.count, scratch: memory.scratch)
        }
    }

    private func convolution(for input: Shape) -> Convolution {
        convolutionOfImage(input, outputChannels: channels, kernel: kernel, stride: stride, padding: padding)
    }
}

// What convolution and transposed convolution share.

func convolutionOfImage(_ image: Shape, outputChannels: Int, kernel: Int, stride: Int, padding: Padding) -> Convolution {
    guard case .image(let height, let width, let channels) = image else { preconditionFailure("a convolution of \(image)") }
    let geometry = switch padding {
    case .same: ConvolutionGeometry.same(height: height, width: width, channels: channels,
                                         outputChannels: outputChannels, kernel: kernel, stride: stride)
    case .valid: ConvolutionGeometry.valid(height: height, width: width, channels: channels,
                                           outputChannels: outputChannels, kernel: kernel, stride: stride)
    }
    guard let geometry else { preconditionFailure("a \(kernel) × \(kernel) convolution of \(image)") }
    return Convolution(geometry)
}

/// Fans are counted as the frameworks do, K² · channels, whatever the stride.
func convolutionParameters(
    kernel: Int, inputs: Int, outputs: Int, layout: String, hasBias: Bool, weights: Initialiser, biases: Initialiser
) -> [ParameterSpec] {
    let fanIn = kernel * kernel * inputs, fanOut = kernel * kernel * outputs
    let last = layout == "HWIO" ? [inputs, outputs] : [outputs, inputs]
    let weight = ParameterSpec("weight", [kernel, kernel] + last, layout: layout, initialiser: weights, fanIn: fanIn, fanOut: fanOut)
    guard hasBias else { return [weight] }
    return [weight, ParameterSpec("bias", [outputs], layout: "C", initialiser: biases, fanIn: fanIn, fanOut: fanOut)]
}

func requireImage(_ input: Shape) throws(ShapeError) -> (height: Int, width: Int, channels: Int) {
    guard case .image(let height, let width, let channels) = input else {
        throw ShapeError("it wants an image (height, width, channels): put `reshape` before it")
    }
    return (height, width, channels)
}

func requirePositive(channels: Int, kernel: Int, stride: Int) throws(ShapeError) {
    try requireAtLeastOne(channels, "channels")
    try requireAtLeastOne(kernel, "kernel")
    try requireAtLeastOne(stride, "stride")
}
