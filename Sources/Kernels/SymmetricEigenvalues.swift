import COpenBLAS

/// The eigenvalue decomposition of symmetric matrices in double, by LAPACK (`dsyevd`, the divide-and-conquer method)
/// as OpenBLAS ships it.
public enum SymmetricEigenvalues {
    /// A = Σₖ valuesₖ vₖ vₖᵀ with `values` ascending and vₖ the row k of `vectors`, all orthonormal.
    ///
    /// `matrix` [order, order] is symmetric, stored by rows; only its lower half is read. A precondition is that all
    /// is finite.
    public static func decompose(_ matrix: [Double], order: Int) -> (values: [Double], vectors: [Double]) {
        precondition(
            order > 0 && matrix.count == order * order, "\(matrix.count) values are no \(order) × \(order) matrix")
        var vectors = matrix, values = [Double](repeating: 0, count: order)
        var size = Int32(order), status: Int32 = 0
        // LAPACK stores by columns: our lower half is its upper one, and its columns of vectors are our rows.
        var workCount = Int32(1 + 6 * order + 2 * order * order), integerCount = Int32(3 + 5 * order)
        var work = [Double](repeating: 0, count: Int(workCount)),
            integers = [Int32](repeating: 0, count: Int(integerCount))
        BLAS.useOneThread()
        dsyevd_("V", "U", &size, &vectors, &size, &values, &work, &workCount, &integers, &integerCount, &status, 1, 1)
        precondition(status == 0, "dsyevd: \(status) of a \(order) × \(order) matrix")
        return (values, vectors)
    }
}
