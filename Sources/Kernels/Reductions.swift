/// Sums over a batch and the passes that add one row to all of it. Matrices are stored by rows: [rows, columns].
///
/// The order of every sum is written here, so it depends on the shape alone.
public enum Reductions {
    /// Rows summed in float before they join the total: keeps the error of a long sum near that of a short one.
    private static let rowsPerPartialSum = 128

    /// sums[c] += Σ_r matrix[r, c].
    public static func addColumnSums(of matrix: Floats, columns: Int, to sums: Floats) {
        precondition(columns > 0 && matrix.count % columns == 0, "\(matrix.count) values are no rows of \(columns)")
        precondition(sums.count == columns, "\(columns) columns into \(sums.count) sums")
        let rows = matrix.count / columns
        if columns < 8 && rows >= 64 {
            addNarrowColumnSums(of: matrix, columns: columns, to: sums)
        } else {
            addColumnSums(rows: rows, columns: columns, to: sums) { offset, _, lanes in matrix.lanes(at: offset, lanes)
            }
        }
    }

    /// Few columns would leave most lanes empty: eight rows are read as one.
    private static func addNarrowColumnSums(of matrix: Floats, columns: Int, to sums: Floats) {
        let whole = matrix.count / (8 * columns) * (8 * columns)
        withUnsafeTemporaryAllocation(of: Float.self, capacity: 8 * columns) { memory in
            let partial = Floats(memory.baseAddress!, count: 8 * columns)
            partial.fill(0)
            addColumnSums(rows: whole / (8 * columns), columns: 8 * columns, to: partial) { offset, _, lanes in
                matrix.lanes(at: offset, lanes)
            }
            for index in 0 ..< 8 * columns { sums[index % columns] += partial[index] }
        }
        for index in whole ..< matrix.count { sums[(index - whole) % columns] += matrix[index] }
    }

    /// sums[c] += Σ_r term(r, c), with the terms given eight columns at a time by their offset r · columns + c.
    @inline(__always)
    static func addColumnSums(
        rows: Int, columns: Int, to sums: Floats,
        _ term: (_ offset: Int, _ column: Int, _ lanes: Int) -> Vector
    ) {
        var first = 0
        while first < rows {
            let end = min(first + rowsPerPartialSum, rows)
            var column = 0
            while column + 32 <= columns {
                var sum0 = Vector.zero, sum1 = sum0, sum2 = sum0, sum3 = sum0
                var offset = first * columns + column
                for _ in first ..< end {
                    sum0 += term(offset, column, 8)
                    sum1 += term(offset + 8, column + 8, 8)
                    sum2 += term(offset + 16, column + 16, 8)
                    sum3 += term(offset + 24, column + 24, 8)
                    offset += columns
                }
                sums.setLanes(sums.lanes(at: column) + sum0, at: column)
                sums.setLanes(sums.lanes(at: column + 8) + sum1, at: column + 8)
                sums.setLanes(sums.lanes(at: column + 16) + sum2, at: column + 16)
                sums.setLanes(sums.lanes(at: column + 24) + sum3, at: column + 24)
                column += 32
            }
            while column < columns {
                let lanes = min(8, columns - column)
                var sum = Vector.zero
                var offset = first * columns + column
                for _ in first ..< end {
                    sum += lanes == 8 ? term(offset, column, 8) : term(offset, column, lanes)
                    offset += columns
                }
                sums.setLanes(sums.lanes(at: column, lanes) + sum, at: column, lanes)
                column += lanes
            }
            first = end
        }
    }

    /// sums[c] += Σ_r w · matrix[r, c], with the weight w of the example that row r belongs to: each has as many rows.
    public static func addColumnSums(of matrix: Floats, times weights: Floats, to sums: Floats) {
        let columns = sums.count, count = matrix.count / max(weights.count, 1)
        precondition(
            matrix.count == weights.count * count && count % columns == 0,
            "\(matrix.count) values are no rows of \(columns) for \(weights.count) examples")
        for example in 0 ..< weights.count {
            let weight = weights[example], rows = matrix[example * count ..< (example + 1) * count]
            addColumnSums(rows: count / columns, columns: columns, to: sums) { offset, _, lanes in
                rows.lanes(at: offset, lanes) * weight
            }
        }
    }

    /// target[n] += w[n] · source[n], for rows n of equal length.
    public static func addRows(of source: Floats, times weights: Floats, to target: Floats) {
        let count = source.count / max(weights.count, 1)
        precondition(
            source.count == target.count && source.count == weights.count * count,
            "\(source.count) values times \(weights.count) weights added to \(target.count)")
        for row in 0 ..< weights.count {
            let weight = weights[row], start = row * count
            forEachEight(count) { column, lanes in
                let index = start + column
                let sum = target.lanes(at: index, lanes) + source.lanes(at: index, lanes) * weight
                target.setLanes(sum, at: index, lanes)
            }
        }
    }

    /// The same for two sums of terms that have much in common.
    @inline(__always)
    static func addColumnSums(
        rows: Int, columns: Int, to first: Floats, and second: Floats,
        _ terms: (_ offset: Int, _ column: Int, _ lanes: Int) -> (Vector, Vector)
    ) {
        for start in stride(from: 0, to: rows, by: rowsPerPartialSum) {
            let end = min(start + rowsPerPartialSum, rows)
            forEachEight(columns) { column, lanes in
                var sums = (Vector.zero, Vector.zero)
                var offset = start * columns + column
                for _ in start ..< end {
                    let (a, b) = terms(offset, column, lanes)
                    sums.0 += a
                    sums.1 += b
                    offset += columns
                }
                first.setLanes(first.lanes(at: column, lanes) + sums.0, at: column, lanes)
                second.setLanes(second.lanes(at: column, lanes) + sums.1, at: column, lanes)
            }
        }
    }

    /// Every row of the matrix becomes `row`: the bias, onto which a product is then added.
    public static func setRows(of matrix: Floats, to row: Floats) {
        precondition(
            row.count > 0 && matrix.count % row.count == 0, "\(matrix.count) values are no rows of \(row.count)")
        var offset = 0
        while offset < matrix.count {
            matrix.base.advanced(by: offset).update(from: row.base, count: row.count)
            offset += row.count
        }
    }

    /// matrix[r, c] += row[c].
    public static func add(_ row: Floats, toRowsOf matrix: Floats) {
        let columns = row.count
        precondition(columns > 0 && matrix.count % columns == 0, "\(matrix.count) values are no rows of \(columns)")
        guard columns < 8 else { return addWide(row, toRowsOf: matrix) }
        // Few columns would leave most lanes empty: eight rows are read as one.
        let whole = matrix.count / (8 * columns) * (8 * columns)
        withUnsafeTemporaryAllocation(of: Float.self, capacity: 8 * columns) { memory in
            let repeated = Floats(memory.baseAddress!, count: 8 * columns)
            setRows(of: repeated, to: row)
            addWide(repeated, toRowsOf: matrix[0 ..< whole])
        }
        for index in whole ..< matrix.count { matrix[index] += row[(index - whole) % columns] }
    }

    private static func addWide(_ row: Floats, toRowsOf matrix: Floats) {
        forEachEight(rows: matrix.count / row.count, columns: row.count) { offset, column, lanes in
            matrix.setLanes(matrix.lanes(at: offset, lanes) + row.lanes(at: column, lanes), at: offset, lanes)
        }
    }

    /// target += source, value by value.
    public static func add(_ source: Floats, to target: Floats) {
        precondition(source.count == target.count, "\(source.count) values added to \(target.count)")
        forEachEight(source.count) { index, lanes in
            target.setLanes(target.lanes(at: index, lanes) + source.lanes(at: index, lanes), at: index, lanes)
        }
    }

    /// Σ v², in double: float within blocks of 512 values, then one block after another.
    public static func squaredNorm(of values: Floats) -> Double {
        var norm = RunningSum()
        forEachEight(values.count) { index, lanes in
            norm.add(values.lanes(at: index, lanes), times: values.lanes(at: index, lanes))
        }
        return norm.total
    }

    /// Σ a b, in the same way.
    public static func product(_ first: Floats, _ second: Floats) -> Double {
        precondition(first.count == second.count, "a product of \(first.count) and \(second.count) values")
        var sum = RunningSum()
        forEachEight(first.count) { index, lanes in
            sum.add(first.lanes(at: index, lanes), times: second.lanes(at: index, lanes))
        }
        return sum.total
    }
}

/// A running sum of vectors: eight float lanes for 64 vectors, then into a double. A double per value would halve the
/// lanes; a float for all of them would lose the digits of the small values.
struct RunningSum {
    private var lanes = Vector.zero
    private var vectors = 0
    private var sum = 0.0

    @inline(__always)
    mutating func add(_ vector: Vector) {
        lanes += vector
        count()
    }

    /// Adds a product, value by value.
    @inline(__always)
    mutating func add(_ first: Vector, times second: Vector) {
        lanes += first * second
        count()
    }

    @inline(__always)
    private mutating func count() {
        vectors &+= 1
        if vectors == 64 { flush() }
    }

    private mutating func flush() {
        for lane in 0 ..< 8 { sum += Double(lanes[lane]) }
        lanes = .zero
        vectors = 0
    }

    var total: Double {
        var copy = self
        copy.flush()
        return copy.sum
    }
}
