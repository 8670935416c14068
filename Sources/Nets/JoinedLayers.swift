/// The layers of the nodes as they are computed: two neighbours may be computed as one, in the place of that which has
/// parameters; in the other's place nothing is left to be done.
struct JoinedLayers {
    /// One a node.
    private(set) var layers: [any Layer]
    /// Of each node the other that is computed in its place.
    private(set) var partners: [Int?]
    /// The shape of each value as it is computed: of the network's input, and of each node's output.
    let shapes: [Shape]

    /// `declared`: the shape of each value as the layers alone have it. Nothing is joined where another node reads what
    /// lies between.
    init(_ nodes: [NetworkNode], shapes declared: [Shape]) throws(ShapeError) {
        layers = nodes.map(\.layer)
        partners = Array(repeating: nil, count: nodes.count)
        for number in nodes.indices where !(layers[number] is AppliedBeside) && partners[number] == nil {
            let readers = nodes.indices.filter { nodes[$0].inputs.contains(number + 1) }
            let input = declared[nodes[number].inputs[0]]
            guard let next = readers.first, readers.count == 1, !nodes[next].isSum,
                let both = nodes[number].layer.applying(nodes[next].layer, to: input)
            else { continue }
            let nextHasParameters = !nodes[next].layer.parameters(for: declared[number + 1]).isEmpty
            let (place, other) = nextHasParameters ? (next, number) : (number, next)
            layers[place] = both
            layers[other] = AppliedBeside(name: nodes[other].layer.name)
            partners[place] = other
        }
        var shapes = [declared[0]]
        for (node, layer) in zip(nodes, layers) {
            let input = shapes[node.inputs[0]]
            shapes.append(node.isSum ? input : try layer.outputShape(for: input))
        }
        self.shapes = shapes
    }

    /// The nodes that are computed in the place of node `number`, in their order: itself, a neighbour with it, or none.
    func nodesComputed(at number: Int) -> [Int] {
        if let partner = partners[number] { return [min(number, partner), max(number, partner)] }
        return partners.contains(number) ? [] : [number]
    }
}
