import Kernels
import Support

/// `pixels` zeros on each side of an image: x [N, H, W, C] becomes [N, H + 2·pixels, W + 2·pixels, C]. Before a
/// convolution with `padding: valid` it is what other programs call that convolution's padding.
public struct ZeroPadding: TangentLayer {
    public let pixels: Int

    public init(pixels: Int) { self.pixels = pixels }

    public init(_ settings: any LayerSettings) throws(Failure) {
        pixels = try settings.integer("pixels", 1 ... 1024, meaning: "zeros on each side")
    }

    public var name: String { "zeroPadding" }

    public func outputShape(for input: Shape) throws(ShapeError) -> Shape {
        let (height, width, channels) = try requireImage(input)
        try requireAtLeastOne(pixels, "pixels")
        return .image(height: height + 2 * pixels, width: width + 2 * pixels, channels: channels)
    }

    public func forward(_ input: Batch, into output: Batch, _ memory: LayerMemory, mode: Mode) {
        pad(input, into: output)
    }

    public func backward(
        _ outputGradient: Batch, input: Batch, output: Batch,
        into inputGradient: Batch?, _ memory: LayerMemory, parameterGradients: Bool
    ) {
        guard let inputGradient else { return }
        forEachRow(of: inputGradient, in: outputGradient) { small, large in small.copy(from: large) }
    }

    public func tangent(
        _ inputTangent: Batch, input: Batch, output: Batch, into outputTangent: Batch, _ memory: LayerMemory
    ) {
        pad(inputTangent, into: outputTangent)
    }

    private func pad(_ images: Batch, into padded: Batch) {
        padded.values.fill(0)
        forEachRow(of: images, in: padded) { small, large in large.copy(from: small) }
    }

    /// Each row of the images, and the part of the padded row that holds it.
    private func forEachRow(of images: Batch, in padded: Batch, _ body: (Floats, Floats) -> Void) {
        guard case .image(let height, let width, let channels) = images.shape else {
            preconditionFailure("padding of \(images.shape)")
        }
        let row = width * channels, wideRow = row + 2 * pixels * channels
        for image in 0 ..< images.count {
            for y in 0 ..< height {
                let small = (image * height + y) * row
                let large = (image * (height + 2 * pixels) + y + pixels) * wideRow + pixels * channels
                body(images.values[small ..< small + row], padded.values[large ..< large + row])
            }
        }
    }

    public func operators(
        _ x: OperatorValue, from input: Shape, in graph: any OperatorGraph
    ) -> OperatorValue? {
        graph.node("Pad", [x, graph.constant([0, 0, pixels, pixels, 0, 0, pixels, pixels])])
    }
}
