import COpenBLAS

/// The Cholesky decomposition A = L Lᵀ of positive definite matrices in double, by LAPACK (`dpotrf`) as OpenBLAS ships
/// it, and what is computed with L. Matrices are stored by rows.
public enum Cholesky {
    /// L [order, order], zero above the diagonal; nil where the matrix is not positive definite. Only the lower half of
    /// `matrix` is read.
    public static func decompose(_ matrix: [Double], order: Int) -> [Double]? {
        precondition(
            order > 0 && matrix.count == order * order, "\(matrix.count) values are no \(order) × \(order) matrix")
        var lower = matrix, size = Int32(order), status: Int32 = 0
        BLAS.useOneThread()
        // LAPACK stores by columns: our lower half is its upper one.
        dpotrf_("U", &size, &lower, &size, &status, 1)
        precondition(status >= 0, "dpotrf: argument \(-status)")
        guard status == 0 else { return nil }
        for row in 0 ..< order {
            for column in row + 1 ..< order { lower[row * order + column] = 0 }
        }
        return lower
    }

    /// Replaces each row x of `rows` [count, order] by L⁻¹ x.
    public static func solve(_ lower: [Double], order: Int, rows: inout [Double], count: Int) {
        precondition(
            lower.count == order * order && rows.count >= count * order, "\(rows.count) values of \(count) rows")
        guard count > 0 else { return }
        BLAS.useOneThread()
        cblas_dtrsm(
            CblasRowMajor, CblasRight, CblasLower, CblasTrans, CblasNonUnit, Int32(count), Int32(order), 1, lower,
            Int32(order), &rows, Int32(order))
    }

    /// Adds Σ x xᵀ over the rows of `rows` [count, order] to the lower half of `sum` [order, order].
    public static func addOuterProducts(_ rows: [Double], count: Int, order: Int, to sum: inout [Double]) {
        precondition(sum.count == order * order && rows.count >= count * order, "\(rows.count) values of \(count) rows")
        guard count > 0 else { return }
        BLAS.useOneThread()
        cblas_dsyrk(
            CblasRowMajor, CblasLower, CblasTrans, Int32(order), Int32(count), 1, rows, Int32(order), 1, &sum,
            Int32(order))
    }
}
