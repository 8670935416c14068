/// Where the passes of a penalty keep, of each value, e = ∂s/∂x, t along the direction u, and q, what curvature adds to
/// the gradient: the formulas are ``TangentLayer``'s, the passes those of
/// ``Network/backward(from:parameters:into:adding:penalties:ready:)``.
struct PenaltyPlan {
    let layers: [any TangentLayer]
    let adjoints: [NodeGradient]
    let tangents: [NodeTangent]
    let curvatures: [NodeGradient]
    /// Where e of the logits begins, and where e of the input is: there u comes, which is t of the input.
    let last, input: Int
    let layout: BufferPlan.Layout

    /// One node's part of the pass of tangents.
    struct NodeTangent {
        /// t at its inputs; nil where nobody reads it.
        let sources: [Int?]
        /// t at its output: nil where no later node reads it.
        let flow: GradientFlow?
        /// Where t at the input is copied to, for the parameters' gradient to overwrite, as another node reads it
        /// later.
        var copy: Int?
    }

    /// In steps: 0 ..< n are those of adjoints, n the penalty itself, n + 1 ... 2n those of tangents, 2n + 1 ... 3n
    /// those of the parameters' gradients.
    init(_ layers: [any TangentLayer], _ planner: GradientPlanner, hasParameters: [Bool]) {
        self.layers = layers
        var planner = planner
        let nodes = planner.nodes, count = nodes.count, leads = planner.leadsToParameters
        /// When the parameters' gradient of a node is made.
        func late(_ node: Int) -> Int { 3 * count - node }
        // The curvature of a layer changes the gradients of those before it.
        let isCurved = nodes.indices.map { leads[nodes[$0].inputs[0]] && layers[$0].hasCurvature }
        let reads = nodes.indices.map { hasParameters[$0] || isCurved[$0] }

        last = planner.buffers.make(
            planner.rows * planner.shapes[count].count, for: .adjoint(count), from: 0,
            to: reads[count - 1] ? late(count - 1) : 0)
        let adjoint = GradientPlanner.Pass(
            time: { count - 1 - $0 }, end: { $0 > 0 && reads[$0 - 1] ? late($0 - 1) : count - $0 },
            name: { .adjoint($0) })
        let made = planner.plan(adjoint, from: last)
        (adjoints, input) = (made.nodes, made.input!)

        var tangents = planner.planTangents(from: input, reads: reads, late: late)
        let curvature = GradientPlanner.Pass(
            time: late, end: { late($0 - 1) }, name: { .curvature($0) },
            sources: Set(nodes.indices.filter { isCurved[$0] }), isWanted: { leads[$0] },
            readsLate: Set(nodes.indices.filter { isCurved[$0] && hasParameters[$0] }))
        curvatures = planner.plan(curvature, from: nil).nodes
        for number in nodes.indices where hasParameters[number] {
            guard let source = tangents[number].sources[0], !planner.buffers.isLast(late(number), of: source) else {
                continue
            }
            tangents[number].copy = planner.buffers.make(
                planner.rows * planner.shapes[nodes[number].inputs[0]].count, for: .copy(number), from: late(number),
                to: late(number))
        }
        self.tangents = tangents
        layout = planner.buffers.layout()
    }
}

extension GradientPlanner {
    /// `input`: the buffer of u. `reads`: nodes that read t at their input in step `late`.
    fileprivate mutating func planTangents(
        from input: Int, reads: [Bool], late: (Int) -> Int
    ) -> [PenaltyPlan.NodeTangent] {
        // Whether t of a value is read, and in which step last.
        var isRead = Array(repeating: false, count: nodes.count + 1), end = Array(repeating: 0, count: nodes.count + 1)
        for number in nodes.indices.reversed() {
            let time = reads[number] ? late(number) : isRead[number + 1] ? nodes.count + 1 + number : 0
            for value in nodes[number].inputs where time > 0 {
                isRead[value] = true
                end[value] = max(end[value], time)
            }
        }
        var places = [Int?](repeating: nil, count: nodes.count + 1)
        if isRead[0] {
            places[0] = input
            buffers.share(input, with: .tangent(0), to: end[0])
        }
        return nodes.indices.map { number in
            let sources = nodes[number].inputs.map { places[$0] }
            guard isRead[number + 1] else { return PenaltyPlan.NodeTangent(sources: sources, flow: nil) }
            let time = nodes.count + 1 + number, first = sources[0]!
            let sharesMemory =
                switch layers[number].outputMemory {
                case .own: false
                case .input: true
                case .overInput: buffers.isLast(time, of: first)
                }
            let target: Int
            if sharesMemory {
                buffers.share(first, with: .tangent(number + 1), to: end[number + 1])
                target = first
            } else {
                target = buffers.make(
                    rows * shapes[number + 1].count, for: .tangent(number + 1), from: time, to: end[number + 1])
            }
            places[number + 1] = target
            let isSum = nodes[number].isSum
            return PenaltyPlan.NodeTangent(
                sources: sources,
                flow: GradientFlow(
                    target: target, copied: isSum && !sharesMemory ? first : nil, added: isSum ? sources[1] : nil))
        }
    }
}

extension Network {
    /// Throws the first layer that no penalty can go through.
    static func tangentLayers(
        _ nodes: [NetworkNode], computed: [any Layer], name: String
    ) throws(ShapeError) -> [any TangentLayer] {
        var result: [any TangentLayer] = []
        for (node, layer) in zip(nodes, computed) {
            guard let layer = layer as? any TangentLayer else {
                let remedy =
                    node.layer is MinibatchDeviation
                    ? "leave it out" : "put `layer_normalisation` in its place, or none"
                throw ShapeError(
                    "\(name): layer \(node.place) (\(node.layer.name)): a gradient penalty cannot go through it, for "
                        + "it makes the output of an example depend on the others: " + remedy)
            }
            result.append(layer)
        }
        return result
    }
}
