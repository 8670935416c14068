/// Pointwise functions of a layer's values and what their gradients multiply by. `into` may be the input itself.
///
/// Slopes are taken from the *output* y, so that a layer can be computed in place. A NaN stays a NaN: it must reach
/// the loss, where training stops with its reason.
public enum Activations {
    /// y = x where x > 0, slope · x elsewhere; with slope 0 the ReLU.
    public static func leakyRelu(_ input: Floats, slope: Float, into output: Floats) {
        let slopes = Vector(repeating: slope)
        map(input, into: output) { x in x.replacing(with: x * slopes, where: x .< 0) }
    }

    /// dx = dy where y > 0, slope · dy elsewhere. Needs slope ≥ 0, for then y > 0 exactly where x > 0.
    public static func leakyReluGradient(_ gradient: Floats, output: Floats, slope: Float, into inputGradient: Floats) {
        let slopes = Vector(repeating: slope)
        precondition(
            gradient.count == output.count && inputGradient.count == output.count,
            "\(gradient.count) gradients of \(output.count) values into \(inputGradient.count)")
        forEachEight(output.count) { index, lanes in
            let dy = gradient.lanes(at: index, lanes), y = output.lanes(at: index, lanes)
            inputGradient.setLanes((dy * slopes).replacing(with: dy, where: y .> 0), at: index, lanes)
        }
    }

    /// y = 1 / (1 + exp(−x)).
    public static func sigmoid(_ input: Floats, into output: Floats) { map(input, into: output, VectorMath.sigmoid) }

    /// y = tanh(x).
    public static func tanh(_ input: Floats, into output: Floats) { map(input, into: output, VectorMath.tanh) }

    /// dx = dy · y (1 − y).
    public static func sigmoidGradient(_ gradient: Floats, output: Floats, into inputGradient: Floats) {
        map(gradient, output, into: inputGradient) { dy, y in dy * (y * (1 - y)) }
    }

    /// dx = dy · (1 − y²).
    public static func tanhGradient(_ gradient: Floats, output: Floats, into inputGradient: Floats) {
        map(gradient, output, into: inputGradient) { dy, y in dy * (1 - y * y) }
    }

    /// dx (+)= e · t · y (1 − y) (1 − 2y): what the slope's change brings to the gradient of e · slope · t.
    public static func sigmoidCurvature(
        _ gradient: Floats, tangent: Floats, output: Floats, into inputGradient: Floats, adding: Bool
    ) {
        addCurvature(gradient, tangent, output, to: inputGradient, adding) { y in y * (1 - y) * (1 - 2 * y) }
    }

    /// dx (+)= −2 e · t · y (1 − y²).
    public static func tanhCurvature(
        _ gradient: Floats, tangent: Floats, output: Floats, into inputGradient: Floats, adding: Bool
    ) {
        addCurvature(gradient, tangent, output, to: inputGradient, adding) { y in -2 * y * (1 - y * y) }
    }

    /// y = ln(1 + exp(x)).
    public static func softplus(_ input: Floats, into output: Floats) { map(input, into: output, VectorMath.softplus) }

    /// dx = dy / (1 + exp(−x)).
    public static func softplusGradient(_ gradient: Floats, input: Floats, into inputGradient: Floats) {
        map(gradient, input, into: inputGradient) { dy, x in dy * VectorMath.sigmoid(x) }
    }

    /// dx (+)= e · t · exp(−|x|) / (1 + exp(−|x|))².
    public static func softplusCurvature(
        _ gradient: Floats, tangent: Floats, input: Floats, into inputGradient: Floats, adding: Bool
    ) {
        addCurvature(gradient, tangent, input, to: inputGradient, adding) { x in
            let e = VectorMath.exp(-VectorMath.magnitude(x))
            return e / ((1 + e) * (1 + e))
        }
    }

    /// y = x Φ(x), Φ the normal distribution function.
    public static func gelu(_ input: Floats, into output: Floats) {
        map(input, into: output) { x in x * VectorMath.normal(x).cumulative }
    }

    /// dx = dy · (Φ(x) + x φ(x)), φ the normal density.
    public static func geluGradient(_ gradient: Floats, input: Floats, into inputGradient: Floats) {
        map(gradient, input, into: inputGradient) { dy, x in
            let normal = VectorMath.normal(x)
            return dy * (normal.cumulative + x * normal.density)
        }
    }

    /// dx (+)= e · t · φ(x) (2 − x²).
    public static func geluCurvature(
        _ gradient: Floats, tangent: Floats, input: Floats, into inputGradient: Floats, adding: Bool
    ) {
        addCurvature(gradient, tangent, input, to: inputGradient, adding) { x in
            VectorMath.normal(x).density * (2 - x * x)
        }
    }

    /// y = x / (1 + exp(−x)).
    public static func silu(_ input: Floats, into output: Floats) {
        map(input, into: output) { x in x * VectorMath.sigmoid(x) }
    }

    /// dx = dy · s (1 + x (1 − s)), s the sigmoid of x.
    public static func siluGradient(_ gradient: Floats, input: Floats, into inputGradient: Floats) {
        map(gradient, input, into: inputGradient) { dy, x in
            let s = VectorMath.sigmoid(x)
            return dy * (s * (1 + x * (1 - s)))
        }
    }

    /// dx (+)= e · t · s (1 − s) (2 + x (1 − 2s)).
    public static func siluCurvature(
        _ gradient: Floats, tangent: Floats, input: Floats, into inputGradient: Floats, adding: Bool
    ) {
        addCurvature(gradient, tangent, input, to: inputGradient, adding) { x in
            let s = VectorMath.sigmoid(x)
            return s * (1 - s) * (2 + x * (1 - 2 * s))
        }
    }

    /// y = x · mask · factor: dropout with its mask of 0 and 1, and its own gradient.
    public static func applyMask(_ mask: Floats, factor: Float, to input: Floats, into output: Floats) {
        let factors = Vector(repeating: factor)
        map(input, mask, into: output) { x, keep in x * (keep * factors) }
    }

    /// sum (+)= gradient · tangent · function(value).
    @inline(__always)
    private static func addCurvature(
        _ gradient: Floats, _ tangent: Floats, _ values: Floats, to sum: Floats, _ adding: Bool,
        _ function: (Vector) -> Vector
    ) {
        precondition(
            gradient.count == values.count && tangent.count == values.count && sum.count == values.count,
            "\(gradient.count) gradients and \(tangent.count) tangents of \(values.count) values into \(sum.count)")
        forEachEight(values.count) { index, lanes in
            let bent =
                gradient.lanes(at: index, lanes) * tangent.lanes(at: index, lanes)
                * function(values.lanes(at: index, lanes))
            sum.setLanes(adding ? sum.lanes(at: index, lanes) + bent : bent, at: index, lanes)
        }
    }

    @inline(__always)
    private static func map(_ input: Floats, into output: Floats, _ function: (Vector) -> Vector) {
        precondition(input.count == output.count, "\(input.count) values into \(output.count)")
        forEachEight(input.count) { index, lanes in
            output.setLanes(function(input.lanes(at: index, lanes)), at: index, lanes)
        }
    }

    @inline(__always)
    private static func map(
        _ first: Floats, _ second: Floats, into output: Floats, _ function: (Vector, Vector) -> Vector
    ) {
        precondition(
            first.count == output.count && second.count == output.count,
            "\(first.count) and \(second.count) values into \(output.count)")
        forEachEight(output.count) { index, lanes in
            output.setLanes(function(first.lanes(at: index, lanes), second.lanes(at: index, lanes)), at: index, lanes)
        }
    }
}
