import Kernels
import Support

/// Some neighbouring values of a vector, under a shape: of x [N, D] the values start ..< start + count, as
/// [N, …shape].
///
/// Where a network is given several things as one vector, such as an image and its code, each branch of a
/// ``Residual`` begins with the slice that it is of; the sum of a dense layer of each is the dense layer of both.
public struct Slice: TangentLayer {
    public let start: Int
    public let shape: Shape

    public init(from start: Int, shape: Shape) { (self.start, self.shape) = (start, shape) }

    public init(_ settings: any LayerSettings) throws(Failure) {
        start = try settings.integer("start", 0 ... 1 << 31, meaning: "the number of the first value, from 0")
        shape = try settings.shape("shape", meaning: "the shape of the output, whose values follow from there")
    }

    public var name: String { "slice" }

    public func outputShape(for input: Shape) throws(ShapeError) -> Shape {
        let values = try requireVector(input)
        try shape.requirePositive()
        guard start >= 0, start + shape.count <= values else {
            throw ShapeError("\(shape) from value \(start) on wants \(start + shape.count) values, not \(values)")
        }
        return shape
    }

    public func forward(_ input: Batch, into output: Batch, _ memory: LayerMemory, mode: Mode) {
        take(input, into: output)
    }

    public func backward(
        _ outputGradient: Batch, input: Batch, output: Batch,
        into inputGradient: Batch?, _ memory: LayerMemory, parameterGradients: Bool
    ) {
        guard let inputGradient else { return }
        inputGradient.values.fill(0)
        for row in 0 ..< input.count {
            inputGradient[row][start ..< start + shape.count].copy(from: outputGradient[row])
        }
    }

    public func tangent(
        _ inputTangent: Batch, input: Batch, output: Batch, into outputTangent: Batch, _ memory: LayerMemory
    ) {
        take(inputTangent, into: outputTangent)
    }

    private func take(_ vectors: Batch, into target: Batch) {
        for row in 0 ..< vectors.count { target[row].copy(from: vectors[row][start ..< start + shape.count]) }
    }

    public func operators(
        _ x: OperatorValue, from input: Shape, in graph: any OperatorGraph
    ) -> OperatorValue? {
        let values = graph.node(
            "Slice", [x, graph.constant([start]), graph.constant([start + shape.count]), graph.constant([1])])
        return graph.reshaped(values, from: .vector(shape.count), to: shape)
    }
}
