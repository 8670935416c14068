import Adversarial
import Kernels
import Nets
import Runs
import Storage
import Support

/// A generator as an ONNX model: `latents` [N, Z] to `examples` [N, H, W, C] or [N, D], as `sample` writes them; of a
/// conditional one with a second input: `label` [N] int64, the number of the class in the order of the labels, or
/// `condition` [N, numbers];
/// dropout passes everything and batch normalisation uses its running statistics.
///
/// The layers add themselves to the graph (``Layer/operators(_:from:in:)``).
public final class ONNXExport: OperatorGraph {
    private let store: ParameterStore
    private var graph = ONNXGraph()
    /// The number of the layer at hand.
    private var layer = 0
    public let condition: OperatorValue

    private init(_ store: ParameterStore, condition: OperatorValue) {
        (self.store, self.condition) = (store, condition)
    }

    /// The model's bytes. Throws 78 for a layer that ONNX has no form of.
    public static func model(of generator: GeneratorModel) throws(Failure) -> [UInt8] {
        try generator.requireGenerator()
        let network = generator.network, name = generator.configuration.name
        let settings = generator.configuration.condition
        var inputs: [ONNXGraph.Input] = [("latents", .float, network.inputShape.dimensions)]
        switch settings?.condition {
        case .classes: inputs.append(("label", .int64, []))
        case .vector(let numbers): inputs.append(("condition", .float, [numbers]))
        case nil: break
        }
        let export = ONNXExport(network.store, condition: inputs.last!.name)
        var values = [generator.codes.map(export.codes) ?? "latents"]
        for (number, node) in network.nodes.enumerated() {
            export.layer = number
            let given = node.inputs.map { values[$0] }
            let output =
                node.isSum
                ? export.node("Add", given)
                : node.layer.operators(given[0], from: network.inputShapes[number], in: export)
            guard let output else {
                throw Failure(
                    .badConfiguration, "generator: layer \(node.place) (\(node.layer.name)) has no form in ONNX here",
                    remedy: "Export the parameters with --format safetensors.")
            }
            values.append(output)
        }
        let value = values.last!, shape = network.outputShape
        let examples = export.node("Identity", [shape.isImage ? export.channelsLast(value) : value])
        return export.graph.model(
            name: name,
            documentation: "The generator of \(name) after \(generator.step) steps; examples are channels last."
                + (settings?.labels.isEmpty == false ? " Classes 0, 1, … have the labels \(settings!.labels)." : ""),
            version: Program.version, inputs: inputs, output: (examples, .float, shape.dimensions))
    }

    /// z = m + L ε of the latents ε.
    private func codes(_ distribution: CodeDistribution) -> OperatorValue {
        let size = distribution.size, factor = distribution.factor.values
        let transposed = FloatBuffer((0 ..< size * size).map { factor[$0 % size * size + $0 / size] })
        let weights = withExtendedLifetime(transposed) {
            graph.constant("code/factor", [size, size], transposed.values)
        }
        return node(
            "Add",
            [node("MatMul", ["latents", weights]), graph.constant("code/mean", [size], distribution.mean.values)])
    }

    public func node(
        _ operation: String, _ inputs: [OperatorValue], _ attributes: KeyValuePairs<String, OperatorAttribute>
    ) -> OperatorValue {
        graph.node(operation, inputs, attributes)
    }

    public func constant(_ values: [Int]) -> OperatorValue { graph.constant(values) }

    public func parameter(_ index: Int, order: [Int]?) -> OperatorValue {
        let entry = store.entries.filter { $0.layer == layer }[index]
        let dimensions = entry.specification.dimensions, values = entry.values(in: store.values.values).array
        let moved = FloatBuffer(order.map { Self.transposed(values, dimensions, $0) } ?? values)
        return withExtendedLifetime(moved) {
            graph.constant(entry.name, order?.map { dimensions[$0] } ?? dimensions, moved.values)
        }
    }

    public func statistic(_ index: Int) -> OperatorValue {
        let entry = store.statisticEntries.filter { $0.layer == layer }[index]
        return graph.constant(entry.name, [entry.range.count], store.statistics.values[entry.range])
    }

    /// Dimension i of the result is dimension `order[i]` of four.
    private static func transposed(_ values: [Float], _ dimensions: [Int], _ order: [Int]) -> [Float] {
        let strides = dimensions.indices.map { dimensions[($0 + 1)...].reduce(1, *) }
        let (sizes, steps) = (order.map { dimensions[$0] }, order.map { strides[$0] })
        var result: [Float] = []
        result.reserveCapacity(values.count)
        for a in 0 ..< sizes[0] {
            for b in 0 ..< sizes[1] {
                for c in 0 ..< sizes[2] {
                    for d in 0 ..< sizes[3] {
                        result.append(values[a * steps[0] + b * steps[1] + c * steps[2] + d * steps[3]])
                    }
                }
            }
        }
        return result
    }
}
