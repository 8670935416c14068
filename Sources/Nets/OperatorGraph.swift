import Kernels

/// A graph of ONNX operators (opset 17) to which a layer adds itself.
///
/// ONNX has channels before pixels: within the graph a batch of images is [N, C, H, W], one of vectors [N, D].
public protocol OperatorGraph: AnyObject {
    /// The result of an operator on `inputs`.
    func node(
        _ operation: String, _ inputs: [OperatorValue], _ attributes: KeyValuePairs<String, OperatorAttribute>
    ) -> OperatorValue
    /// What stands beside the examples: the numbers of their classes, int64 [N], or their vectors, [N, numbers].
    var condition: OperatorValue { get }
    /// A list of whole numbers, such as dimensions.
    func constant(_ values: [Int]) -> OperatorValue
    /// Parameter `index` of the layer at hand; dimension i of the value is dimension `order[i]` of the parameter.
    func parameter(_ index: Int, order: [Int]?) -> OperatorValue
    /// Running statistic `index` of the layer at hand.
    func statistic(_ index: Int) -> OperatorValue
}

/// The name of a value of the graph.
public typealias OperatorValue = String

public enum OperatorAttribute: Sendable {
    case integer(Int)
    case integers([Int])
    case float(Float)
    case text(String)
}

extension OperatorGraph {
    public func node(_ operation: String, _ inputs: [OperatorValue]) -> OperatorValue { node(operation, inputs, [:]) }

    public func parameter(_ index: Int) -> OperatorValue { parameter(index, order: nil) }

    /// Images with the channels last, as the program has them, or back.
    public func channelsLast(_ images: OperatorValue) -> OperatorValue {
        node("Transpose", [images], ["perm": .integers([0, 2, 3, 1])])
    }

    public func channelsFirst(_ images: OperatorValue) -> OperatorValue {
        node("Transpose", [images], ["perm": .integers([0, 3, 1, 2])])
    }

    /// The same values in the program's order under another shape.
    func reshaped(_ x: OperatorValue, from input: Shape, to output: Shape) -> OperatorValue {
        let flat = input.isImage ? channelsLast(x) : x
        let shaped = node("Reshape", [flat, constant([0] + output.dimensions)])
        return output.isImage ? channelsFirst(shaped) : shaped
    }

    /// z = x W + b, of parameters 0 and, where there is one, 1.
    func linear(_ x: OperatorValue, hasBias: Bool) -> OperatorValue {
        hasBias ? node("Gemm", [x, parameter(0), parameter(1)]) : node("MatMul", [x, parameter(0)])
    }

    public func number(_ value: Float) -> OperatorValue { node("Constant", [], ["value_float": .float(value)]) }

    /// Whole numbers as floats.
    func floats(_ values: OperatorValue) -> OperatorValue { node("Cast", [values], ["to": .integer(1)]) }

    /// x · scale + shift, a channel of `shape` each; without them what remains.
    func scaled(
        _ x: OperatorValue, by scale: OperatorValue?, shift: OperatorValue?, of shape: Shape
    ) -> OperatorValue {
        func column(_ parameter: OperatorValue) -> OperatorValue {
            shape.isImage ? node("Reshape", [parameter, constant([shape.channels, 1, 1])]) : parameter
        }
        let product = scale.map { node("Mul", [x, column($0)]) } ?? x
        return shift.map { node("Add", [product, column($0)]) } ?? product
    }

    /// The largest of the pieces, which `shape` has as its third dimension.
    func maximum(of x: OperatorValue, shape: [Int]) -> OperatorValue {
        node("ReduceMax", [node("Reshape", [x, constant(shape)])], ["axes": .integers([2]), "keepdims": .integer(0)])
    }
}

extension Extent {
    var sizes: [Int] { [height, width] }
}

/// Above, left, below, right of so many rows and columns; the odd one is below or right.
func operatorMargins(_ totals: [Int]) -> [Int] { totals.map { $0 / 2 } + totals.map { $0 - $0 / 2 } }
