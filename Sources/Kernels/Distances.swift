import CKernels

/// Distances between the rows of two matrices, and what is made of a row of them.
public enum Distances {
    /// distances[i, j] = |aᵢ − bⱼ|² = |aᵢ|² + |bⱼ|² − 2 aᵢ·bⱼ, one product of matrices for all pairs; never below 0.
    ///
    /// a [N, `length`], b [M, `length`], distances [N, M]. The difference of large terms costs digits: the error is
    /// some units in the last place of |aᵢ|² + |bⱼ|².
    public static func squared(_ a: Floats, _ b: Floats, length: Int, into distances: Floats) {
        precondition(
            length > 0 && a.count % length == 0 && b.count % length == 0,
            "\(a.count) and \(b.count) values in rows of \(length)")
        let rows = a.count / length, columns = b.count / length
        precondition(distances.count == rows * columns, "\(rows) × \(columns) distances into \(distances.count) values")
        Matrix.multiply(a, by: b, secondTransposed: true, into: distances, rows: rows, columns: columns, inner: length)
        let norms = FloatBuffer(count: columns)
        for column in 0 ..< columns {
            norms.values[column] = Float(Reductions.squaredNorm(of: b[column * length ..< (column + 1) * length]))
        }
        for row in 0 ..< rows {
            let norm = Float(Reductions.squaredNorm(of: a[row * length ..< (row + 1) * length]))
            kernels().pointee.squaredDistances(norm, norms.values.base, distances.base + row * columns, columns)
        }
    }

    /// Σ (aᵢ − bᵢ)² of two vectors, in double: exactly 0 for equal ones.
    public static func squared(_ a: Floats, _ b: Floats) -> Double {
        precondition(a.count == b.count, "the distance of vectors of \(a.count) and \(b.count) values")
        return kernels().pointee.squaredDistance(a.base, b.base, a.count)
    }

    /// The least value; ∞ of none.
    public static func least(of values: Floats) -> Float { kernels().pointee.leastValue(values.base, values.count) }

    /// Σⱼ exp(−(vⱼ − start) · scale): float over 512 values, then in double.
    public static func sumOfExponentials(of values: Floats, from start: Float, scale: Float) -> Double {
        kernels().pointee.sumOfExponentials(values.base, start, scale, values.count)
    }
}
