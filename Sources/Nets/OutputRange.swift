import Glibc

extension [any Layer] {
    /// The range of values that the last activation can give: [0, 1] of a sigmoid, else [−1, 1], which is what images
    /// are scaled to where nothing bounds the output.
    public var outputRange: ClosedRange<Float> { outputActivation is Sigmoid ? 0 ... 1 : -1 ... 1 }

    /// The same, nil where nothing bounds the output.
    public var outputBounds: ClosedRange<Float>? {
        outputActivation is Sigmoid || outputActivation is Tanh ? outputRange : nil
    }

    private var outputActivation: (any Layer)? { last { !($0 is Reshape) && !($0 is Flatten) } }

    /// The value before the last activation that makes it give `value`.
    public func inverseOfOutput(_ value: Float) -> Float {
        // pylearn2's clip: a pixel that is always black must not start at minus infinity.
        let margin: Float = 1e-7
        switch outputActivation {
        case is Sigmoid: return Float(logit(Double(Swift.min(Swift.max(value, margin), 1 - margin))))
        case is Tanh: return Float(logit((Double(Swift.min(Swift.max(value, -1 + margin), 1 - margin)) + 1) / 2) / 2)
        default: return value
        }
    }
}

/// σ⁻¹(p) = log(p / (1 − p)).
private func logit(_ p: Double) -> Double { log(p) - log1p(-p) }
