import Glibc

/// The learning rate as a function of the step t = 0, 1, ….
public enum RateSchedule: Hashable, Sendable {
    case constant(Double)
    /// max(floor, initial / decayᵗ) with a decay above 1: 1.000004 and 10⁻⁶ in Goodfellow et al. 2014's configuration.
    case exponential(initial: Double, decay: Double, floor: Double)
    /// From `initial` at step 0 in a straight line to `final` at step `steps`, and `final` from then on.
    case linear(initial: Double, final: Double, steps: Int)

    public func rate(at step: Int) -> Double {
        switch self {
        case .constant(let rate): rate
        case .exponential(let initial, let decay, let floor): max(floor, initial / pow(decay, Double(step)))
        case .linear(let initial, let final, let steps):
            step >= steps ? final : initial + (final - initial) * Double(step) / Double(steps)
        }
    }
}

/// Momentum that grows in a straight line over epochs 1 … n, `from` before, `to` after: 0.5 → 0.7 over 250 in
/// Goodfellow et al. 2014's configuration. It changes at the end of an epoch only.
public struct MomentumRamp: Hashable, Sendable {
    public let from: Double
    public let to: Double
    public let epochs: Int

    public init(from: Double, to: Double, epochs: Int) {
        self.from = from
        self.to = to
        self.epochs = epochs
    }

    /// `epoch` counts the epochs that are complete.
    public func momentum(afterEpochs epoch: Int) -> Double {
        guard epoch < epochs else { return to }
        guard epoch > 1 else { return from }
        return from + (to - from) * Double(epoch - 1) / Double(epochs - 1)
    }
}
