import CKernels

/// y = x r, r = 1/√(mean(x²) + ε), over the channels of each pixel: Karras et al. 2018 (arXiv:1710.10196), §4.2.
///
/// The Jacobian is symmetric: J t = r (t − y ⟨y, t⟩ / C).
public enum PixelNormalisationKernels {
    public static func forward(_ input: Floats, channels: Int, epsilon: Float, into output: Floats) {
        let pixels = pixels(input, output, channels: channels)
        kernels().pointee.pixelNormalise(input.base, epsilon, output.base, pixels, channels)
    }

    /// J t into `output`: what backward makes of a gradient, too.
    public static func derivative(
        _ tangent: Floats, input: Floats, channels: Int, epsilon: Float, into output: Floats
    ) {
        precondition(tangent.count == input.count, "\(tangent.count) tangents of \(input.count) values")
        let pixels = pixels(input, output, channels: channels)
        kernels().pointee.pixelDerivative(tangent.base, input.base, epsilon, output.base, pixels, channels)
    }

    /// c (+)= ∂⟨e, J t⟩ / ∂x = −r²/C · (⟨e, t⟩ y + ⟨y, t⟩ e + ⟨y, e⟩ t − 3/C ⟨y, e⟩ ⟨y, t⟩ y).
    public static func curvature(
        _ gradient: Floats, tangent: Floats, input: Floats, channels: Int, epsilon: Float, into inputGradient: Floats,
        adding: Bool
    ) {
        precondition(
            gradient.count == input.count && tangent.count == input.count,
            "\(gradient.count) gradients and \(tangent.count) tangents of \(input.count) values")
        let pixels = pixels(input, inputGradient, channels: channels)
        kernels().pointee.pixelCurvature(
            gradient.base, tangent.base, input.base, epsilon, inputGradient.base, adding, pixels, channels)
    }

    private static func pixels(_ input: Floats, _ output: Floats, channels: Int) -> Int {
        precondition(
            input.count == output.count && input.count % channels == 0,
            "\(input.count) values of \(channels) channels into \(output.count)")
        return input.count / channels
    }
}
