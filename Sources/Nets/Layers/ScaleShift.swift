import Kernels
import Support

/// y[n, …, c] = scale[c] · x[n, …, c] + shift[c], or one of the two alone, of a vector or an image.
///
/// `scale` [C], `shift` [C].
public struct ScaleShift: TangentLayer {
    /// How the scales and the shifts start; nil: there are none.
    public let scale: Initialiser?
    public let shift: Initialiser?

    public init(scale: Initialiser? = .constant(1), shift: Initialiser? = .zero) {
        self.scale = scale
        self.shift = shift
    }

    private enum Learned: String, CaseIterable { case both, scale, shift }

    public init(_ settings: any LayerSettings) throws(Failure) {
        let learned = try settings.choice(
            "learned", default: Learned.both, meaning: "a scale and a shift a channel, or one of them alone")
        scale =
            learned == .shift
            ? nil : try settings.initialiser("scale", default: .constant(1), meaning: "how the scales start")
        shift =
            learned == .scale ? nil : try settings.initialiser("shift", default: .zero, meaning: "how the shifts start")
    }

    public var name: String { "scale_shift" }
    /// Of a shift alone backward reads no input.
    public var outputMemory: OutputMemory { scale == nil ? .overInput : .own }

    public func outputShape(for input: Shape) throws(ShapeError) -> Shape {
        guard scale != nil || shift != nil else { throw ShapeError("neither a scale nor a shift is to be learned") }
        return input
    }

    public func parameters(for input: Shape) -> [ParameterSpec] {
        func parameter(_ name: String, _ initialiser: Initialiser?) -> [ParameterSpec] {
            initialiser.map {
                [ParameterSpec(name, [input.channels], layout: "C", initialiser: $0, fanIn: 1, fanOut: 1)]
            } ?? []
        }
        return parameter("scale", scale) + parameter("shift", shift)
    }

    private var shiftIndex: Int { scale == nil ? 0 : 1 }

    public func forward(_ input: Batch, into output: Batch, _ memory: LayerMemory, mode: Mode) {
        scaled(input.values, into: output.values, memory)
        if shift != nil { Reductions.add(memory.parameters[shiftIndex], toRowsOf: output.values) }
    }

    public func backward(
        _ outputGradient: Batch, input: Batch, output: Batch,
        into inputGradient: Batch?, _ memory: LayerMemory, parameterGradients: Bool
    ) {
        if parameterGradients {
            if scale != nil {
                LayerNormalisationKernels.addProducts(
                    outputGradient.values, input.values, to: memory.gradientToAdd(0))
            }
            if shift != nil { memory.addBiasGradient(outputGradient.values, shiftIndex) }
        }
        if let inputGradient { scaled(outputGradient.values, into: inputGradient.values, memory) }
    }

    public func tangent(
        _ inputTangent: Batch, input: Batch, output: Batch, into outputTangent: Batch, _ memory: LayerMemory
    ) {
        scaled(inputTangent.values, into: outputTangent.values, memory)
    }

    private func scaled(_ values: Floats, into result: Floats, _ memory: LayerMemory) {
        if scale == nil {
            copyIfElsewhere(values, to: result)
        } else {
            LayerNormalisationKernels.scale(values, by: memory.parameters[0], into: result)
        }
    }

    public func operators(
        _ x: OperatorValue, from input: Shape, in graph: any OperatorGraph
    ) -> OperatorValue? {
        graph.scaled(
            x, by: scale == nil ? nil : graph.parameter(0), shift: shift == nil ? nil : graph.parameter(shiftIndex),
            of: input)
    }
}
