import Kernels

/// What stands beside each example: its class, or a vector of numbers.
public enum Condition: Hashable, Sendable {
    /// One of so many classes, numbered from 0.
    case classes(Int)
    /// So many numbers.
    case vector(Int)

    /// Numbers that stand beside a row: that of its class, or the vector.
    public var width: Int {
        switch self {
        case .classes: 1
        case .vector(let numbers): numbers
        }
    }

    /// Values of a class written as a vector with a single 1, or those of the vector: rows of an embedding's table.
    public var inputs: Int {
        switch self {
        case .classes(let count), .vector(let count): count
        }
    }
}

/// A layer whose output depends on what stands beside each example, which it finds in ``LayerMemory/condition``.
///
/// Nothing is differentiated with respect to it: in gradients and in penalties it is a constant.
public protocol ConditionalLayer: Layer {
    var condition: Condition { get }
}

extension [any Layer] {
    /// What they and those within residuals are conditioned on, one after another: nothing where none looks at a
    /// condition.
    public var conditions: [(layer: String, condition: Condition)] {
        NetworkNode.list(of: self).compactMap { node in
            (node.layer as? any ConditionalLayer).map { (node.layer.name, $0.condition) }
        }
    }
}

/// E(c) of S values: row c of a table [classes, S]; of a vector v the product v E with a table [numbers, S].
///
/// A class is the vector with a single 1, so both are one linear map, and a table is a weight with inputs and outputs:
/// it may be divided by its spectral norm, as that of Miyato's projection is.
extension Condition {
    func table(
        _ name: String, size: Int, initialiser: Initialiser, isSpectral: Bool = false, layout: String = "IO"
    ) -> ParameterSpec {
        ParameterSpec(
            name, [inputs, size], layout: layout, initialiser: initialiser, fanIn: width, fanOut: size,
            isSpectral: isSpectral)
    }

    /// Calls `body` with each row of a table that E(c) of row `row` of a batch is made of, and the factor it has there.
    @inline(__always)
    func forEachTerm(of row: Int, in conditions: Floats, _ body: (_ input: Int, _ factor: Float) -> Void) {
        switch self {
        case .classes(let count):
            let number = Int(conditions[row])
            precondition(number >= 0 && number < count, "class \(number) of \(count)")
            body(number, 1)
        case .vector(let numbers):
            for index in 0 ..< numbers { body(index, conditions[row * numbers + index]) }
        }
    }

    /// target += E(c).
    func addEmbedding(of row: Int, in conditions: Floats, table: Floats, to target: Floats) {
        let size = target.count
        forEachTerm(of: row, in: conditions) { input, factor in
            for index in 0 ..< size { target[index] += factor * table[input * size + index] }
        }
    }

    /// Adds to the table's gradient what E(c) has, given the gradient with respect to E(c).
    func addGradient(_ gradient: Floats, of row: Int, in conditions: Floats, toTable target: Floats) {
        let size = gradient.count
        forEachTerm(of: row, in: conditions) { input, factor in
            for index in 0 ..< size { target[input * size + index] += factor * gradient[index] }
        }
    }

    /// E(c) in a graph: [N, S].
    func embedding(_ table: OperatorValue, in graph: any OperatorGraph) -> OperatorValue {
        switch self {
        case .classes: graph.node("Gather", [table, graph.condition], ["axis": .integer(0)])
        case .vector: graph.node("MatMul", [graph.condition, table])
        }
    }
}

/// y = [x, a]: values a of each example joined to those of x; of an image, as further channels of every pixel.
enum JoinedChannels {
    static func outputShape(for input: Shape, adding channels: Int) -> Shape {
        switch input {
        case .vector(let count): .vector(count + channels)
        case .image(let height, let width, let own):
            .image(height: height, width: width, channels: own + channels)
        }
    }

    /// Copies the channels of one batch into the first ones of another with more, or the first ones into one with
    /// fewer.
    static func copy(_ source: Batch, into target: Batch) {
        let (from, to) = (source.shape.channels, target.shape.channels), shared = min(from, to)
        for pixel in 0 ..< target.values.count / to {
            target.values[pixel * to ..< pixel * to + shared].copy(
                from: source.values[pixel * from ..< pixel * from + shared])
        }
    }

    /// Puts `values` into the last channels of every pixel of an example.
    static func set(_ values: Floats, in example: Floats, channels: Int) {
        for end in stride(from: channels, through: example.count, by: channels) {
            example[end - values.count ..< end].copy(from: values)
        }
    }

    /// The tangent: the values that are joined do not depend on x.
    static func tangent(_ input: Batch, into output: Batch) {
        output.values.fill(0)
        copy(input, into: output)
    }

    static func operators(
        _ x: OperatorValue, _ values: OperatorValue, count: Int, from input: Shape, in graph: any OperatorGraph
    ) -> OperatorValue {
        guard case .image(let height, let width, _) = input else {
            return graph.node("Concat", [x, values], ["axis": .integer(1)])
        }
        let pixel = graph.node("Reshape", [values, graph.constant([0, count, 1, 1])])
        let planes = graph.node("Expand", [pixel, graph.constant([1, 1, height, width])])
        return graph.node("Concat", [x, planes], ["axis": .integer(1)])
    }
}
