import Kernels
import Support

/// How far a kernel reaches beyond the image.
public enum Padding: String, Sendable, CaseIterable {
    /// TensorFlow's SAME: the output has ⌈size / stride⌉ pixels an axis (transposed: size · stride); zeros around the
    /// image, the odd one at the bottom and the right.
    case same
    /// No padding: ⌊(size − kernel) / stride⌋ + 1 pixels (transposed: (size − 1) · stride + kernel).
    case valid
}

/// y[n, p, q, o] = b[o] + Σ over i, j, c of x[n, p·s + i − top, q·t + j − left, c] · W[i, j, c, o].
///
/// Kernel K × L, stride s down and t across: x [N, H, W, I], W `weight` [K, L, I, O], b `bias` [O], y [N, H′, W′, O]:
/// see ``Padding``.
///
/// In g groups an output channel o sees the I / g input channels of its group ⌊o / (O / g)⌋ alone, and W is
/// [K, L, I / g, O]; with as many groups as channels, in and out, it is a depthwise convolution. PyTorch's
/// Conv2d(I, O, groups=g) has the same weights as [O, I / g, K, L].
public struct Convolution2D: TangentLayer {
    public let channels: Int
    public let kernel: Extent
    public let stride: Extent
    public let padding: Padding
    public let groups: Int
    public let hasBias: Bool
    public let weights: Initialiser
    public let biases: Initialiser
    /// Whether W is divided by its spectral norm.
    public let isSpectral: Bool

    public init(
        channels: Int, kernel: Extent, stride: Extent = 1, padding: Padding = .same, groups: Int = 1,
        hasBias: Bool = true, weights: Initialiser = .glorot, biases: Initialiser = .zero, isSpectral: Bool = false
    ) {
        self.channels = channels
        self.kernel = kernel
        self.stride = stride
        self.padding = padding
        self.groups = groups
        self.hasBias = hasBias
        self.weights = weights
        self.biases = biases
        self.isSpectral = isSpectral
    }

    public init(_ settings: any LayerSettings) throws(Failure) {
        channels = try settings.integer("channels", 1 ... 1 << 20, meaning: "channels of the output")
        kernel = try settings.extent("kernel", 1 ... 1024, meaning: "pixels of the kernel")
        stride = try settings.extent("stride", default: 1, 1 ... 1024, meaning: "pixels from one window to the next")
        padding = try settings.choice(
            "padding", default: .same,
            meaning: "zeros around the image so that ⌈size / stride⌉ pixels come out, or none")
        groups = try settings.integerIfGiven(
            "groups", otherwise: 1, 1 ... 1 << 20,
            meaning: "groups of channels that are convolved apart; as many as channels: depthwise")
        weights = try settings.initialiser("weights", default: .he, meaning: "how the weights start")
        let bias = try settings.bias()
        (hasBias, biases) = (bias != nil, bias ?? .zero)
        isSpectral = try settings.spectral()
    }

    public var name: String { "convolution" }

    public func outputShape(for input: Shape) throws(ShapeError) -> Shape {
        let (height, width, _) = try requireImage(input)
        try requirePositive(channels: channels, kernel: kernel, stride: stride)
        guard padding == .same || (kernel.height <= height && kernel.width <= width) else {
            throw ShapeError("with `padding: valid` it wants at least the \(kernel) pixels of its kernel")
        }
        try requireAtLeastOne(groups, "groups")
        guard input.channels % groups == 0 && channels % groups == 0 else {
            throw ShapeError(
                "its \(groups) groups want multiples of \(groups) channels, both of its input and "
                    + "of its output, which has \(channels)")
        }
        let geometry = product(of: input).geometry
        return .image(height: geometry.outputHeight, width: geometry.outputWidth, channels: channels)
    }

    public func parameters(for input: Shape) -> [ParameterSpec] {
        convolutionParameters(
            kernel: kernel, inputs: input.channels / groups, outputs: channels, layout: "HWIO",
            hasBias: hasBias, weights: weights, biases: biases, isSpectral: isSpectral)
    }

    public func applying(_ next: any Layer, to input: Shape) -> (any Layer)? {
        switch next {
        case let next as Resample2D where !next.isLarger: joined(with: next, of: input)
        case let next as Pooling2D: next.asResampling.flatMap { joined(with: $0, of: input) }
        default: nil
        }
    }

    public var joinsParts: Bool { true }

    public func algorithm(for input: Shape, batch: Int) -> String? {
        product(of: input).algorithmName(batch: batch)
    }

    public func scratchCount(for input: Shape, batch: Int) -> Int { product(of: input).scratchCount(batch: batch) }

    public func forward(_ input: Batch, into output: Batch, _ memory: LayerMemory, mode: Mode) {
        product(of: input.shape).forward(
            input.values, weight: memory.parameters[0], into: output.values, batch: input.count, scratch: memory.scratch
        )
        if hasBias { Reductions.add(memory.parameters[1], toRowsOf: output.values) }
    }

    public func backward(
        _ outputGradient: Batch, input: Batch, output: Batch,
        into inputGradient: Batch?, _ memory: LayerMemory, parameterGradients: Bool
    ) {
        let convolution = product(of: input.shape)
        if parameterGradients {
            convolution.weightGradient(
                input: input.values, outputGradient: outputGradient.values,
                into: memory.gradients[0], adding: memory.addsGradients, batch: input.count, scratch: memory.scratch)
            if hasBias { memory.addBiasGradient(outputGradient.values, 1) }
        }
        if let inputGradient {
            convolution.inputGradient(
                outputGradient.values, weight: memory.parameters[0], into: inputGradient.values,
                batch: input.count, scratch: memory.scratch)
        }
    }

    public func tangent(
        _ inputTangent: Batch, input: Batch, output: Batch, into outputTangent: Batch, _ memory: LayerMemory
    ) {
        product(of: input.shape).forward(
            inputTangent.values, weight: memory.parameters[0], into: outputTangent.values, batch: input.count,
            scratch: memory.scratch)
    }

    /// What computes it.
    func product(of input: Shape) -> Convolution {
        convolutionOfImage(
            input, outputChannels: channels, kernel: kernel, stride: stride, padding: padding, groups: groups)
    }

    /// HWIO becomes OIHW.
    public func operators(
        _ x: OperatorValue, from input: Shape, in graph: any OperatorGraph
    ) -> OperatorValue? {
        func missing(_ size: Int, _ kernel: Int, _ stride: Int) -> Int {
            padding == .valid ? 0 : max(((size + stride - 1) / stride - 1) * stride + kernel - size, 0)
        }
        let margins = operatorMargins([
            missing(input.dimensions[0], kernel.height, stride.height),
            missing(input.dimensions[1], kernel.width, stride.width),
        ])
        return graph.node(
            "Conv", [x, graph.parameter(0, order: [3, 2, 0, 1])] + (hasBias ? [graph.parameter(1)] : []),
            [
                "kernel_shape": .integers(kernel.sizes), "strides": .integers(stride.sizes), "pads": .integers(margins),
                "group": .integer(groups),
            ])
    }
}

// What convolution and transposed convolution share.

func convolutionOfImage(
    _ image: Shape, outputChannels: Int, kernel: Extent, stride: Extent, padding: Padding, groups: Int = 1
) -> Convolution {
    guard case .image(let height, let width, let channels) = image else {
        preconditionFailure("a convolution of \(image)")
    }
    let geometry =
        switch padding {
        case .same:
            ConvolutionGeometry.same(
                height: height, width: width, channels: channels,
                outputChannels: outputChannels, kernel: kernel, stride: stride)
        case .valid:
            ConvolutionGeometry.valid(
                height: height, width: width, channels: channels,
                outputChannels: outputChannels, kernel: kernel, stride: stride)
        }
    guard let geometry else { preconditionFailure("a \(kernel) convolution of \(image)") }
    return Convolution(geometry, groups: groups)
}

/// Fans are counted as the frameworks do, K · L · channels, whatever the stride; in groups the inputs are a group's.
func convolutionParameters(
    kernel: Extent, inputs: Int, outputs: Int, layout: String, hasBias: Bool, weights: Initialiser, biases: Initialiser,
    isSpectral: Bool
) -> [ParameterSpec] {
    let fanIn = kernel.height * kernel.width * inputs, fanOut = kernel.height * kernel.width * outputs
    let last = layout == "HWIO" ? [inputs, outputs] : [outputs, inputs]
    let weight = ParameterSpec(
        "weight", [kernel.height, kernel.width] + last, layout: layout, initialiser: weights, fanIn: fanIn,
        fanOut: fanOut, isSpectral: isSpectral)
    guard hasBias else { return [weight] }
    return [weight, ParameterSpec("bias", [outputs], layout: "C", initialiser: biases, fanIn: fanIn, fanOut: fanOut)]
}

func requireImage(_ input: Shape) throws(ShapeError) -> (height: Int, width: Int, channels: Int) {
    guard case .image(let height, let width, let channels) = input else {
        throw ShapeError("it wants an image (height, width, channels): put `reshape` before it")
    }
    return (height, width, channels)
}

func requirePositive(channels: Int, kernel: Extent, stride: Extent) throws(ShapeError) {
    try requireAtLeastOne(channels, "channels")
    try requireAtLeastOne(min(kernel.height, kernel.width), "kernel")
    try requireAtLeastOne(min(stride.height, stride.width), "stride")
}
