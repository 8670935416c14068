/// Gram-Schmidt with each projection taken twice, which leaves columns orthogonal to rounding (Giraud et al. 2005).
public enum Orthonormalisation {
    /// Replaces a matrix by the Q of its QR decomposition with a positive diagonal of R: applied to independent
    /// normal values, Q is uniform over all orthonormal matrices (Mezzadri 2007). The shorter side is made
    /// orthonormal: the columns of [rows, columns] where rows ≥ columns, otherwise the rows. Computed in double. A
    /// precondition is full rank.
    public static func orthonormalise(_ matrix: Floats, rows: Int, columns: Int, gain: Float) {
        precondition(matrix.count == rows * columns, "\(matrix.count) values are no \(rows) × \(columns) matrix")
        let length = max(rows, columns), vectors = min(rows, columns)
        // Where value `index` of vector `vector` lies in the matrix.
        func place(_ vector: Int, _ index: Int) -> Int {
            rows >= columns ? index * columns + vector : vector * columns + index
        }
        let padded = (length + 3) / 4 * 4
        let memory = UnsafeMutablePointer<SIMD4<Double>>.allocate(capacity: vectors * padded / 4)
        defer { memory.deallocate() }
        memory.initialize(repeating: .zero, count: vectors * padded / 4)
        for vector in 0 ..< vectors {
            let start = memory + vector * (padded / 4)
            for index in 0 ..< length { start[index / 4][index % 4] = Double(matrix[place(vector, index)]) }
            for _ in 0 ..< 2 {
                for earlier in 0 ..< vector {
                    let unit = memory + earlier * (padded / 4)
                    subtract(unit, times: product(unit, start, padded / 4), from: start, padded / 4)
                }
            }
            let norm = product(start, start, padded / 4).squareRoot()
            precondition(norm > 0, "orthonormalising dependent vectors")
            for index in 0 ..< padded / 4 { start[index] /= norm }
            for index in 0 ..< length { matrix[place(vector, index)] = gain * Float(start[index / 4][index % 4]) }
        }
    }

    private static func product(
        _ first: UnsafeMutablePointer<SIMD4<Double>>, _ second: UnsafeMutablePointer<SIMD4<Double>>, _ count: Int
    ) -> Double {
        var sum = SIMD4<Double>.zero
        for index in 0 ..< count { sum += first[index] * second[index] }
        return (sum[0] + sum[2]) + (sum[1] + sum[3])
    }

    private static func subtract(
        _ unit: UnsafeMutablePointer<SIMD4<Double>>, times factor: Double,
        from target: UnsafeMutablePointer<SIMD4<Double>>,
        _ count: Int
    ) {
        for index in 0 ..< count { target[index] -= factor * unit[index] }
    }
}
