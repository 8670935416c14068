import Kernels
import Support

/// In training y = x · mask / keep, mask 1 with probability keep and 0 otherwise, drawn per value; in sampling y = x.
/// Srivastava et al. 2014, scaled in training ("inverted") so that sampling needs no factor.
public struct Dropout: DiagonalLayer {
    /// The probability that a value is *kept*, in (0, 1].
    public let keepProbability: Float

    public init(keepProbability: Float) { self.keepProbability = keepProbability }

    public init(_ settings: any LayerSettings) throws(Failure) {
        keepProbability = Float(
            try settings.number("keep", default: 0.5, 0.001 ... 1, meaning: "the probability that a value is kept"))
    }

    public var name: String { "dropout" }
    public var outputMemory: OutputMemory { .overInput }

    public func outputShape(for input: Shape) throws(ShapeError) -> Shape {
        guard keepProbability > 0 && keepProbability <= 1 else {
            throw ShapeError("the probability to keep a value must be above 0 and at most 1, not \(keepProbability)")
        }
        return input
    }

    /// The mask.
    public func savedCount(for input: Shape, batch: Int) -> Int { batch * input.count }

    public func forward(_ input: Batch, into output: Batch, _ memory: LayerMemory, mode: Mode) {
        switch mode {
        case .sampling:
            copyIfElsewhere(input.values, to: output.values)
        case .training(let draws):
            let mask = memory.saved[0 ..< input.values.count]
            draws.fillKeepMask(mask, samples: input.count, layer: memory.layer, keep: keepProbability)
            Activations.applyMask(mask, factor: 1 / keepProbability, to: input.values, into: output.values)
        }
    }

    public func backward(
        _ outputGradient: Batch, input: Batch, output: Batch,
        into inputGradient: Batch?, _ memory: LayerMemory, parameterGradients: Bool
    ) {
        guard let inputGradient else { return }
        if memory.isSampling { return copyIfElsewhere(outputGradient.values, to: inputGradient.values) }
        let mask = memory.saved[0 ..< outputGradient.values.count]
        Activations.applyMask(mask, factor: 1 / keepProbability, to: outputGradient.values, into: inputGradient.values)
    }

    public func operators(
        _ x: OperatorValue, from input: Shape, in graph: any OperatorGraph
    ) -> OperatorValue? {
        x
    }
}
