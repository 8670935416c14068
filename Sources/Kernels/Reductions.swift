import CKernels

/// Sums over a batch and the passes that add one row to all of it. Matrices are stored by rows: [rows, columns].
///
/// The order of every sum is written here, so it depends on the shape alone.
public enum Reductions {
    /// sums[c] += Σ_r matrix[r, c].
    public static func addColumnSums(of matrix: Floats, columns: Int, to sums: Floats) {
        precondition(columns > 0 && matrix.count % columns == 0, "\(matrix.count) values are no rows of \(columns)")
        precondition(sums.count == columns, "\(columns) columns into \(sums.count) sums")
        let rows = matrix.count / columns
        addingApart(to: sums) { sums in
            if columns < 8 && rows >= 64 {
                addNarrowColumnSums(of: matrix, columns: columns, to: sums)
            } else {
                kernels().pointee.addColumnSums(matrix.base, rows, columns, sums.base)
            }
        }
    }

    /// Sums of few columns are made from zero and then added, so that those of opposite matrices cancel to the bit:
    /// the last bias of a critic has no gradient then, of whose rounding errors Adam would make whole steps.
    private static func addingApart(to sums: Floats, _ add: (Floats) -> Void) {
        // What is larger would not fit on the stack.
        guard sums.count <= 256 else { return add(sums) }
        withUnsafeTemporaryAllocation(of: Float.self, capacity: sums.count) { memory in
            let own = Floats(memory.baseAddress!, count: sums.count)
            own.fill(0)
            add(own)
            Reductions.add(own, to: sums)
        }
    }

    /// Few columns would leave most lanes empty: eight rows are read as one.
    private static func addNarrowColumnSums(of matrix: Floats, columns: Int, to sums: Floats) {
        let whole = matrix.count / (8 * columns) * (8 * columns)
        withUnsafeTemporaryAllocation(of: Float.self, capacity: 8 * columns) { memory in
            let partial = Floats(memory.baseAddress!, count: 8 * columns)
            partial.fill(0)
            kernels().pointee.addColumnSums(matrix.base, whole / (8 * columns), 8 * columns, partial.base)
            for index in 0 ..< 8 * columns { sums[index % columns] += partial[index] }
        }
        for index in whole ..< matrix.count { sums[(index - whole) % columns] += matrix[index] }
    }

    /// sums[c] += Σ_r w · matrix[r, c], with the weight w of the example that row r belongs to: each has as many rows.
    public static func addColumnSums(of matrix: Floats, times weights: Floats, to sums: Floats) {
        let columns = sums.count, count = matrix.count / max(weights.count, 1)
        precondition(
            matrix.count == weights.count * count && count % columns == 0,
            "\(matrix.count) values are no rows of \(columns) for \(weights.count) examples")
        addingApart(to: sums) { sums in
            for example in 0 ..< weights.count {
                kernels().pointee.addWeightedColumnSums(
                    matrix.base + example * count, weights[example], count / columns, columns, sums.base)
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
            kernels().pointee.addScaled(source.base + row * count, weights[row], target.base + row * count, count)
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
        kernels().pointee.addRowToRows(row.base, matrix.base, matrix.count / row.count, row.count)
    }

    /// target += source, value by value.
    public static func add(_ source: Floats, to target: Floats) {
        precondition(source.count == target.count, "\(source.count) values added to \(target.count)")
        kernels().pointee.addTo(source.base, target.base, source.count)
    }

    /// Σ v², in double: float within blocks of 512 values, then one block after another.
    public static func squaredNorm(of values: Floats) -> Double {
        kernels().pointee.squaredNorm(values.base, values.count)
    }

    /// Σ a b, in the same way.
    public static func product(_ first: Floats, _ second: Floats) -> Double {
        precondition(first.count == second.count, "a product of \(first.count) and \(second.count) values")
        return kernels().pointee.product(first.base, second.base, first.count)
    }
}
