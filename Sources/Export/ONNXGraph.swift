import Kernels
import Nets
import Storage

/// A graph of ONNX operators (onnx/onnx.proto, IR version 8, operators of opset 17) as it grows, node after node.
struct ONNXGraph {
    /// Field numbers of onnx.proto, by message.
    private enum Field {
        enum Model {
            static let irVersion = 1, producer = 2, producerVersion = 3, documentation = 6, graph = 7, opset = 8
        }
        enum Graph { static let node = 1, name = 2, initializer = 5, input = 11, output = 12 }
        enum Node { static let input = 1, output = 2, operation = 4, attribute = 5 }
        enum AttributeMessage { static let name = 1, float = 2, integer = 3, text = 4, integers = 8, type = 20 }
        enum Tensor { static let dimension = 1, type = 2, name = 8, bytes = 9 }
    }

    /// TensorProto.DataType.
    enum ElementType: Int { case float = 1, int64 = 7 }

    /// An input or output: a batch of any size of values of these dimensions.
    typealias Input = (name: OperatorValue, type: ElementType, dimensions: [Int])

    private var graph = ProtobufWriter()
    private var count = 0

    /// The result of an operator on `inputs`.
    mutating func node(
        _ operation: String, _ inputs: [OperatorValue], _ attributes: KeyValuePairs<String, OperatorAttribute> = [:]
    ) -> OperatorValue {
        count += 1
        let output = "\(operation.lowercased())_\(count)"
        graph.add(Field.Graph.node) { node in
            for input in inputs { node.add(Field.Node.input, input) }
            node.add(Field.Node.output, output)
            node.add(Field.Node.operation, operation)
            for (name, value) in attributes { node.add(Field.Node.attribute) { Self.add(value, named: name, to: &$0) } }
        }
        return output
    }

    private static func add(_ value: OperatorAttribute, named name: String, to message: inout ProtobufWriter) {
        message.add(Field.AttributeMessage.name, name)
        switch value {
        case .float(let value):
            message.add(Field.AttributeMessage.float, value)
            message.add(Field.AttributeMessage.type, 1)
        case .integer(let value):
            message.add(Field.AttributeMessage.integer, value)
            message.add(Field.AttributeMessage.type, 2)
        case .text(let text):
            message.add(Field.AttributeMessage.text, text)
            message.add(Field.AttributeMessage.type, 3)
        case .integers(let values):
            for value in values { message.add(Field.AttributeMessage.integers, value) }
            message.add(Field.AttributeMessage.type, 7)
        }
    }

    /// An array that the graph holds.
    mutating func constant(_ name: String, _ dimensions: [Int], _ values: Floats) -> OperatorValue {
        precondition(values.count == dimensions.reduce(1, *), "\(name): \(values.count) values for \(dimensions)")
        return constant(name, dimensions, .float, Array(values.bytes))
    }

    mutating func constant(_ values: [Int]) -> OperatorValue {
        count += 1
        return constant(
            "shape_\(count)", [values.count], .int64,
            values.flatMap { value in (0 ..< 8).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) } })
    }

    private mutating func constant(
        _ name: String, _ dimensions: [Int], _ type: ElementType, _ bytes: [UInt8]
    ) -> OperatorValue {
        graph.add(Field.Graph.initializer) { tensor in
            for dimension in dimensions { tensor.add(Field.Tensor.dimension, dimension) }
            tensor.add(Field.Tensor.type, type.rawValue)
            tensor.add(Field.Tensor.name, name)
            tensor.add(Field.Tensor.bytes, bytes)
        }
        return name
    }

    /// The whole model.
    func model(
        name: String, documentation: String, version: String, inputs: [Input], output: Input
    ) -> [UInt8] {
        var graph = graph
        graph.add(Field.Graph.name, name)
        for input in inputs { graph.add(Field.Graph.input) { Self.describe(input, to: &$0) } }
        graph.add(Field.Graph.output) { Self.describe(output, to: &$0) }
        var model = ProtobufWriter()
        model.add(Field.Model.irVersion, 8)
        model.add(Field.Model.producer, "gan-dist")
        model.add(Field.Model.producerVersion, version)
        model.add(Field.Model.documentation, documentation)
        model.add(Field.Model.graph, graph.bytes)
        // OperatorSetIdProto: the standard domain has no name.
        model.add(Field.Model.opset) {
            $0.add(1, "")
            $0.add(2, 17)
        }
        return model.bytes
    }

    /// ValueInfoProto: name, then type → tensor → element type and shape → dimensions, each a number or a name.
    private static func describe(_ value: Input, to message: inout ProtobufWriter) {
        message.add(1, value.name)
        message.add(2) { type in
            type.add(1) { tensor in
                tensor.add(1, value.type.rawValue)
                tensor.add(2) { shape in
                    shape.add(1) { $0.add(2, "batch") }
                    for dimension in value.dimensions { shape.add(1) { $0.add(1, dimension) } }
                }
            }
        }
    }
}
