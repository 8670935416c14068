import CKernels

/// How much the examples of a group differ: Karras et al. 2018 (arXiv:1710.10196), §3.
///
/// Of G examples of F values each, σ[f] = √(mean over n of (x[n, f] − mean[f])² + ε), s = mean over f of σ[f].
public enum MinibatchDeviationKernels {
    /// s.
    public static func mean(of examples: Floats, count: Int, epsilon: Float) -> Float {
        let values = examples.count / count
        return Float(kernels().pointee.sumOfDeviations(examples.base, count, values, epsilon) / Double(values))
    }

    /// Rows of `channels` values, each with `value` behind it.
    public static func append(_ value: Float, to input: Floats, channels: Int, into output: Floats) {
        let rows = check(input, channels, output)
        for row in 0 ..< rows {
            let target = output[row * (channels + 1) ..< (row + 1) * (channels + 1)]
            target.copy(from: input[row * channels ..< (row + 1) * channels])
            target[channels] = value
        }
    }

    /// The adjoint: rows without their last values, of which the sum is returned.
    public static func divide(_ gradient: Floats, channels: Int, into inputGradient: Floats) -> Float {
        let rows = check(inputGradient, channels, gradient)
        var sum = 0.0
        for row in 0 ..< rows {
            let source = gradient[row * (channels + 1) ..< (row + 1) * (channels + 1)]
            inputGradient[row * channels ..< (row + 1) * channels].copy(from: source[0 ..< channels])
            sum += Double(source[channels])
        }
        return Float(sum)
    }

    private static func check(_ values: Floats, _ channels: Int, _ longer: Floats) -> Int {
        let rows = values.count / channels
        precondition(
            values.count == rows * channels && longer.count == rows * (channels + 1),
            "\(values.count) values of \(channels) channels beside \(longer.count)")
        return rows
    }

    /// gradients[n, f] += slope · ∂s / ∂x[n, f] = slope / F · (x[n, f] − mean[f]) / (G σ[f]).
    public static func addGradient(
        of examples: Floats, count: Int, epsilon: Float, slope: Float, to gradients: Floats
    ) {
        precondition(
            examples.count == gradients.count && examples.count % count == 0,
            "\(gradients.count) gradients of \(examples.count) values of \(count) examples")
        let values = examples.count / count
        let share = slope / (Float(values) * Float(count))
        kernels().pointee.addDeviationGradient(examples.base, count, values, epsilon, share, gradients.base)
    }
}
