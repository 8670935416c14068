import Kernels
import Support

/// y[n, p, q, c] = Σ over a, b of u[p, a] · u[q, b] · x[n, i[p, a], i[q, b], c]: images made larger or smaller by a
/// whole factor f. x [N, H, W, C]; y [N, f·H, f·W, C] of `upsample`, [N, ⌊H/f⌋, ⌊W/f⌋, C] of `downsample`. No
/// parameters.
///
/// * `nearest`: each pixel f × f times.
/// * `bilinear`: between the two nearest centres along each axis, beyond the outermost centres the edge's pixel
///   (PyTorch's `interpolate` with `align_corners=False`).
/// * `mean`: of f × f pixels; a row or column that fills no window is left out.
/// * `binomial`, by 2: the filter (1, 2, 1) on doubled pixels, (1, 3, 3, 1), with zeros outside the image: down
///   Σ_k (1, 3, 3, 1)_k / 8 · x[2p − 1 + k] along each axis; up twice its adjoint, ¾ of the nearest pixel and ¼ of the
///   next. As in R3GAN (Huang et al. 2024), that is a depthwise convolution, or a transposed one, of a 4 × 4 kernel,
///   stride 2 and padding 1. With zeros outside, the edge's pixels come out smaller.
public struct Resample2D: TangentLayer {
    public let filter: Resampling.Filter
    public let factor: Int

    public init(_ filter: Resampling.Filter, factor: Int = 2) {
        self.filter = filter
        self.factor = factor
    }

    private enum Larger: String, CaseIterable { case nearest, bilinear, binomial }
    private enum Smaller: String, CaseIterable { case mean, binomial }

    /// The settings of `upsample`.
    public init(larger settings: any LayerSettings) throws(Failure) {
        factor = try settings.integer("factor", default: 2, 2 ... 64, meaning: "how many times as high and as wide")
        filter =
            switch try settings.choice(
                "kind", default: Larger.nearest,
                meaning:
                    "each pixel repeated, interpolation between the nearest, or (1, 3, 3, 1) / 4 with zeros outside")
            {
            case .nearest: .nearest
            case .bilinear: .linear
            case .binomial: .binomialUp
            }
    }

    /// The settings of `downsample`.
    public init(smaller settings: any LayerSettings) throws(Failure) {
        factor = try settings.integer(
            "factor", default: 2, 2 ... 64, meaning: "pixels that become one, along each axis")
        filter =
            switch try settings.choice(
                "kind", default: Smaller.mean,
                meaning: "the mean of the pixels, or the filter (1, 3, 3, 1) / 8 with zeros outside")
            {
            case .mean: .mean
            case .binomial: .binomialDown
            }
    }

    var isLarger: Bool {
        switch filter {
        case .nearest, .linear, .binomialUp: true
        case .mean, .binomialDown: false
        }
    }

    public var name: String { isLarger ? "upsample" : "downsample" }

    public func outputShape(for input: Shape) throws(ShapeError) -> Shape {
        let (height, width, channels) = try requireImage(input)
        try requireAtLeastOne(factor, "factor")
        if filter == .binomialUp || filter == .binomialDown {
            guard factor == 2 else { throw ShapeError("`kind: binomial` is a filter for `factor: 2`, not \(factor)") }
        }
        guard isLarger || factor <= min(height, width) else {
            throw ShapeError("it wants at least the \(factor) × \(factor) pixels that become one")
        }
        let resampling = resampling(of: input)
        return .image(height: resampling.outputHeight, width: resampling.outputWidth, channels: channels)
    }

    public func applying(_ next: any Layer, to input: Shape) -> (any Layer)? {
        isLarger ? (next as? Convolution2D)?.joined(with: self, of: input) : nil
    }

    public func forward(_ input: Batch, into output: Batch, _ memory: LayerMemory, mode: Mode) {
        resampling(of: input.shape).forward(input.values, into: output.values, batch: input.count)
    }

    public func backward(
        _ outputGradient: Batch, input: Batch, output: Batch,
        into inputGradient: Batch?, _ memory: LayerMemory, parameterGradients: Bool
    ) {
        guard let inputGradient else { return }
        resampling(of: input.shape).backward(outputGradient.values, into: inputGradient.values, batch: input.count)
    }

    public func tangent(
        _ inputTangent: Batch, input: Batch, output: Batch, into outputTangent: Batch, _ memory: LayerMemory
    ) {
        resampling(of: input.shape).forward(inputTangent.values, into: outputTangent.values, batch: input.count)
    }

    func resampling(of input: Shape) -> Resampling {
        guard case .image(let height, let width, let channels) = input else {
            preconditionFailure("resampling of \(input)")
        }
        return Resampling(height: height, width: width, channels: channels, factor: factor, filter: filter)
    }

    public func operators(
        _ x: OperatorValue, from input: Shape, in graph: any OperatorGraph
    ) -> OperatorValue? {
        let sides = OperatorAttribute.integers([factor, factor])
        switch filter {
        case .nearest, .linear:
            // Its second input, a region of interest, is left out.
            let scales = graph.floats(graph.constant([1, 1, factor, factor]))
            return graph.node("Resize", [x, "", scales], ["mode": .text(filter == .nearest ? "nearest" : "linear")])
        case .mean:
            return graph.node("AveragePool", [x], ["kernel_shape": sides, "strides": sides])
        case .binomialDown, .binomialUp:
            let isLarger = isLarger
            return graph.node(
                isLarger ? "ConvTranspose" : "Conv",
                [x, Self.kernel(channels: input.channels, dividedBy: isLarger ? 4 : 8, in: graph)],
                [
                    "kernel_shape": .integers([4, 4]), "strides": sides, "pads": .integers([1, 1, 1, 1]),
                    "group": .integer(input.channels),
                ])
        }
    }

    /// (1, 3, 3, 1) / divisor along both axes, a channel.
    private static func kernel(
        channels: Int, dividedBy divisor: Float, in graph: any OperatorGraph
    ) -> OperatorValue {
        let filter = graph.node("Div", [graph.floats(graph.constant([1, 3, 3, 1])), graph.number(divisor)])
        let column = graph.node("Reshape", [filter, graph.constant([4, 1])])
        return graph.node("Expand", [graph.node("Mul", [column, filter]), graph.constant([channels, 1, 4, 4])])
    }
}
