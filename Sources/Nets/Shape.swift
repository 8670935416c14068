import Kernels

/// The shape of one example: a vector of `count` values, or an image with its channels last (height, width, channels).
public enum Shape: Hashable, Sendable, CustomStringConvertible {
    case vector(Int)
    case image(height: Int, width: Int, channels: Int)

    /// Values in one example.
    public var count: Int {
        switch self {
        case .vector(let count): count
        case .image(let height, let width, let channels): height * width * channels
        }
    }

    /// The last dimension: features of a vector, channels of an image.
    public var channels: Int {
        switch self {
        case .vector(let count): count
        case .image(_, _, let channels): channels
        }
    }

    public var isImage: Bool { if case .image = self { true } else { false } }

    func requirePositive() throws(ShapeError) {
        guard dimensions.allSatisfy({ $0 >= 1 }) else { throw ShapeError("\(self) has a dimension below 1") }
    }

    /// `[100]` or `[28, 28, 1]`.
    public var dimensions: [Int] {
        switch self {
        case .vector(let count): [count]
        case .image(let height, let width, let channels): [height, width, channels]
        }
    }

    public var description: String { "[" + dimensions.map(String.init).joined(separator: ", ") + "]" }
}

/// `count` examples of one shape, one after another: N × H × W × C, or N × C.
public struct Batch {
    public let values: Floats
    public let count: Int
    public let shape: Shape

    public init(_ values: Floats, count: Int, shape: Shape) {
        precondition(values.count >= count * shape.count, "\(count) examples of \(shape) in \(values.count) values")
        self.values = values[0 ..< count * shape.count]
        self.count = count
        self.shape = shape
    }

    /// The values of one example.
    public subscript(example: Int) -> Floats { values[example * shape.count ..< (example + 1) * shape.count] }

    /// Some of its examples, sharing their memory.
    public subscript(rows: Range<Int>) -> Batch {
        Batch(values[rows.lowerBound * shape.count ..< rows.upperBound * shape.count], count: rows.count, shape: shape)
    }
}

/// A layer that cannot take the input it was given. `description` names what it got and what it wanted.
public struct ShapeError: Error, CustomStringConvertible {
    public let description: String
    public init(_ description: String) { self.description = description }
}
