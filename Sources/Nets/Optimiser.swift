import Kernels

/// How a gradient becomes a step. Rate and momentum are given with each update, as they may follow a schedule.
public enum UpdateRule: Hashable, Sendable {
    /// θ ← θ − rate · g.
    case descent
    /// v ← μ v − rate · g; θ ← θ + v. The rate is inside the velocity, as in the code of Goodfellow et al. 2014.
    case momentum
    /// Kingma & Ba 2015, Algorithm 1, with bias correction.
    case adam(beta1: Double, beta2: Double, epsilon: Double)
    /// Daskalakis et al. 2018 (arXiv:1711.00141), Algorithm 1: Adam that takes twice its step and takes the one
    /// before back.
    case optimisticAdam(beta1: Double, beta2: Double, epsilon: Double)
}

/// The moments of one network's parameters and the update that uses them. Which update it is, is told by the caller:
/// the moments are all its state.
public final class Optimiser {
    public let rule: UpdateRule
    /// In the flat layout of the parameters: `velocity`, or `first` and `second` (and `previous`), or none; by these
    /// names in a checkpoint.
    public let moments: [(name: String, values: FloatBuffer)]

    /// `count` is ``ParameterStore/count``.
    public init(_ rule: UpdateRule, count: Int) {
        self.rule = rule
        moments =
            switch rule {
            case .descent: []
            case .momentum: [("velocity", FloatBuffer(count: count))]
            case .adam: [("first", FloatBuffer(count: count)), ("second", FloatBuffer(count: count))]
            case .optimisticAdam: ["first", "second", "previous"].map { ($0, FloatBuffer(count: count)) }
            }
    }

    /// Updates `range` of the parameters (nil: all) in one pass.
    ///
    /// - Parameters:
    ///   - update: the number of this update of this network, counted from 1 (Adam's t).
    ///   - momentum: μ; only ``UpdateRule/momentum`` looks at it.
    /// - Returns: Σ g² over the range: not finite where the gradient is not.
    public func update(
        _ values: Floats, gradients: Floats, range: Range<Int>? = nil, rate: Double, momentum: Double = 0, update: Int
    ) -> Double {
        let range = range ?? 0 ..< values.count
        let values = values[range], gradients = gradients[range]
        switch rule {
        case .descent:
            return OptimiserKernels.descend(values, gradients: gradients, rate: Float(rate))
        case .momentum:
            return OptimiserKernels.descend(
                values, gradients: gradients, velocity: moments[0].values.values[range],
                rate: Float(rate), momentum: Float(momentum))
        case .adam(let beta1, let beta2, let epsilon):
            return OptimiserKernels.adam(
                values, gradients: gradients,
                first: moments[0].values.values[range], second: moments[1].values.values[range],
                rate: rate, beta1: beta1, beta2: beta2, epsilon: epsilon, update: update)
        case .optimisticAdam(let beta1, let beta2, let epsilon):
            return OptimiserKernels.optimisticAdam(
                values, gradients: gradients, first: moments[0].values.values[range],
                second: moments[1].values.values[range], previous: moments[2].values.values[range],
                rate: rate, beta1: beta1, beta2: beta2, epsilon: epsilon, update: update)
        }
    }
}
