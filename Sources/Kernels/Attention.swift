/// The softmax of attention, row by row: a[i, j] = exp(s[i, j]) / Σ_k exp(s[i, k]).
///
/// Its Jacobian is symmetric: J t = a (t − ⟨a, t⟩), in each row.
public enum Attention {
    /// Overwrites the scores.
    public static func softmax(_ scores: Floats, columns: Int) {
        forEachRow(scores, columns) { row in
            var most = -Float.infinity
            for column in 0 ..< columns { most = max(most, row[column]) }
            var sum = RunningSum()
            forEachEight(columns) { column, lanes in
                let e = VectorMath.exp(row.lanes(at: column, lanes) - most)
                row.setLanes(e, at: column, lanes)
                sum.add(row.lanes(at: column, lanes))
            }
            let inverse = Float(1 / sum.total)
            forEachEight(columns) { column, lanes in
                row.setLanes(row.lanes(at: column, lanes) * inverse, at: column, lanes)
            }
        }
    }

    /// J t, which may lie over t.
    public static func derivative(_ tangent: Floats, weights: Floats, columns: Int, into output: Floats) {
        check(tangent, weights, output)
        forEachRow(weights, columns) { row in
            let t = part(tangent, row, weights), result = part(output, row, weights)
            let mean = Float(Reductions.product(row, t))
            forEachEight(columns) { column, lanes in
                let value = row.lanes(at: column, lanes) * (t.lanes(at: column, lanes) - mean)
                result.setLanes(value, at: column, lanes)
            }
        }
    }

    /// sum += ∂⟨e, J t⟩ / ∂a = e (t − ⟨a, t⟩) − t ⟨a, e⟩.
    public static func addCurvature(
        _ gradient: Floats, tangent: Floats, weights: Floats, columns: Int, to sum: Floats
    ) {
        check(gradient, tangent, weights)
        check(sum, tangent, weights)
        forEachRow(weights, columns) { row in
            let e = part(gradient, row, weights), t = part(tangent, row, weights), sum = part(sum, row, weights)
            let ofE = Float(Reductions.product(row, t)), ofT = Float(Reductions.product(row, e))
            forEachEight(columns) { column, lanes in
                let e = e.lanes(at: column, lanes), t = t.lanes(at: column, lanes)
                sum.setLanes(sum.lanes(at: column, lanes) + e * (t - ofE) - t * ofT, at: column, lanes)
            }
        }
    }

    /// y = factor · x, which may be the same memory.
    public static func scale(_ input: Floats, by factor: Float, into output: Floats) {
        precondition(input.count == output.count, "\(input.count) values into \(output.count)")
        forEachEight(input.count) { index, lanes in
            output.setLanes(input.lanes(at: index, lanes) * factor, at: index, lanes)
        }
    }

    private static func check(_ first: Floats, _ second: Floats, _ third: Floats) {
        precondition(
            first.count == third.count && second.count == third.count,
            "\(first.count), \(second.count) and \(third.count) values")
    }

    /// The values of `all` that lie where `row` lies in `matrix`.
    private static func part(_ all: Floats, _ row: Floats, _ matrix: Floats) -> Floats {
        let start = row.base - matrix.base
        return all[start ..< start + row.count]
    }

    private static func forEachRow(_ matrix: Floats, _ columns: Int, _ body: (Floats) -> Void) {
        precondition(matrix.count % columns == 0, "\(matrix.count) values are no rows of \(columns)")
        for start in stride(from: 0, to: matrix.count, by: columns) { body(matrix[start ..< start + columns]) }
    }
}
