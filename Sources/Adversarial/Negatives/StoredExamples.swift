import Kernels
import Nets

/// Examples that are there already, by their numbers: the negatives of a discriminator that was trained without a
/// generator. Past the last one they begin anew.
public final class StoredExamples: ExampleMaker {
    private let values: FloatBuffer
    private let shape: Shape

    /// `values`: of one example after another.
    public init(_ values: FloatBuffer, shape: Shape) { (self.values, self.shape) = (values, shape) }

    public var count: Int { values.count / shape.count }
    public var most: Int? { count }

    /// Those from number `draws.firstSample` on; nothing is drawn.
    public func samples(count: Int, _ draws: Draws, conditions: FloatBuffer?) -> FloatBuffer {
        let found = FloatBuffer(count: count * shape.count)
        for row in 0 ..< count {
            found.values[row * shape.count ..< (row + 1) * shape.count].copy(from: self[draws.firstSample + row])
        }
        return found
    }

    subscript(number: Int) -> Floats {
        let place = number % count * shape.count
        return values.values[place ..< place + shape.count]
    }

    /// A view of some.
    subscript(rows: Range<Int>) -> Batch {
        Batch(
            values.values[rows.lowerBound * shape.count ..< rows.upperBound * shape.count], count: rows.count,
            shape: shape)
    }
}
