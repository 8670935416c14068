import Kernels
import Support

/// y = body(x) + skip(x), `skip` the identity where it has no layers: He et al. 2016 (arXiv:1512.03385, eqs. 1 and 2).
///
/// It stands in a list of layers, at any depth, as a layer does. A network computes its layers as nodes of their own:
/// those of the body, those of the skip and the sum (``NetworkNode``). Of this value it asks shapes alone.
public struct Residual: Layer {
    public let body: [any Layer]
    public let skip: [any Layer]

    public init(body: [any Layer], skip: [any Layer] = []) { (self.body, self.skip) = (body, skip) }

    public init(_ settings: any LayerSettings) throws(Failure) {
        body = try settings.layers("body", meaning: "the layers whose output is added to the skip's")
        skip = try settings.optionalLayers("skip", meaning: "layers beside the body; without them the input itself")
    }

    public var name: String { "residual" }

    /// Throws where the body has no layers, or makes another shape than the skip.
    public func outputShape(for input: Shape) throws(ShapeError) -> Shape {
        guard !body.isEmpty else { throw ShapeError("its `body` has no layers") }
        let (made, beside) = (try Self.shape(of: body, input), try Self.shape(of: skip, input))
        return try Addition(hasSkip: !skip.isEmpty).outputShape(body: made, skip: beside)
    }

    private static func shape(of layers: [any Layer], _ input: Shape) throws(ShapeError) -> Shape {
        var shape = input
        for layer in layers { shape = try layer.outputShape(for: shape) }
        return shape
    }

    public func forward(_ input: Batch, into output: Batch, _ memory: LayerMemory, mode: Mode) {
        preconditionFailure("a residual is computed as the nodes of a network")
    }

    public func backward(
        _ outputGradient: Batch, input: Batch, output: Batch,
        into inputGradient: Batch?, _ memory: LayerMemory, parameterGradients: Bool
    ) {
        preconditionFailure("a residual is computed as the nodes of a network")
    }
}

/// y = a + b, at the end of a ``Residual``, whose name it has: the one layer with two inputs, so the network itself
/// computes it. J = (1 1): its gradient is the gradient of both.
struct Addition: DiagonalLayer {
    /// Whether b is made by layers, rather than the input of the residual.
    let hasSkip: Bool

    var name: String { "residual" }
    var outputMemory: OutputMemory { .overInput }
    func outputShape(for input: Shape) throws(ShapeError) -> Shape { input }

    func outputShape(body: Shape, skip: Shape) throws(ShapeError) -> Shape {
        guard body != skip else { return body }
        throw ShapeError(
            hasSkip
                ? "its `body` makes \(body) and its `skip` \(skip): they are added, so give both the same shape"
                : "its `body` makes \(body) of the input \(skip), to which that is added: give it a `skip` that makes "
                    + "\(body) too")
    }

    func forward(_ input: Batch, into output: Batch, _ memory: LayerMemory, mode: Mode) {
        preconditionFailure("an addition has two inputs")
    }

    func backward(
        _ outputGradient: Batch, input: Batch, output: Batch,
        into inputGradient: Batch?, _ memory: LayerMemory, parameterGradients: Bool
    ) {
        preconditionFailure("an addition has two inputs")
    }

    /// b is added to a in the memory of either, or elsewhere.
    static func add(_ a: Floats, _ b: Floats, into output: Floats) {
        if output.base == b.base {
            Reductions.add(a, to: output)
        } else {
            copyIfElsewhere(a, to: output)
            Reductions.add(b, to: output)
        }
    }
}
