import Kernels
import Support

/// y = [x, c]: the example's condition itself joined to a vector, a class as a vector with a single 1 (Mirza &
/// Osindero 2014); of an image, as further channels that are the same in every pixel.
///
/// N examples, C channels (values of a vector), K classes or numbers of a vector: x [N, …, C], y [N, …, C + K].
public struct JoinedCondition: TangentLayer, ConditionalLayer {
    public let condition: Condition

    public init(_ condition: Condition) { self.condition = condition }

    public init(_ settings: any LayerSettings) throws(Failure) { condition = try settings.condition() }

    public var name: String { "join_condition" }

    public func outputShape(for input: Shape) throws(ShapeError) -> Shape {
        JoinedChannels.outputShape(for: input, adding: condition.inputs)
    }

    /// c of one example.
    public func scratchCount(for input: Shape, batch: Int) -> Int { condition.inputs }

    public func forward(_ input: Batch, into output: Batch, _ memory: LayerMemory, mode: Mode) {
        let values = memory.scratch[0 ..< condition.inputs]
        JoinedChannels.copy(input, into: output)
        for row in 0 ..< input.count {
            values.fill(0)
            condition.forEachTerm(of: row, in: memory.condition) { values[$0] = $1 }
            JoinedChannels.set(values, in: output[row], channels: output.shape.channels)
        }
    }

    public func backward(
        _ outputGradient: Batch, input: Batch, output: Batch,
        into inputGradient: Batch?, _ memory: LayerMemory, parameterGradients: Bool
    ) {
        if let inputGradient { JoinedChannels.copy(outputGradient, into: inputGradient) }
    }

    public func tangent(
        _ inputTangent: Batch, input: Batch, output: Batch, into outputTangent: Batch, _ memory: LayerMemory
    ) {
        JoinedChannels.tangent(inputTangent, into: outputTangent)
    }

    public func operators(
        _ x: OperatorValue, from input: Shape, in graph: any OperatorGraph
    ) -> OperatorValue? {
        var values = graph.condition
        if case .classes(let count) = condition {
            let column = graph.node("Unsqueeze", [values, graph.constant([1])])
            let isClass = graph.node("Equal", [column, graph.constant(Array(0 ..< count))])
            // TensorProto.DataType: 1 is float.
            values = graph.node("Cast", [isClass], ["to": .integer(1)])
        }
        return JoinedChannels.operators(x, values, count: condition.inputs, from: input, in: graph)
    }
}
