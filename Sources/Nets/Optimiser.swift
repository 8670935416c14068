import Kernels

/// How a gradient becomes a step.
public enum UpdateRule: Hashable, Sendable {
    /// θ ← θ − rate · g.
    case descent
    /// v ← μ v − rate · g; θ ← θ + v. The rate is inside the velocity, as in the code of Goodfellow et al. 2014.
    case momentum
    /// Kingma & Ba 2015, Algorithm 1, with bias correction by the β₂ of the update at hand.
    case adam(beta1: Double, beta2: Schedule, epsilon: Double)
    /// Loshchilov & Hutter 2019 (arXiv:1711.05101): θ ← θ − rate · weightDecay · θ, biases too, then Adam's step.
    case adamW(beta1: Double, beta2: Schedule, epsilon: Double, weightDecay: Double)
    /// Daskalakis et al. 2018 (arXiv:1711.00141), Algorithm 1: Adam that takes twice its step and takes the one
    /// before back.
    case optimisticAdam(beta1: Double, beta2: Schedule, epsilon: Double)
    /// v ← α v + (1 − α) g²; θ ← θ − rate · g / (√v + ε): Tieleman & Hinton 2012, as PyTorch has it.
    case rmsprop(alpha: Double, epsilon: Double)

    /// The names of what it remembers of each parameter.
    public var moments: [String] {
        switch self {
        case .descent: []
        case .momentum: ["velocity"]
        case .adam, .adamW: ["first", "second"]
        case .optimisticAdam: ["first", "second", "previous"]
        case .rmsprop: ["second"]
        }
    }
}

/// The moments of one network's parameters and the update that uses them. Which update it is, is told by the caller:
/// the moments are all its state.
public final class Optimiser {
    public let settings: OptimiserSettings
    /// In the flat layout of the parameters: `velocity`, or `first` and `second` (and `previous`), or `second`, or
    /// none; by these names in a checkpoint.
    public let moments: [(name: String, values: FloatBuffer)]

    /// `count` is ``ParameterStore/count``.
    public convenience init(_ settings: OptimiserSettings, count: Int) {
        self.init(settings, moments: settings.rule.moments.map { _ in FloatBuffer(count: count) })
    }

    /// With moments in this memory, in the order of ``UpdateRule/moments``: zeros at first.
    public init(_ settings: OptimiserSettings, moments: [FloatBuffer]) {
        precondition(moments.count == settings.rule.moments.count, "\(moments.count) moments of \(settings.rule)")
        self.settings = settings
        self.moments = zip(settings.rule.moments, moments).map { ($0, $1) }
    }

    public func rate(at progress: Progress) -> Double { settings.rate.value(at: progress) }

    /// Updates all parameters: in one pass, one more before it where the gradient's norm is clipped, and one more
    /// after it where the weights are.
    ///
    /// - Returns: Σ g² of the gradient as it is given: not finite where the gradient is not.
    public func update(_ values: Floats, gradients: Floats, at progress: Progress) -> Double {
        update(values, gradients: gradients, of: 0 ..< values.count, factor: factor(of: gradients), at: progress)
    }

    /// Updates the parameters in `range` alone, by the gradients of these; `factor` is that ``factor(of:)`` the whole
    /// gradient.
    ///
    /// - Returns: Σ g² in the range.
    public func update(
        _ values: Floats, gradients: Floats, of range: Range<Int>, factor: Float, at progress: Progress
    ) -> Double {
        let some = values[range]
        let squaredNorm = step(some, gradients: gradients, of: range, factor: factor, at: progress)
        if let bound = settings.clipWeights { OptimiserKernels.clamp(some, to: Float(bound)) }
        return squaredNorm
    }

    /// What the gradient is multiplied by.
    public func factor(of gradients: Floats) -> Float {
        guard let bound = settings.clipNorm else { return 1 }
        return Float(min(1, bound / (Reductions.squaredNorm(of: gradients).squareRoot() + 1e-6)))
    }

    private func step(
        _ values: Floats, gradients: Floats, of range: Range<Int>, factor: Float, at progress: Progress
    ) -> Double {
        let rate = rate(at: progress)
        func moment(_ number: Int) -> Floats { moments[number].values.values[range] }
        switch settings.rule {
        case .descent:
            return OptimiserKernels.descend(values, gradients: gradients, factor: factor, rate: Float(rate))
        case .momentum:
            return OptimiserKernels.descend(
                values, gradients: gradients, factor: factor, velocity: moment(0), rate: Float(rate),
                momentum: Float(settings.momentum.value(at: progress)))
        case .adam(let beta1, let beta2, let epsilon):
            return OptimiserKernels.adam(
                values, gradients: gradients, factor: factor, first: moment(0), second: moment(1), rate: rate,
                beta1: beta1, beta2: beta2.value(at: progress), epsilon: epsilon, update: progress.update)
        case .adamW(let beta1, let beta2, let epsilon, let weightDecay):
            return OptimiserKernels.adam(
                values, gradients: gradients, factor: factor, first: moment(0), second: moment(1), rate: rate,
                beta1: beta1, beta2: beta2.value(at: progress), epsilon: epsilon, weightDecay: weightDecay,
                update: progress.update)
        case .optimisticAdam(let beta1, let beta2, let epsilon):
            return OptimiserKernels.optimisticAdam(
                values, gradients: gradients, factor: factor, first: moment(0), second: moment(1),
                previous: moment(2), rate: rate, beta1: beta1, beta2: beta2.value(at: progress), epsilon: epsilon,
                update: progress.update)
        case .rmsprop(let alpha, let epsilon):
            return OptimiserKernels.rmsprop(
                values, gradients: gradients, factor: factor, second: moment(0), rate: Float(rate), alpha: alpha,
                epsilon: epsilon)
        }
    }
}
