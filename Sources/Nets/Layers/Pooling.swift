import Kernels
import Support

/// y[n, p, q, c] = the largest, the mean or the sum of x[n, p·stride + i, q·stride + j, c], 0 ≤ i, j < size.
///
/// x [N, H, W, C], y [N, H′, W′, C]: see ``Edge``. No parameters.
public struct Pooling2D: TangentLayer {
    public enum Reduction: Sendable { case maximum, mean, sum }

    /// What becomes of windows that the lower or right edge cuts.
    public enum Edge: String, Sendable, CaseIterable {
        /// Left out: H′ = ⌊(H − size) / stride⌋ + 1, as in Flux and PyTorch.
        case whole
        /// Kept, over the pixels that are there: H′ = ⌈(H − size) / stride⌉ + 1, as in pylearn2.
        case partial
    }

    public let reduction: Reduction
    public let size: Int
    public let stride: Int
    public let edge: Edge

    public init(_ reduction: Reduction, size: Int, stride: Int, edge: Edge = .whole) {
        self.reduction = reduction
        self.size = size
        self.stride = stride
        self.edge = edge
    }

    public init(_ reduction: Reduction, _ settings: any LayerSettings) throws(Failure) {
        self.reduction = reduction
        size = try settings.integer("size", 1 ... 1024, meaning: "pixels of a window's side")
        stride = try settings.integer(
            "stride", default: size, 1 ... 1024, meaning: "pixels from one window to the next")
        edge = try settings.choice(
            "edge", default: .whole,
            meaning: "windows that the edge of the image cuts: left out, or kept with the pixels that are there")
    }

    public var name: String {
        switch reduction {
        case .maximum: "maxPool"
        case .mean: "meanPool"
        case .sum: "sumPool"
        }
    }

    public func outputShape(for input: Shape) throws(ShapeError) -> Shape {
        let (height, width, channels) = try requireImage(input)
        try requireAtLeastOne(size, "size")
        try requireAtLeastOne(stride, "stride")
        guard size <= min(height, width) else {
            throw ShapeError("it wants at least the \(size) × \(size) pixels of its window")
        }
        // A window that begins beyond the edge would hold nothing.
        guard edge == .whole || stride <= size else {
            throw ShapeError("with `edge: partial` its stride may not exceed its size")
        }
        let geometry = geometry(for: input)
        return .image(height: geometry.outputHeight, width: geometry.outputWidth, channels: channels)
    }

    /// The same by another name, where windows do not overlap and none is cut.
    var asResampling: Resample2D? {
        reduction == .mean && size == stride && edge == .whole ? Resample2D(.mean, factor: size) : nil
    }

    /// Which pixel of its window each maximum came from.
    public func savedCount(for input: Shape, batch: Int) -> Int {
        let geometry = geometry(for: input)
        return reduction == .maximum ? batch * geometry.outputHeight * geometry.outputWidth * geometry.channels : 0
    }

    public func forward(_ input: Batch, into output: Batch, _ memory: LayerMemory, mode: Mode) {
        switch reduction {
        case .maximum:
            Pooling.maximum(
                input.values, geometry(for: input.shape), batch: input.count, into: output.values, winners: memory.saved
            )
        case .mean, .sum:
            Pooling.sum(
                input.values, geometry(for: input.shape), batch: input.count, isMean: reduction == .mean,
                into: output.values)
        }
    }

    public func backward(
        _ outputGradient: Batch, input: Batch, output: Batch,
        into inputGradient: Batch?, _ memory: LayerMemory, parameterGradients: Bool
    ) {
        guard let inputGradient else { return }
        switch reduction {
        case .maximum:
            Pooling.maximumGradient(
                outputGradient.values, winners: memory.saved, geometry(for: input.shape), batch: input.count,
                into: inputGradient.values)
        case .mean, .sum:
            Pooling.sumGradient(
                outputGradient.values, geometry(for: input.shape), batch: input.count, isMean: reduction == .mean,
                into: inputGradient.values)
        }
    }

    public func tangent(
        _ inputTangent: Batch, input: Batch, output: Batch, into outputTangent: Batch, _ memory: LayerMemory
    ) {
        switch reduction {
        case .maximum:
            Pooling.selectMaximum(
                inputTangent.values, winners: memory.saved, geometry(for: input.shape), batch: input.count,
                into: outputTangent.values)
        case .mean, .sum:
            Pooling.sum(
                inputTangent.values, geometry(for: input.shape), batch: input.count, isMean: reduction == .mean,
                into: outputTangent.values)
        }
    }

    private func geometry(for input: Shape) -> PoolingGeometry {
        guard case .image(let height, let width, let channels) = input else {
            preconditionFailure("pooling of \(input)")
        }
        return PoolingGeometry(
            height: height, width: width, channels: channels, size: size, stride: stride, partial: edge == .partial)
    }

    /// ONNX divides a mean over a window that the edge cuts by the whole window.
    public func operators(
        _ x: OperatorValue, from input: Shape, in graph: any OperatorGraph
    ) -> OperatorValue? {
        guard reduction == .maximum || edge == .whole else { return nil }
        let pooled = graph.node(
            reduction == .maximum ? "MaxPool" : "AveragePool", [x],
            [
                "kernel_shape": .integers([size, size]), "strides": .integers([stride, stride]),
                "ceil_mode": .integer(edge == .partial ? 1 : 0),
            ])
        guard reduction == .sum else { return pooled }
        return graph.node("Mul", [pooled, graph.number(Float(size * size))])
    }
}
