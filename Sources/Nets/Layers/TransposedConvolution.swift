import Kernels
import Support

/// The adjoint of a convolution as a layer of its own: each input pixel adds its kernel to the output, the stride
/// apart.
///
/// y[n, p·s + i − top, q·t + j − left, o] = b[o] + Σ x[n, p, q, c] · W[i, j, o, c] over all p, q, i, j, c that meet
/// there.
///
/// Kernel K × L, stride s down and t across: x [N, H, W, I], W `weight` [K, L, O, I], b `bias` [O], y [N, H′, W′, O]:
/// see ``Padding``. Forward is the input gradient of the convolution that takes y's shape to x's, whose input
/// channels are O and whose output channels are I.
public struct TransposedConvolution2D: TangentLayer {
    public let channels: Int
    public let kernel: Extent
    public let stride: Extent
    public let padding: Padding
    public let hasBias: Bool
    public let weights: Initialiser
    public let biases: Initialiser
    /// Whether W is divided by its spectral norm.
    public let isSpectral: Bool

    public init(
        channels: Int, kernel: Extent, stride: Extent = 1, padding: Padding = .same, hasBias: Bool = true,
        weights: Initialiser = .glorot, biases: Initialiser = .zero, isSpectral: Bool = false
    ) {
        self.channels = channels
        self.kernel = kernel
        self.stride = stride
        self.padding = padding
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
            "padding", default: .same, meaning: "an output of size · stride pixels, or (size − 1) · stride + kernel")
        weights = try settings.initialiser("weights", default: .he, meaning: "how the weights start")
        let bias = try settings.bias()
        (hasBias, biases) = (bias != nil, bias ?? .zero)
        isSpectral = try settings.spectral()
    }

    public var name: String { "transposed_convolution" }

    public func outputShape(for input: Shape) throws(ShapeError) -> Shape {
        _ = try requireImage(input)
        try requirePositive(channels: channels, kernel: kernel, stride: stride)
        return outputImage(for: input)
    }

    public func parameters(for input: Shape) -> [ParameterSpec] {
        convolutionParameters(
            kernel: kernel, inputs: input.channels, outputs: channels, layout: "HWOI",
            hasBias: hasBias, weights: weights, biases: biases, isSpectral: isSpectral)
    }

    public var joinsParts: Bool { true }

    public func algorithm(for input: Shape, batch: Int) -> String? { adjoint(for: input).algorithmName(batch: batch) }

    public func scratchCount(for input: Shape, batch: Int) -> Int { adjoint(for: input).scratchCount(batch: batch) }

    public func forward(_ input: Batch, into output: Batch, _ memory: LayerMemory, mode: Mode) {
        adjoint(for: input.shape).inputGradient(
            input.values, weight: memory.parameters[0], into: output.values, batch: input.count, scratch: memory.scratch
        )
        if hasBias { Reductions.add(memory.parameters[1], toRowsOf: output.values) }
    }

    public func backward(
        _ outputGradient: Batch, input: Batch, output: Batch,
        into inputGradient: Batch?, _ memory: LayerMemory, parameterGradients: Bool
    ) {
        let adjoint = adjoint(for: input.shape)
        if parameterGradients {
            adjoint.weightGradient(
                input: outputGradient.values, outputGradient: input.values,
                into: memory.gradients[0], adding: memory.addsGradients, batch: input.count, scratch: memory.scratch)
            if hasBias { memory.addBiasGradient(outputGradient.values, 1) }
        }
        if let inputGradient {
            adjoint.forward(
                outputGradient.values, weight: memory.parameters[0], into: inputGradient.values,
                batch: input.count, scratch: memory.scratch)
        }
    }

    public func tangent(
        _ inputTangent: Batch, input: Batch, output: Batch, into outputTangent: Batch, _ memory: LayerMemory
    ) {
        adjoint(for: input.shape).inputGradient(
            inputTangent.values, weight: memory.parameters[0], into: outputTangent.values, batch: input.count,
            scratch: memory.scratch)
    }

    private func outputImage(for input: Shape) -> Shape {
        guard case .image(let height, let width, _) = input else {
            preconditionFailure("a transposed convolution of \(input)")
        }
        return switch padding {
        case .same: .image(height: height * stride.height, width: width * stride.width, channels: channels)
        case .valid:
            .image(
                height: (height - 1) * stride.height + kernel.height, width: (width - 1) * stride.width + kernel.width,
                channels: channels)
        }
    }

    private func adjoint(for input: Shape) -> Convolution {
        convolutionOfImage(
            outputImage(for: input), outputChannels: input.channels, kernel: kernel, stride: stride, padding: padding)
    }

    /// HWOI becomes IOHW. Of `same`, what a kernel larger than its stride adds at the edges is cut off, and what a
    /// smaller one lacks is added.
    public func operators(
        _ x: OperatorValue, from input: Shape, in graph: any OperatorGraph
    ) -> OperatorValue? {
        let more = padding == .valid ? [0, 0] : [kernel.height - stride.height, kernel.width - stride.width]
        return graph.node(
            "ConvTranspose", [x, graph.parameter(0, order: [3, 2, 0, 1])] + (hasBias ? [graph.parameter(1)] : []),
            [
                "kernel_shape": .integers(kernel.sizes), "strides": .integers(stride.sizes),
                "pads": .integers(operatorMargins(more.map { max($0, 0) })),
                "output_padding": .integers(more.map { max(-$0, 0) }),
            ])
    }
}
