import COpenBLAS

/// Products of row-major matrices, by OpenBLAS.
public enum Matrix {
    /// C = op(A) op(B), or C += op(A) op(B) if `adding`.
    ///
    /// C is `m` × `n`. A is `m` × `k`, or `k` × `m` if `transposed`; B is `k` × `n`, or `n` × `k` if
    /// `secondTransposed`. All are row-major and dense, and C shares no memory with A or B. An empty sum (`k` = 0) is
    /// zero.
    public static func multiply(
        _ a: Floats, transposed: Bool = false, by b: Floats, secondTransposed: Bool = false,
        into c: Floats, rows m: Int, columns n: Int, inner k: Int, adding: Bool = false
    ) {
        precondition(m >= 0 && n >= 0 && k >= 0, "a product of \(m) × \(k) and \(k) × \(n) matrices")
        precondition(
            a.count >= m * k && b.count >= k * n && c.count >= m * n,
            "\(m) × \(k) times \(k) × \(n) from \(a.count) and \(b.count) values into \(c.count)")
        multiply(
            a.base, stride: transposed ? m : k, transposed: transposed,
            by: b.base, stride: secondTransposed ? k : n, secondTransposed: secondTransposed,
            into: c.base, stride: n, rows: m, columns: n, inner: k, adding: adding)
    }

    /// C = op(A) B, or C += op(A) B if `adding`, in double: for statistics of evaluations.
    public static func multiply(
        _ a: [Double], transposed: Bool = false, by b: [Double], into c: inout [Double], rows m: Int, columns n: Int,
        inner k: Int, adding: Bool = false
    ) {
        precondition(
            m > 0 && n > 0 && k > 0 && a.count == m * k && b.count == k * n && c.count == m * n,
            "\(m) × \(k) times \(k) × \(n) from \(a.count) and \(b.count) values into \(c.count)")
        BLAS.useOneThread()
        cblas_dgemm(
            CblasRowMajor, transposed ? CblasTrans : CblasNoTrans, CblasNoTrans, Int32(m), Int32(n), Int32(k), 1, a,
            Int32(transposed ? m : k), b, Int32(n), adding ? 1 : 0, &c, Int32(n))
    }

    /// The same on parts of larger matrices: `stride` is the distance from one row to the next, as stored.
    static func multiply(
        _ a: UnsafePointer<Float>, stride aStride: Int, transposed: Bool = false,
        by b: UnsafePointer<Float>, stride bStride: Int, secondTransposed: Bool = false,
        into c: UnsafeMutablePointer<Float>, stride cStride: Int,
        rows m: Int, columns n: Int, inner k: Int, adding: Bool
    ) {
        guard m > 0, n > 0 else { return }
        guard k > 0 else {
            if !adding {
                for row in 0 ..< m { (c + row * cStride).update(repeating: 0, count: n) }
            }
            return
        }
        BLAS.useOneThread()
        let beta: Float = adding ? 1 : 0
        if n == 1 {
            // One column (a logit): the matrix is read once, where sgemm would first copy it into its own order.
            cblas_sgemv(
                CblasRowMajor, transposed ? CblasTrans : CblasNoTrans,
                Int32(transposed ? k : m), Int32(transposed ? m : k), 1, a, Int32(aStride),
                b, secondTransposed ? 1 : Int32(bStride), beta, c, Int32(cStride))
        } else {
            cblas_sgemm(
                CblasRowMajor, transposed ? CblasTrans : CblasNoTrans, secondTransposed ? CblasTrans : CblasNoTrans,
                Int32(m), Int32(n), Int32(k), 1, a, Int32(aStride), b, Int32(bStride), beta, c, Int32(cStride))
        }
    }
}

/// The BLAS behind ``Matrix``.
public enum BLAS {
    /// A rank computes on one thread, for ranks share the cores, and the bits of a product depend on how many there
    /// are. Whatever calls OpenBLAS says this first.
    static func useOneThread() { _ = isOneThread }
    private static let isOneThread: Void = openblas_set_num_threads(1)

    /// What OpenBLAS maps for one thread's products, with what the allocator adds.
    public static let bufferBytes = 160 << 20

    /// Has OpenBLAS map its buffer now, which it keeps: where it gets none, later, it asks for ever (its issue 5289).
    public static func takeBuffer() {
        useOneThread()
        let ones = [Float](repeating: 1, count: 64 * 64)
        var product = ones
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, 64, 64, 64, 1, ones, 64, ones, 64, 0, &product, 64)
    }

    /// What OpenBLAS calls the kernels that it uses: after the first processor that has what they need.
    public static var kernels: String { String(cString: openblas_get_corename()) }

    /// Version, kernel and threads, as `OpenBLAS 0.3.21 … SkylakeX, 1 thread`: the bits of a product depend on them.
    public static var description: String {
        useOneThread()
        let threads = openblas_get_num_threads()
        let configuration = String(cString: openblas_get_config()).trimmingSpaces
        return "\(configuration), kernels \(kernels), "
            + "\(threads) thread\(threads == 1 ? "" : "s")"
    }
}

private extension String {
    var trimmingSpaces: String { split(separator: " ").joined(separator: " ") }
}
