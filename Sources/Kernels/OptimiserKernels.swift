import CKernels

/// Parameter updates in one pass over flat buffers, where g is `factor` · the gradient given: 1, which changes no bit,
/// or less where its norm is clipped. Each returns Σ of the squares of the gradient given, so that its norm costs no
/// further pass.
public enum OptimiserKernels {
    /// θ ← θ − rate · g.
    public static func descend(_ values: Floats, gradients: Floats, factor: Float, rate: Float) -> Double {
        precondition(values.count == gradients.count, "\(gradients.count) gradients for \(values.count) values")
        return kernels().pointee.descend(values.base, gradients.base, factor, rate, values.count)
    }

    /// v ← μ v − rate · g, then θ ← θ + v: momentum as in the code of Goodfellow et al. 2014 (not Nesterov's). The
    /// rate is inside the velocity, so a falling rate does not shrink the steps already taken; PyTorch keeps it
    /// outside.
    public static func descend(
        _ values: Floats, gradients: Floats, factor: Float, velocity: Floats, rate: Float, momentum: Float
    ) -> Double {
        precondition(
            values.count == gradients.count && values.count == velocity.count,
            "\(gradients.count) gradients and \(velocity.count) velocities for \(values.count) values")
        return kernels().pointee.descendWithMomentum(
            values.base, gradients.base, factor, velocity.base, rate, momentum, values.count)
    }

    /// Adam: Kingma & Ba 2015, Algorithm 1, with ε outside the root as there: for update t = 1, 2, …
    ///
    ///     m ← β₁ m + (1 − β₁) g        v ← β₂ v + (1 − β₂) g²
    ///     θ ← θ − s,   s = rate / (1 − β₁ᵗ) · m / (√v / √(1 − β₂ᵗ) + ε)
    ///
    /// AdamW first multiplies θ by 1 − rate · weightDecay.
    public static func adam(
        _ values: Floats, gradients: Floats, factor: Float, first: Floats, second: Floats,
        rate: Double, beta1: Double, beta2: Double, epsilon: Double,
        weightDecay: Double = 0, update: Int
    ) -> Double {
        precondition(values.count == gradients.count, "\(gradients.count) gradients for \(values.count) values")
        check(first, second, update)
        var constants = AdamUpdate(rate: rate, beta1: beta1, beta2: beta2, epsilon: epsilon, update: update)
        return kernels().pointee.adam(
            values.base, gradients.base, factor, first.base, second.base, &constants, Float(1 - rate * weightDecay),
            values.count)
    }

    /// Optimistic Adam: Daskalakis et al. 2018 (arXiv:1711.00141), Algorithm 1: with s of ``adam`` and the s′ of the
    /// update before (0 at first), θ ← θ − 2 s + s′.
    public static func optimisticAdam(
        _ values: Floats, gradients: Floats, factor: Float, first: Floats, second: Floats, previous: Floats,
        rate: Double, beta1: Double, beta2: Double, epsilon: Double, update: Int
    ) -> Double {
        precondition(
            values.count == gradients.count && values.count == previous.count,
            "\(gradients.count) gradients and \(previous.count) steps for \(values.count) values")
        check(first, second, update)
        var constants = AdamUpdate(rate: rate, beta1: beta1, beta2: beta2, epsilon: epsilon, update: update)
        return kernels().pointee.optimisticAdam(
            values.base, gradients.base, factor, first.base, second.base, previous.base, &constants, values.count)
    }

    /// RMSprop: v ← α v + (1 − α) g², then θ ← θ − rate · g / (√v + ε).
    public static func rmsprop(
        _ values: Floats, gradients: Floats, factor: Float, second: Floats, rate: Float, alpha: Double, epsilon: Double
    ) -> Double {
        precondition(
            values.count == gradients.count && values.count == second.count,
            "\(gradients.count) gradients and \(second.count) moments for \(values.count) values")
        return kernels().pointee.rmsprop(
            values.base, gradients.base, factor, second.base, rate, Float(alpha), Float(1 - alpha), Float(epsilon),
            values.count)
    }

    /// average ← average + share (value − average): the difference, its product and the sum rounded one after another.
    public static func average(_ average: Floats, with values: Floats, share: Float) {
        precondition(average.count == values.count, "\(values.count) values for \(average.count) averages")
        kernels().pointee.moveAverage(average.base, values.base, share, values.count)
    }

    /// Brings every value into ±bound. What is not a number stays that.
    public static func clamp(_ values: Floats, to bound: Float) {
        kernels().pointee.clamp(values.base, bound, values.count)
    }

    private static func check(_ first: Floats, _ second: Floats, _ update: Int) {
        precondition(first.count == second.count, "\(first.count) and \(second.count) moments")
        precondition(update > 0, "Adam's updates are counted from 1, not \(update)")
    }
}

private extension AdamUpdate {
    /// What update t = `update` needs.
    init(rate: Double, beta1: Double, beta2: Double, epsilon: Double, update: Int) {
        self.init(
            keepFirst: Float(beta1), takeFirst: Float(1 - beta1), keepSecond: Float(beta2),
            takeSecond: Float(1 - beta2), rate: Float(rate / (1 - power(beta1, update))),
            correction: Float(1 / (1 - power(beta2, update)).squareRoot()), epsilon: Float(epsilon))
    }
}

/// base to a whole power by squaring: the same digits on every C library.
private func power(_ base: Double, _ exponent: Int) -> Double {
    var result = 1.0, factor = base, rest = exponent
    while rest > 0 {
        if rest & 1 == 1 { result *= factor }
        factor *= factor
        rest >>= 1
    }
    return result
}
