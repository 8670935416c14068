import CKernels

/// The softmax of attention, row by row: a[i, j] = exp(s[i, j]) / Σ_k exp(s[i, k]).
///
/// Its Jacobian is symmetric: J t = a (t − ⟨a, t⟩), in each row.
public enum Attention {
    /// Overwrites the scores.
    public static func softmax(_ scores: Floats, columns: Int) {
        kernels().pointee.softmax(scores.base, rows(scores, columns), columns)
    }

    /// J t, which may lie over t.
    public static func derivative(_ tangent: Floats, weights: Floats, columns: Int, into output: Floats) {
        check(tangent, weights, output)
        kernels().pointee.softmaxDerivative(
            tangent.base, weights.base, output.base, rows(weights, columns), columns)
    }

    /// sum += ∂⟨e, J t⟩ / ∂a = e (t − ⟨a, t⟩) − t ⟨a, e⟩.
    public static func addCurvature(
        _ gradient: Floats, tangent: Floats, weights: Floats, columns: Int, to sum: Floats
    ) {
        check(gradient, tangent, weights)
        check(sum, tangent, weights)
        kernels().pointee.addSoftmaxCurvature(
            gradient.base, tangent.base, weights.base, sum.base, rows(weights, columns), columns)
    }

    /// y = factor · x, which may be the same memory.
    public static func scale(_ input: Floats, by factor: Float, into output: Floats) {
        precondition(input.count == output.count, "\(input.count) values into \(output.count)")
        kernels().pointee.scale(input.base, factor, output.base, input.count)
    }

    private static func check(_ first: Floats, _ second: Floats, _ third: Floats) {
        precondition(
            first.count == third.count && second.count == third.count,
            "\(first.count), \(second.count) and \(third.count) values")
    }

    private static func rows(_ matrix: Floats, _ columns: Int) -> Int {
        precondition(matrix.count % columns == 0, "\(matrix.count) values are no rows of \(columns)")
        return matrix.count / columns
    }
}
