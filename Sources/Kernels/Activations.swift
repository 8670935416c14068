import CKernels

/// Pointwise functions of a layer's values and what their gradients multiply by. `into` may be the input itself.
///
/// Slopes are taken from the *output* y, so that a layer can be computed in place. A NaN stays a NaN: it must reach
/// the loss, where training stops with its reason.
public enum Activations {
    /// y = x where x > 0, slope · x elsewhere; with slope 0 the ReLU.
    public static func leakyRelu(_ input: Floats, slope: Float, into output: Floats) {
        check(input, output)
        kernels().pointee.leakyRelu(input.base, slope, output.base, output.count)
    }

    /// dx = dy where y > 0, slope · dy elsewhere. Needs slope ≥ 0, for then y > 0 exactly where x > 0.
    public static func leakyReluGradient(_ gradient: Floats, output: Floats, slope: Float, into inputGradient: Floats) {
        check(gradient, output, inputGradient)
        kernels().pointee.leakyReluGradient(gradient.base, output.base, slope, inputGradient.base, output.count)
    }

    /// y = 1 / (1 + exp(−x)).
    public static func sigmoid(_ input: Floats, into output: Floats) { map(input, output, kernels().pointee.sigmoid) }

    /// y = tanh(x).
    public static func tanh(_ input: Floats, into output: Floats) {
        map(input, output, kernels().pointee.hyperbolicTangent)
    }

    /// dx = dy · y (1 − y).
    public static func sigmoidGradient(_ gradient: Floats, output: Floats, into inputGradient: Floats) {
        multiply(gradient, output, inputGradient, kernels().pointee.sigmoidGradient)
    }

    /// dx = dy · (1 − y²).
    public static func tanhGradient(_ gradient: Floats, output: Floats, into inputGradient: Floats) {
        multiply(gradient, output, inputGradient, kernels().pointee.hyperbolicTangentGradient)
    }

    /// dx (+)= e · t · y (1 − y) (1 − 2y): what the slope's change brings to the gradient of e · slope · t.
    public static func sigmoidCurvature(
        _ gradient: Floats, tangent: Floats, output: Floats, into inputGradient: Floats, adding: Bool
    ) {
        bend(gradient, tangent, output, inputGradient, adding, kernels().pointee.sigmoidCurvature)
    }

    /// dx (+)= −2 e · t · y (1 − y²).
    public static func tanhCurvature(
        _ gradient: Floats, tangent: Floats, output: Floats, into inputGradient: Floats, adding: Bool
    ) {
        bend(gradient, tangent, output, inputGradient, adding, kernels().pointee.hyperbolicTangentCurvature)
    }

    /// y = ln(1 + exp(x)).
    public static func softplus(_ input: Floats, into output: Floats) { map(input, output, kernels().pointee.softplus) }

    /// dx = dy / (1 + exp(−x)).
    public static func softplusGradient(_ gradient: Floats, input: Floats, into inputGradient: Floats) {
        multiply(gradient, input, inputGradient, kernels().pointee.softplusGradient)
    }

    /// dx (+)= e · t · exp(−|x|) / (1 + exp(−|x|))².
    public static func softplusCurvature(
        _ gradient: Floats, tangent: Floats, input: Floats, into inputGradient: Floats, adding: Bool
    ) {
        bend(gradient, tangent, input, inputGradient, adding, kernels().pointee.softplusCurvature)
    }

    /// y = x Φ(x), Φ the normal distribution function.
    public static func gelu(_ input: Floats, into output: Floats) { map(input, output, kernels().pointee.gelu) }

    /// dx = dy · (Φ(x) + x φ(x)), φ the normal density.
    public static func geluGradient(_ gradient: Floats, input: Floats, into inputGradient: Floats) {
        multiply(gradient, input, inputGradient, kernels().pointee.geluGradient)
    }

    /// dx (+)= e · t · φ(x) (2 − x²).
    public static func geluCurvature(
        _ gradient: Floats, tangent: Floats, input: Floats, into inputGradient: Floats, adding: Bool
    ) {
        bend(gradient, tangent, input, inputGradient, adding, kernels().pointee.geluCurvature)
    }

    /// y = x / (1 + exp(−x)).
    public static func silu(_ input: Floats, into output: Floats) { map(input, output, kernels().pointee.silu) }

    /// dx = dy · s (1 + x (1 − s)), s the sigmoid of x.
    public static func siluGradient(_ gradient: Floats, input: Floats, into inputGradient: Floats) {
        multiply(gradient, input, inputGradient, kernels().pointee.siluGradient)
    }

    /// dx (+)= e · t · s (1 − s) (2 + x (1 − 2s)).
    public static func siluCurvature(
        _ gradient: Floats, tangent: Floats, input: Floats, into inputGradient: Floats, adding: Bool
    ) {
        bend(gradient, tangent, input, inputGradient, adding, kernels().pointee.siluCurvature)
    }

    /// y = x · mask · factor: dropout with its mask of 0 and 1, and its own gradient.
    public static func applyMask(_ mask: Floats, factor: Float, to input: Floats, into output: Floats) {
        check(input, mask, output)
        kernels().pointee.applyMask(input.base, mask.base, factor, output.base, output.count)
    }

    private static func map(_ input: Floats, _ output: Floats, _ function: PointwiseFunction) {
        check(input, output)
        function(input.base, output.base, output.count)
    }

    private static func multiply(
        _ gradient: Floats, _ values: Floats, _ inputGradient: Floats, _ function: PointwiseGradient
    ) {
        check(gradient, values, inputGradient)
        function(gradient.base, values.base, inputGradient.base, values.count)
    }

    private static func bend(
        _ gradient: Floats, _ tangent: Floats, _ values: Floats, _ sum: Floats, _ adding: Bool,
        _ function: PointwiseCurvature
    ) {
        check(gradient, values, sum)
        check(tangent, values)
        function(gradient.base, tangent.base, values.base, sum.base, adding, values.count)
    }

    private static func check(_ first: Floats, _ second: Floats, _ third: Floats? = nil) {
        precondition(
            first.count == second.count && third?.count ?? first.count == first.count,
            "pointwise of \(first.count), \(second.count) and \(third?.count ?? first.count) values")
    }
}
