import Kernels
import Support

/// y[…, u] = max_p x[…, u · pieces + p]: the maxima of ``Maxout`` alone, over the channels of an image or the values
/// of a vector. After a convolution of `pieces` times as many channels it makes a maxout convolution (Goodfellow et
/// al. 2013, §3).
public struct ChannelMaxout: TangentLayer {
    public let pieces: Int

    public init(pieces: Int) { self.pieces = pieces }

    public init(_ settings: any LayerSettings) throws(Failure) {
        pieces = try settings.integer("pieces", 1 ... 255, meaning: "values of which one output is the largest")
    }

    public var name: String { "channelMaxout" }

    public func outputShape(for input: Shape) throws(ShapeError) -> Shape {
        try requireAtLeastOne(pieces, "pieces")
        guard input.channels % pieces == 0 else { throw ShapeError("it wants a multiple of \(pieces) channels") }
        return switch input {
        case .vector(let count): .vector(count / pieces)
        case .image(let height, let width, let channels):
            .image(height: height, width: width, channels: channels / pieces)
        }
    }

    /// The number of the piece that won, for each unit.
    public func savedCount(for input: Shape, batch: Int) -> Int { batch * input.count / pieces }

    public func forward(_ input: Batch, into output: Batch, _ memory: LayerMemory, mode: Mode) {
        MaxoutKernels.forward(
            input.values, pieces: pieces, into: output.values, winners: memory.saved[0 ..< output.values.count])
    }

    public func backward(
        _ outputGradient: Batch, input: Batch, output: Batch,
        into inputGradient: Batch?, _ memory: LayerMemory, parameterGradients: Bool
    ) {
        guard let inputGradient else { return }
        MaxoutKernels.backward(
            outputGradient.values, winners: memory.saved[0 ..< outputGradient.values.count],
            pieces: pieces, into: inputGradient.values)
    }

    public func tangent(
        _ inputTangent: Batch, input: Batch, output: Batch, into outputTangent: Batch, _ memory: LayerMemory
    ) {
        MaxoutKernels.select(
            inputTangent.values, winners: memory.saved[0 ..< output.values.count], pieces: pieces,
            into: outputTangent.values)
    }

    public func operators(
        _ x: OperatorValue, from input: Shape, in graph: any OperatorGraph
    ) -> OperatorValue? {
        graph.maximum(of: x, shape: [0, input.channels / pieces, pieces] + input.dimensions.dropLast())
    }
}
