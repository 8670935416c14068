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

    /// Of images the middle ones of their pixels, an image of `shape`: what `data.fit: pad` has put a frame around.
    func middle(of shape: Shape) -> Examples {
        guard case .image(let height, let width, let channels) = self.shape,
            case .image(let innerHeight, let innerWidth, channels) = shape, innerHeight <= height, innerWidth <= width
        else { preconditionFailure("the middle, \(shape), of \(self.shape)") }
        let buffer = FloatBuffer(count: count * shape.count), row = innerWidth * channels
        let top = (height - innerHeight) / 2, left = (width - innerWidth) / 2
        for example in 0 ..< count {
            for y in 0 ..< innerHeight {
                let start = example * self.shape.count + ((top + y) * width + left) * channels
                buffer.values[example * shape.count + y * row ..< example * shape.count + (y + 1) * row].copy(
                    from: values[start ..< start + row])
            }
        }
        return Examples(buffer, shape: shape)
    }

    /// The first `count` of them, copied; all where there are no more.
    public func first(_ count: Int) -> Examples {
        guard count < self.count else { return self }
        let copy = FloatBuffer(count: count * shape.count)
        copy.values.copy(from: self[0 ..< count])
        return Examples(copy, shape: shape)
    }
}
