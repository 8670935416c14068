import Kernels
import Nets
import Storage
import Support

/// Examples in memory, one after another: images with channels last and values in [0, 1], or vectors as they are.
public struct Examples {
    public let buffer: FloatBuffer
    public let count: Int
    public let shape: Shape

    public init(_ buffer: FloatBuffer, shape: Shape) {
        precondition(
            buffer.count > 0 && buffer.count % shape.count == 0, "\(buffer.count) values in examples of \(shape)")
        (self.buffer, self.shape) = (buffer, shape)
        count = buffer.count / shape.count
    }

    /// The examples `indices` of a file or mixture.
    public init(_ source: SampleSource, _ indices: [Int], shape: Shape) throws(Failure) {
        self.init(FloatBuffer(count: indices.count * source.elements), shape: shape)
        try source.read(indices, into: buffer.values)
    }

    public var values: Floats { buffer.values }

    /// Some of them, sharing their memory.
    public subscript(rows: Range<Int>) -> Floats {
        values[rows.lowerBound * shape.count ..< rows.upperBound * shape.count]
    }

    /// The first `count` of them, copied; all where there are no more.
    public func first(_ count: Int) -> Examples {
        guard count < self.count else { return self }
        let copy = FloatBuffer(count: count * shape.count)
        copy.values.copy(from: self[0 ..< count])
        return Examples(copy, shape: shape)
    }
}
