import CKernels

/// Layer normalisation of one example at a time: Ba, Kiros & Hinton 2016.
///
/// With m values x of an example, v = (x − mean) / d, d = √(variance + ε); `inverse` is 1/d. The Jacobian of v is
/// symmetric: J t = (P t − v ⟨v, t⟩ / m) / d, P t = t − mean(t).
public enum LayerNormalisationKernels {
    /// The mean and 1/√(variance + ε). The variance in a second pass, for Σx² − (Σx)²/m would cancel where the mean
    /// is large.
    public static func moments(of input: Floats, epsilon: Float) -> (mean: Float, inverse: Float) {
        let count = Double(input.count)
        let mean = Float(kernels().pointee.sumOfValues(input.base, input.count) / count)
        let squares = kernels().pointee.sumOfSquaresAround(input.base, mean, input.count)
        return (mean, Float(1 / (squares / count + Double(epsilon)).squareRoot()))
    }

    /// v = (x − mean) · inverse.
    public static func standardise(_ input: Floats, mean: Float, inverse: Float, into output: Floats) {
        precondition(input.count == output.count, "\(input.count) values into \(output.count)")
        kernels().pointee.standardise(input.base, mean, inverse, output.base, input.count)
    }

    /// y[r, c] = x[r, c] · scale[c] + shift[c]; without a shift y[r, c] = x[r, c] · scale[c].
    public static func scale(_ input: Floats, by scale: Floats, shift: Floats? = nil, into output: Floats) {
        let columns = scale.count
        precondition(
            input.count == output.count && input.count % columns == 0,
            "\(input.count) values of \(columns) channels into \(output.count)")
        kernels().pointee.scaleRows(
            input.base, scale.base, shift?.base, output.base, input.count / columns, columns)
    }

    /// sums[c] += Σ_r a[r, c] · b[r, c].
    public static func addProducts(_ a: Floats, _ b: Floats, to sums: Floats) {
        precondition(
            a.count == b.count && a.count % sums.count == 0,
            "products of \(a.count) and \(b.count) values into \(sums.count) sums")
        kernels().pointee.addColumnSumsOfProducts(a.base, b.base, a.count / sums.count, sums.count, sums.base)
    }

    /// J t, which may lie over t.
    public static func derivative(_ tangent: Floats, standardised v: Floats, inverse: Float, into output: Floats) {
        precondition(
            tangent.count == v.count && output.count == v.count,
            "\(tangent.count) tangents of \(v.count) values into \(output.count)")
        kernels().pointee.layerDerivative(tangent.base, v.base, inverse, output.base, v.count)
    }

    /// c = ∂⟨e, J t⟩ / ∂x = −(⟨a, b⟩ v + ⟨b, v⟩ a + ⟨a, v⟩ b − 3/m ⟨a, v⟩ ⟨b, v⟩ v) / (m d²), a = P e, b = P t.
    public static func curvature(
        _ gradient: Floats, tangent: Floats, standardised v: Floats, inverse: Float, into inputGradient: Floats,
        adding: Bool
    ) {
        precondition(
            gradient.count == v.count && tangent.count == v.count && inputGradient.count == v.count,
            "\(gradient.count) gradients and \(tangent.count) tangents of \(v.count) values into \(inputGradient.count)"
        )
        kernels().pointee.layerCurvature(
            gradient.base, tangent.base, v.base, inverse, inputGradient.base, adding, v.count)
    }
}
