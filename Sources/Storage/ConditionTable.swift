import Kernels

/// What stands beside each example of a dataset, all of it in memory: the number of its class, or a vector.
public final class ConditionTable: Sendable {
    /// Numbers of an example.
    public let width: Int
    /// One example's after another's.
    public let values: FloatBuffer

    public init(_ values: FloatBuffer, width: Int) {
        precondition(width > 0 && values.count % width == 0, "\(values.count) numbers, \(width) an example")
        (self.values, self.width) = (values, width)
    }

    public var count: Int { values.count / width }

    /// Those of some examples, in their order.
    public func rows(_ indices: [Int]) -> FloatBuffer {
        let rows = FloatBuffer(count: indices.count * width)
        copy(indices, into: rows.values)
        return rows
    }

    /// The same, into memory that is there.
    func copy(_ indices: [Int], into target: Floats) {
        for (row, index) in indices.enumerated() {
            target[row * width ..< (row + 1) * width].copy(from: values.values[index * width ..< (index + 1) * width])
        }
    }
}
