import Adversarial
import Kernels
import Nets
import Runs
import Storage
import Support

/// A generator as an ONNX model: `latents` [N, Z] to `examples` [N, H, W, C] or [N, D], as `sample` writes them;
/// dropout passes everything and batch normalisation uses its running statistics.
///
/// ONNX has channels before pixels: within the graph images are [N, C, H, W], and are turned where they become
/// vectors and at the end.
public struct ONNXExport {
    private let network: Network
    private var graph = ONNXGraph()

    /// The model's bytes. Throws 78 for a layer that ONNX has no form of.
    public static func model(of generator: GeneratorModel) throws(Failure) -> [UInt8] {
        var export = ONNXExport(generator.network)
        return try export.model(name: generator.configuration.name, step: generator.step)
    }

    private init(_ network: Network) { self.network = network }

    private mutating func model(name: String, step: Int) throws(Failure) -> [UInt8] {
        var value = "latents", shape = network.inputShape
        for number in network.layers.indices {
            let output = network.outputShapes[number]
            value = try add(network.layers[number], number, value, from: shape, to: output)
            shape = output
        }
        let last = isImage(shape) ? turned(value, [0, 2, 3, 1]) : value
        let examples = graph.node("Identity", [last])
        return graph.model(
            name: name, documentation: "The generator of \(name) after \(step) steps; examples are channels last.",
            version: Program.version,
            input: ("latents", network.inputShape.dimensions), output: (examples, network.outputShape.dimensions))
    }

    private mutating func add(
        _ layer: any Layer, _ number: Int, _ x: String, from input: Shape, to output: Shape
    ) throws(Failure) -> String {
        switch layer {
        case is Dense: linear(number, x)
        case let layer as Maxout: maximum(of: linear(number, x), shape: [0, layer.units, layer.pieces])
        case let layer as ChannelMaxout:
            maximum(
                of: x,
                shape: isImage(input)
                    ? [0, output.channels, layer.pieces] + pixels(input) : [0, output.count, layer.pieces])
        case let layer as Convolution2D: convolution(layer, number, x, input)
        case let layer as TransposedConvolution2D: transposedConvolution(layer, number, x)
        case let layer as BatchNormalisation: normalisation(layer, number, x)
        case let layer as SynchronisedBatchNormalisation: normalisation(layer.single, number, x)
        case is Reshape, is Flatten: reshaped(x, from: input, to: output)
        case is Dropout: x
        case is ReLU: graph.node("Relu", [x])
        case let layer as LeakyReLU: graph.node("LeakyRelu", [x], ["alpha": .float(layer.slope)])
        case is Sigmoid: graph.node("Sigmoid", [x])
        case is Tanh: graph.node("Tanh", [x])
        case let layer as ZeroPadding:
            graph.node(
                "Pad", [x, graph.constant([0, 0, layer.pixels, layer.pixels, 0, 0, layer.pixels, layer.pixels])])
        case let layer as Pooling2D where layer.reduction == .maximum || layer.edge == .whole:
            graph.node(
                layer.reduction == .maximum ? "MaxPool" : "AveragePool", [x],
                [
                    "kernel_shape": .integers([layer.size, layer.size]),
                    "strides": .integers([layer.stride, layer.stride]),
                    "ceil_mode": .integer(layer.edge == .partial ? 1 : 0),
                ])
        default:
            throw Failure(
                .badConfiguration, "generator: layer \(number) (\(layer.name)) has no form in ONNX here",
                remedy: "Export the parameters with --format safetensors.")
        }
    }

    // MARK: - Layers

    /// z = x W + b.
    private mutating func linear(_ number: Int, _ x: String) -> String {
        let weight = parameter("weight", number)!
        guard let bias = parameter("bias", number) else { return graph.node("MatMul", [x, weight]) }
        return graph.node("Gemm", [x, weight, bias])
    }

    /// The largest of the pieces, which `shape` has as its third dimension.
    private mutating func maximum(of x: String, shape: [Int]) -> String {
        let pieces = graph.node("Reshape", [x, graph.constant(shape)])
        return graph.node("ReduceMax", [pieces], ["axes": .integers([2]), "keepdims": .integer(0)])
    }

    /// HWIO becomes OIHW.
    private mutating func convolution(_ layer: Convolution2D, _ number: Int, _ x: String, _ input: Shape) -> String {
        func missing(_ size: Int, _ kernel: Int, _ stride: Int) -> Int {
            layer.padding == .valid ? 0 : max(((size + stride - 1) / stride - 1) * stride + kernel - size, 0)
        }
        let size = pixels(input)
        let margins = Self.margins([
            missing(size[0], layer.kernel.height, layer.stride.height),
            missing(size[1], layer.kernel.width, layer.stride.width),
        ])
        return graph.node(
            "Conv",
            [x, parameter("weight", number, order: [3, 2, 0, 1])!] + [parameter("bias", number)].compactMap { $0 },
            [
                "kernel_shape": .integers(Self.sizes(layer.kernel)), "strides": .integers(Self.sizes(layer.stride)),
                "pads": .integers(margins),
            ])
    }

    /// HWOI becomes IOHW. Of `same`, what a kernel larger than its stride adds at the edges is cut off, and what a
    /// smaller one lacks is added.
    private mutating func transposedConvolution(_ layer: TransposedConvolution2D, _ number: Int, _ x: String) -> String
    {
        let more =
            layer.padding == .valid
            ? [0, 0] : [layer.kernel.height - layer.stride.height, layer.kernel.width - layer.stride.width]
        return graph.node(
            "ConvTranspose",
            [x, parameter("weight", number, order: [3, 2, 0, 1])!] + [parameter("bias", number)].compactMap { $0 },
            [
                "kernel_shape": .integers(Self.sizes(layer.kernel)), "strides": .integers(Self.sizes(layer.stride)),
                "pads": .integers(Self.margins(more.map { max($0, 0) })),
                "output_padding": .integers(more.map { max(-$0, 0) }),
            ])
    }

    /// Above, left, below, right of so many rows and columns; the odd one is below or right.
    private static func margins(_ totals: [Int]) -> [Int] { totals.map { $0 / 2 } + totals.map { $0 - $0 / 2 } }

    private static func sizes(_ extent: Extent) -> [Int] { [extent.height, extent.width] }

    private mutating func normalisation(_ layer: BatchNormalisation, _ number: Int, _ x: String) -> String {
        let statistics = network.store.statisticEntries.filter { $0.layer == number }.map { entry in
            graph.constant(entry.name, [entry.range.count], network.store.statistics.values[entry.range])
        }
        return graph.node(
            "BatchNormalization", [x, parameter("scale", number)!, parameter("shift", number)!] + statistics,
            ["epsilon": .float(layer.epsilon)])
    }

    /// The same values in the program's order, channels fastest, under another shape.
    private mutating func reshaped(_ x: String, from input: Shape, to output: Shape) -> String {
        let flat = isImage(input) ? turned(x, [0, 2, 3, 1]) : x
        let shaped = graph.node(
            "Reshape", [flat, graph.constant([0] + (isImage(output) ? output.dimensions : [output.count]))])
        return isImage(output) ? turned(shaped, [0, 3, 1, 2]) : shaped
    }

    // MARK: - Values

    private mutating func turned(_ x: String, _ order: [Int]) -> String {
        graph.node("Transpose", [x], ["perm": .integers(order)])
    }

    private func isImage(_ shape: Shape) -> Bool { if case .image = shape { true } else { false } }

    /// Height and width.
    private func pixels(_ shape: Shape) -> [Int] { Array(shape.dimensions.prefix(2)) }

    /// A parameter of a layer, its dimensions in another order where one is given; nil where it has none of that name.
    private mutating func parameter(_ name: String, _ number: Int, order: [Int]? = nil) -> String? {
        guard let entry = network.store.entries.first(where: { $0.layer == number && $0.specification.name == name })
        else { return nil }
        let values = network.store.values.values[entry.range], dimensions = entry.specification.dimensions
        guard let order else { return graph.constant(entry.name, dimensions, values) }
        let moved = FloatBuffer(Self.transposed(values, dimensions, order))
        return withExtendedLifetime(moved) { graph.constant(entry.name, order.map { dimensions[$0] }, moved.values) }
    }

    /// Dimension i of the result is dimension `order[i]` of four.
    private static func transposed(_ values: Floats, _ dimensions: [Int], _ order: [Int]) -> [Float] {
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
