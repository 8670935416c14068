import CKernels

/// Matrices stored in panels of 16 columns: panel after panel, each by rows, so that [rows, columns] lies in memory as
/// [columns / 16][rows][16].
///
/// For matrices that the caller makes itself, and can make in this order at once: where BLAS would first copy them
/// into an order of its own, a product of few rows costs little more than its multiplications. The order of each sum
/// is that of its terms, the multiplication fused with the addition where the instruction set has that.
enum Panels {
    /// Rows are computed several at a time: the memory of a matrix has room for as many as this.
    static func rounded(rows: Int) -> Int {
        let atATime = kernels().pointee.rowsAtATime
        return (rows + atATime - 1) / atATime * atATime
    }
}
