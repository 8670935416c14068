import Kernels
import Support

/// y[n, h, w, c] = B[h, w, c] · (z_n W)[c]: a learned image a channel, times a linear map of the input, with which
/// R3GAN's generator begins (Huang et al. 2024, arXiv:2501.05441).
///
/// z [N, Z], W `weight` [Z, C], B `basis` [H, W, C], y [N, H, W, C].
public struct Basis: TangentLayer {
    public let height: Int
    public let width: Int
    public let channels: Int
    public let weights: Initialiser
    public let values: Initialiser
    /// Whether W is divided by its spectral norm.
    public let isSpectral: Bool

    public init(
        height: Int, width: Int, channels: Int, weights: Initialiser = .glorot, values: Initialiser = .normal(1),
        isSpectral: Bool = false
    ) {
        (self.height, self.width, self.channels) = (height, width, channels)
        (self.weights, self.values, self.isSpectral) = (weights, values, isSpectral)
    }

    public init(_ settings: any LayerSettings) throws(Failure) {
        height = try settings.integer("height", 1 ... 4096, meaning: "pixels of the output")
        width = try settings.integer("width", 1 ... 4096, meaning: "pixels of the output")
        channels = try settings.integer("channels", 1 ... 1 << 20, meaning: "channels of the output")
        weights = try settings.initialiser("weights", default: .glorot, meaning: "how the linear map starts")
        values = try settings.initialiser("values", default: .normal(1), meaning: "how the images start")
        isSpectral = try settings.spectral()
    }

    public var name: String { "basis" }

    public func outputShape(for input: Shape) throws(ShapeError) -> Shape {
        _ = try requireVector(input)
        let shape = Shape.image(height: height, width: width, channels: channels)
        try shape.requirePositive()
        return shape
    }

    public func parameters(for input: Shape) -> [ParameterSpec] {
        linearParameters(
            input: input.count, outputs: channels, hasBias: false, weights: weights, biases: .zero,
            isSpectral: isSpectral) + [
                ParameterSpec(
                    "basis", [height, width, channels], layout: "HWC", initialiser: values, fanIn: 1,
                    fanOut: height * width * channels)
            ]
    }

    /// z W, or its gradient, and what the product by W wants.
    public func scratchCount(for input: Shape, batch: Int) -> Int {
        batch * channels + linearProduct(rows: batch, inputs: input.count, outputs: channels).scratchCount
    }

    public func forward(_ input: Batch, into output: Batch, _ memory: LayerMemory, mode: Mode) {
        multiply(input, into: output, memory)
    }

    public func tangent(
        _ inputTangent: Batch, input: Batch, output: Batch, into outputTangent: Batch, _ memory: LayerMemory
    ) {
        multiply(inputTangent, into: outputTangent, memory)
    }

    private func multiply(_ input: Batch, into output: Batch, _ memory: LayerMemory) {
        let factors = factors(of: input, memory)
        for example in 0 ..< input.count {
            LayerNormalisationKernels.scale(
                memory.parameters[1], by: factors[example * channels ..< (example + 1) * channels],
                into: output[example])
        }
    }

    /// z W, in scratch memory.
    private func factors(of input: Batch, _ memory: LayerMemory) -> Floats {
        let (factors, rest) = scratch(input, memory)
        multiplyRows(input, memory.parameters, hasBias: false, into: factors, scratch: rest)
        return factors
    }

    private func scratch(_ input: Batch, _ memory: LayerMemory) -> (factors: Floats, rest: Floats) {
        let count = input.count * channels
        return (memory.scratch[0 ..< count], memory.scratch[count ..< memory.scratch.count])
    }

    public func backward(
        _ outputGradient: Batch, input: Batch, output: Batch,
        into inputGradient: Batch?, _ memory: LayerMemory, parameterGradients: Bool
    ) {
        if parameterGradients {
            let factors = factors(of: input, memory), gradient = memory.gradientToAdd(1)
            for example in 0 ..< input.count {
                BasisKernels.addProducts(
                    outputGradient[example], factors[example * channels ..< (example + 1) * channels], to: gradient)
            }
        }
        let (sums, rest) = scratch(input, memory)
        sums.fill(0)
        for example in 0 ..< input.count {
            LayerNormalisationKernels.addProducts(
                outputGradient[example], memory.parameters[1], to: sums[example * channels ..< (example + 1) * channels]
            )
        }
        multiplyRowsBackward(
            sums, input: input, memory, hasBias: false, into: inputGradient, parameterGradients: parameterGradients,
            scratch: rest)
    }

    public func operators(
        _ x: OperatorValue, from input: Shape, in graph: any OperatorGraph
    ) -> OperatorValue? {
        let factors = graph.node("Reshape", [graph.linear(x, hasBias: false), graph.constant([0, channels, 1, 1])])
        let basis = graph.node("Transpose", [graph.parameter(1)], ["perm": .integers([2, 0, 1])])
        return graph.node("Mul", [factors, basis])
    }
}
