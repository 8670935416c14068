import CVector

/// Parameter updates in one pass over flat buffers, where g is `factor` · the gradient given: 1, which changes no bit,
/// or less where its norm is clipped. Each returns Σ of the squares of the gradient given, so that its norm costs no
/// further pass.
public enum OptimiserKernels {
    /// θ ← θ − rate · g.
    public static func descend(_ values: Floats, gradients: Floats, factor: Float, rate: Float) -> Double {
        precondition(values.count == gradients.count, "\(gradients.count) gradients for \(values.count) values")
        let rates = Vector(repeating: rate), factors = Vector(repeating: factor)
        var norm = RunningSum()
        forEachEight(values.count) { index, lanes in
            let gradient = gradients.lanes(at: index, lanes)
            norm.add(gradient, times: gradient)
            values.setLanes(values.lanes(at: index, lanes) - rates * (factors * gradient), at: index, lanes)
        }
        return norm.total
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
        let rates = Vector(repeating: rate), momenta = Vector(repeating: momentum), factors = Vector(repeating: factor)
        var norm = RunningSum()
        forEachEight(values.count) { index, lanes in
            let gradient = gradients.lanes(at: index, lanes)
            norm.add(gradient, times: gradient)
            let next = momenta * velocity.lanes(at: index, lanes) - rates * (factors * gradient)
            velocity.setLanes(next, at: index, lanes)
            values.setLanes(values.lanes(at: index, lanes) + next, at: index, lanes)
        }
        return norm.total
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
        let moments = AdamMoments(
            first, second, rate: rate, beta1: beta1, beta2: beta2, epsilon: epsilon, update: update)
        let factors = Vector(repeating: factor), kept = Vector(repeating: Float(1 - rate * weightDecay))
        var norm = RunningSum()
        forEachEight(values.count) { index, lanes in
            let gradient = gradients.lanes(at: index, lanes)
            norm.add(gradient, times: gradient)
            let step = moments.step(factors * gradient, at: index, lanes)
            values.setLanes(kept * values.lanes(at: index, lanes) - step, at: index, lanes)
        }
        return norm.total
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
        let moments = AdamMoments(
            first, second, rate: rate, beta1: beta1, beta2: beta2, epsilon: epsilon, update: update)
        let two = Vector(repeating: 2), factors = Vector(repeating: factor)
        var norm = RunningSum()
        forEachEight(values.count) { index, lanes in
            let gradient = gradients.lanes(at: index, lanes)
            norm.add(gradient, times: gradient)
            let step = moments.step(factors * gradient, at: index, lanes)
            values.setLanes(
                values.lanes(at: index, lanes) - two * step + previous.lanes(at: index, lanes), at: index, lanes)
            previous.setLanes(step, at: index, lanes)
        }
        return norm.total
    }

    /// RMSprop: v ← α v + (1 − α) g², then θ ← θ − rate · g / (√v + ε).
    public static func rmsprop(
        _ values: Floats, gradients: Floats, factor: Float, second: Floats, rate: Float, alpha: Double, epsilon: Double
    ) -> Double {
        precondition(
            values.count == gradients.count && values.count == second.count,
            "\(gradients.count) gradients and \(second.count) moments for \(values.count) values")
        let rates = Vector(repeating: rate), factors = Vector(repeating: factor),
            epsilons = Vector(repeating: Float(epsilon))
        let keep = Vector(repeating: Float(alpha)), take = Vector(repeating: Float(1 - alpha))
        var norm = RunningSum()
        forEachEight(values.count) { index, lanes in
            let given = gradients.lanes(at: index, lanes), gradient = factors * given
            norm.add(given, times: given)
            let square = keep * second.lanes(at: index, lanes) + take * (gradient * gradient)
            second.setLanes(square, at: index, lanes)
            let step = rates * gradient / (squareRoots(square) + epsilons)
            values.setLanes(values.lanes(at: index, lanes) - step, at: index, lanes)
        }
        return norm.total
    }

    /// average ← average + share (value − average): the difference, its product and the sum rounded one after another.
    public static func average(_ average: Floats, with values: Floats, share: Float) {
        precondition(average.count == values.count, "\(values.count) values for \(average.count) averages")
        let shares = Vector(repeating: share)
        forEachEight(values.count) { index, lanes in
            let old = average.lanes(at: index, lanes)
            average.setLanes(old + shares * (values.lanes(at: index, lanes) - old), at: index, lanes)
        }
    }

    /// Brings every value into ±bound. What is not a number stays that.
    public static func clamp(_ values: Floats, to bound: Float) {
        let upper = Vector(repeating: bound)
        forEachEight(values.count) { index, lanes in
            let value = values.lanes(at: index, lanes)
            let below = value.replacing(with: upper, where: value .> upper)
            values.setLanes(below.replacing(with: -upper, where: below .< -upper), at: index, lanes)
        }
    }

    /// Adam's moments of one update, and the step that follows from them.
    private struct AdamMoments {
        private let first, second: Floats
        private let keepFirst, takeFirst, keepSecond, takeSecond, rates, correction, epsilons: Vector

        init(
            _ first: Floats, _ second: Floats, rate: Double, beta1: Double, beta2: Double, epsilon: Double, update: Int
        ) {
            precondition(first.count == second.count, "\(first.count) and \(second.count) moments")
            precondition(update > 0, "Adam's updates are counted from 1, not \(update)")
            (self.first, self.second) = (first, second)
            (keepFirst, takeFirst) = (Vector(repeating: Float(beta1)), Vector(repeating: Float(1 - beta1)))
            (keepSecond, takeSecond) = (Vector(repeating: Float(beta2)), Vector(repeating: Float(1 - beta2)))
            rates = Vector(repeating: Float(rate / (1 - power(beta1, update))))
            correction = Vector(repeating: Float(1 / (1 - power(beta2, update)).squareRoot()))
            epsilons = Vector(repeating: Float(epsilon))
        }

        @inline(__always)
        func step(_ gradient: Vector, at index: Int, _ lanes: Int) -> Vector {
            let mean = keepFirst * first.lanes(at: index, lanes) + takeFirst * gradient
            let square = keepSecond * second.lanes(at: index, lanes) + takeSecond * (gradient * gradient)
            first.setLanes(mean, at: index, lanes)
            second.setLanes(square, at: index, lanes)
            return rates * mean / (squareRoots(square) * correction + epsilons)
        }
    }

    /// base to a whole power by squaring: the same digits on every C library.
    private static func power(_ base: Double, _ exponent: Int) -> Double {
        var result = 1.0, factor = base, rest = exponent
        while rest > 0 {
            if rest & 1 == 1 { result *= factor }
            factor *= factor
            rest >>= 1
        }
        return result
    }
}
