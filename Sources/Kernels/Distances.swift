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
            let norm = Vector(repeating: Float(Reductions.squaredNorm(of: a[row * length ..< (row + 1) * length])))
            let values = distances[row * columns ..< (row + 1) * columns], norms = norms.values
            forEachEight(columns) { index, lanes in
                let distance = norm + norms.lanes(at: index, lanes) - 2 * values.lanes(at: index, lanes)
                values.setLanes(distance.replacing(with: 0, where: distance .< 0), at: index, lanes)
            }
        }
    }

    /// Σ (aᵢ − bᵢ)² of two vectors, in double: exactly 0 for equal ones.
    public static func squared(_ a: Floats, _ b: Floats) -> Double {
        precondition(a.count == b.count, "the distance of vectors of \(a.count) and \(b.count) values")
        var sum = SIMD8<Double>.zero
        forEachEight(a.count) { index, lanes in
            let difference = SIMD8<Double>(a.lanes(at: index, lanes)) - SIMD8<Double>(b.lanes(at: index, lanes))
            sum += difference * difference
        }
        return sum.sum()
    }

    /// The least value; ∞ of none.
    public static func least(of values: Floats) -> Float {
        var lanes = Vector(repeating: .infinity)
        let whole = values.count & ~7
        for index in stride(from: 0, to: whole, by: 8) { lanes = pointwiseMin(lanes, values.lanes(at: index)) }
        var least = lanes.min()
        for index in whole ..< values.count { least = min(least, values[index]) }
        return least
    }

    /// Σⱼ exp(−(vⱼ − start) · scale): float over 512 values, then in double.
    public static func sumOfExponentials(of values: Floats, from start: Float, scale: Float) -> Double {
        var sum = 0.0
        let whole = values.count & ~7
        var index = 0
        while index < whole {
            var lanes = Vector.zero
            let end = min(index + 512, whole)
            while index < end {
                lanes += VectorMath.exp((start - values.lanes(at: index)) * scale)
                index &+= 8
            }
            for lane in 0 ..< 8 { sum += Double(lanes[lane]) }
        }
        for index in whole ..< values.count {
            sum += Double(VectorMath.exp(Vector(repeating: (start - values[index]) * scale))[0])
        }
        return sum
    }
}
