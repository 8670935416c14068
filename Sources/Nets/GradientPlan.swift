import Kernels

/// How the gradient at one input of a node comes from that at its output. Buffers have numbers.
struct GradientFlow {
    /// Where it comes to lie: what the node's backward writes. Of a sum it may be the buffer of the output's gradient.
    let target: Int
    /// Of a sum: what is first copied to the target.
    var copied: Int?
    /// What is added to the target last: the gradient from the nodes after this one that read the same value.
    var added: Int?
}

/// One node's part of a pass backward.
struct NodeGradient {
    /// Of the gradient at its output; nil where there is none.
    let source: Int?
    /// One an input; nil where none is wanted.
    let flows: [GradientFlow?]
}

/// The passes that go backward through a network, and where they put the gradients of the values.
///
/// The gradient of a value that several nodes read is written by the last of them and added to by the others, in the
/// order of backward. A sum's gradient is shared by both of its inputs for as long as nobody writes over it.
struct GradientPlanner {
    let nodes: [NetworkNode]
    /// As they are computed.
    let layers: [any Layer]
    /// Of each value.
    let shapes: [Shape]
    /// Of the largest batch.
    let rows: Int
    /// Of each value, whether it depends on parameters.
    let leadsToParameters: [Bool]
    var buffers = BufferPlan()

    init(_ nodes: [NetworkNode], computed layers: [any Layer], shapes: [Shape], rows: Int, leadsToParameters: [Bool]) {
        (self.nodes, self.layers, self.shapes, self.rows) = (nodes, layers, shapes, rows)
        self.leadsToParameters = leadsToParameters
    }

    /// A pass: when each node has its turn, until when the gradient of each value is read, and what it is.
    struct Pass {
        let time: (_ node: Int) -> Int
        let end: (_ value: Int) -> Int
        let name: (_ value: Int) -> BufferPlan.Value
        /// Nodes that make a gradient at their input even where there is none at their output.
        var sources: Set<Int> = []
        /// Whether the gradient of a value is wanted at all.
        var isWanted: (_ value: Int) -> Bool = { _ in true }
        /// Nodes that read the gradient at their output when that at their input is there already.
        var readsLate: Set<Int> = []
    }

    /// Plans `pass`, from the gradient of the last value in buffer `last`; returns also where that of the input is.
    mutating func plan(_ pass: Pass, from last: Int?) -> (nodes: [NodeGradient], input: Int?) {
        var places = [Int?](repeating: nil, count: nodes.count) + [last]
        var result: [NodeGradient] = []
        for number in nodes.indices.reversed() {
            let source = places[number + 1]
            let flows = nodes[number].inputs.map { value -> GradientFlow? in
                guard pass.isWanted(value), source != nil || pass.sources.contains(number) else { return nil }
                let flow = flow(pass, from: source, through: number, to: value, earlier: places[value])
                places[value] = flow.target
                return flow
            }
            result.append(NodeGradient(source: source, flows: flows))
        }
        return (result.reversed(), places[0])
    }

    /// `earlier`: where the gradient of `value` lies as far as the nodes after this one have made it.
    private mutating func flow(
        _ pass: Pass, from source: Int?, through number: Int, to value: Int, earlier: Int?
    ) -> GradientFlow {
        let time = pass.time(number), name = pass.name(value), end = pass.end(value)
        if let source, earlier == nil, mayShare(source, pass, number) {
            buffers.share(source, with: name, to: end)
            return GradientFlow(target: source)
        }
        let isSum = nodes[number].isSum
        if isSum, let earlier, buffers.isAlone(name, in: earlier, at: time) {
            return GradientFlow(target: earlier, added: source)
        }
        let target = buffers.make(rows * shapes[value].count, for: name, from: time, to: end)
        if let earlier { buffers.release(name, from: earlier, at: time) }
        return GradientFlow(target: target, copied: isSum ? source : nil, added: earlier)
    }

    /// Whether the gradient at a node's input may lie where that at its output does.
    private func mayShare(_ source: Int, _ pass: Pass, _ number: Int) -> Bool {
        if nodes[number].isSum { return true }
        return switch layers[number].outputMemory {
        case .own: false
        case .input: true
        case .overInput: buffers.isLast(pass.time(number), of: source) && !pass.readsLate.contains(number)
        }
    }
}

/// The usual pass backward: see ``Network/backward(from:parameters:into:adding:only:inputGradient:ready:)``.
struct GradientPlan {
    let nodes: [NodeGradient]
    /// Where the gradient of the input is.
    let input: Int
    let layout: BufferPlan.Layout
    /// The buffer that stands for the gradient that the caller gives.
    static let given = 0

    init(_ planner: GradientPlanner) {
        var planner = planner
        let count = planner.nodes.count
        let last = planner.buffers.make(0, for: .given, from: 0, to: .max)
        precondition(last == Self.given)
        // Node n − 1 − t in step t; what is left in the end is the caller's.
        let pass = GradientPlanner.Pass(
            time: { count - 1 - $0 }, end: { count - $0 }, name: { .gradient($0) })
        let planned = planner.plan(pass, from: last)
        (nodes, input, layout) = (planned.nodes, planned.input!, planner.buffers.layout())
    }
}

/// The buffers of a plan, in the memory that they share.
struct GradientMemory {
    let values: Floats
    let layout: BufferPlan.Layout
    /// In place of buffer ``GradientPlan/given``.
    var given: Floats?

    /// A batch of so many examples in a buffer.
    func batch(_ buffer: Int, _ count: Int, _ shape: Shape) -> Batch {
        if buffer == GradientPlan.given, let given { return Batch(given, count: count, shape: shape) }
        let start = layout.offsets[buffer]
        return Batch(values[start ..< start + count * shape.count], count: count, shape: shape)
    }

    /// What is left of a flow when the node's backward has been made, or of that of a sum, for some rows.
    func finish(_ flow: GradientFlow, _ rows: Range<Int>, of count: Int, _ shape: Shape) {
        let target = batch(flow.target, count, shape)[rows].values
        if let copied = flow.copied { target.copy(from: batch(copied, count, shape)[rows].values) }
        if let added = flow.added { Reductions.add(batch(added, count, shape)[rows].values, to: target) }
    }
}
