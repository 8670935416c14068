import Glibc
import Kernels

/// How fast an average forgets.
public struct AverageSettings: Hashable, Sendable {
    /// Examples after which a value's share in the average has halved.
    public let halfLife: Schedule
    /// The half-life is at most this much of the examples of all updates before: 0.05 in StyleGAN2. Nil: the half-life
    /// as it is.
    public let ramp: Double?

    public init(halfLife: Schedule, ramp: Double? = nil) { (self.halfLife, self.ramp) = (halfLife, ramp) }

    /// 1 − β of an update after a minibatch of `batch` examples, β = ½^(batch / half-life): 1 where the half-life is 0.
    ///
    /// Examples are counted as in StyleGAN2, a minibatch for each update of the network, however many of real examples
    /// the other player or a cost of pairs reads meanwhile.
    public func share(batch: Int, at progress: Progress) -> Double {
        var halfLife = self.halfLife.value(at: progress)
        if let ramp { halfLife = min(halfLife, ramp * Double(batch) * Double(progress.update - 1)) }
        return halfLife > 0 ? -expm1(-M_LN2 * Double(batch) / halfLife) : 1
    }
}

/// The moving average of a network's parameters: w̄ ← β w̄ + (1 − β) w after every update.
///
/// It starts as the parameters themselves. Computed as w̄ + (1 − β)(w − w̄) in float32, so that the average of what
/// stays the same is that, to the bit.
public final class AveragedParameters {
    public let settings: AverageSettings
    /// In the layout of the parameters.
    public let values: FloatBuffer

    public convenience init(of parameters: Floats, _ settings: AverageSettings) {
        self.init(settings, in: FloatBuffer(count: parameters.count))
        values.values.copy(from: parameters)
    }

    /// In memory that the caller fills.
    public init(_ settings: AverageSettings, in memory: FloatBuffer) { (self.settings, values) = (settings, memory) }

    /// Takes in the parameters that an update, of a minibatch of `batch` examples, has led to; `range`: these alone.
    public func update(with parameters: Floats, of range: Range<Int>? = nil, batch: Int, at progress: Progress) {
        let share = settings.share(batch: batch, at: progress), range = range ?? 0 ..< parameters.count
        if share == 1 {
            values.values[range].copy(from: parameters[range])
        } else {
            OptimiserKernels.average(values.values[range], with: parameters[range], share: Float(share))
        }
    }
}
