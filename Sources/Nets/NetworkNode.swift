/// A layer of a network with the numbers of the values that it reads: 0 is the network's input, n + 1 what node n
/// makes.
public struct NetworkNode: Sendable {
    public let layer: any Layer
    /// Earlier values: one; two of the sum at the end of a ``Residual``, of its body and of its skip.
    public let inputs: [Int]
    /// Where it stands in the list of layers, as a configuration counts: `3`, `3.residual.body.0`.
    public let place: String
    /// Its name in checkpoints and traces: `3.dense`, `3.residual/body/0.dense`.
    public let path: String

    /// Whether it adds two values.
    public var isSum: Bool { inputs.count == 2 }

    /// The nodes of a list of layers, each after those that it reads: of a ``Residual`` those of its body, those of
    /// its skip, and the sum. Without residuals they are the layers, by their numbers.
    public static func list(of layers: [any Layer]) -> [NetworkNode] {
        var nodes: [NetworkNode] = []
        _ = append(layers, reading: 0, place: "", path: "", to: &nodes)
        return nodes
    }

    /// Returns the value that the last of the layers makes.
    private static func append(
        _ layers: [any Layer], reading input: Int, place: String, path: String, to nodes: inout [NetworkNode]
    ) -> Int {
        var value = input
        for (number, layer) in layers.enumerated() {
            let place = "\(place)\(number)", path = "\(path)\(number).\(layer.name)"
            func branch(_ name: String, _ layers: [any Layer]) -> Int {
                append(
                    layers, reading: value, place: "\(place).\(layer.name).\(name).", path: "\(path)/\(name)/",
                    to: &nodes)
            }
            // A residual without a body stays as it is, for its shapes to be refused.
            if let residual = layer as? Residual, !residual.body.isEmpty {
                let inputs = [branch("body", residual.body), branch("skip", residual.skip)]
                let sum = Addition(hasSkip: !residual.skip.isEmpty)
                nodes.append(NetworkNode(layer: sum, inputs: inputs, place: place, path: path))
            } else {
                nodes.append(NetworkNode(layer: layer, inputs: [value], place: place, path: path))
            }
            value = nodes.count
        }
        return value
    }
}

extension Network {
    /// What the number of a node has room for in the key of a random draw; latents and conditions have the last two.
    static let mostNodes = 254

    /// The shape that `layers` make of `input`; throws as the initialiser does.
    public static func outputShape(of layers: [any Layer], input: Shape, name: String) throws(ShapeError) -> Shape {
        try shapes(of: NetworkNode.list(of: layers), input: input, name: name).last!
    }

    /// The shape of each value: of the input, and of each node's output.
    static func shapes(of nodes: [NetworkNode], input: Shape, name: String) throws(ShapeError) -> [Shape] {
        guard nodes.count <= mostNodes else {
            throw ShapeError("\(name): it has \(nodes.count) layers, of which there may be \(mostNodes)")
        }
        var shapes = [input]
        for node in nodes {
            let input = shapes[node.inputs[0]]
            do throws(ShapeError) {
                if let sum = node.layer as? Addition {
                    shapes.append(try sum.outputShape(body: input, skip: shapes[node.inputs[1]]))
                    continue
                }
                shapes.append(try node.layer.outputShape(for: input))
            } catch {
                let reason = node.isSum ? "\(error)" : "its input is \(input); \(error)"
                throw ShapeError("\(name): layer \(node.place) (\(node.layer.name)): \(reason)")
            }
        }
        return shapes
    }

    /// Values that training surely keeps, before any memory is taken: each parameter `copies` times (its value, its
    /// gradient, its moments) and the layers' outputs for `rows` examples. A Double, for a mistyped configuration may
    /// ask for more than an Int counts.
    public static func leastValues(
        of layers: [any Layer], input: Shape, name: String, rows: Int, copies: Int
    ) throws(ShapeError) -> Double {
        let nodes = NetworkNode.list(of: layers), shapes = try shapes(of: nodes, input: input, name: name)
        let joined = try JoinedLayers(nodes, shapes: shapes)
        return nodes.indices.reduce(0) { sum, number in
            let parameters = nodes[number].layer.parameters(for: shapes[nodes[number].inputs[0]]).reduce(0) {
                $0 + $1.dimensions.reduce(1) { $0 * Double($1) }
            }
            let isOwn = joined.layers[number].outputMemory == .own
            let outputs = isOwn ? Double(rows) * Double(joined.shapes[number + 1].count) : 0
            return sum + Double(copies) * parameters + outputs
        }
    }

    /// Values of all parameters, as ``ParameterStore/count`` has them, before any memory is taken.
    public static func valueCount(
        of layers: [any Layer], input: Shape, name: String
    ) throws(ShapeError) -> Int {
        let nodes = NetworkNode.list(of: layers)
        return ParameterStore.count(of: nodes, shapes: try shapes(of: nodes, input: input, name: name))
    }

    /// Whether a layer asks that a weight of its own be divided by its spectral norm.
    public static func hasSpectralWeights(
        of layers: [any Layer], input: Shape, name: String
    ) throws(ShapeError) -> Bool {
        let nodes = NetworkNode.list(of: layers), shapes = try shapes(of: nodes, input: input, name: name)
        return nodes.contains { $0.layer.parameters(for: shapes[$0.inputs[0]]).contains(where: \.isSpectral) }
    }
}
