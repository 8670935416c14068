import Glibc

/// Where a run stands as an update is made.
public struct Progress: Hashable, Sendable {
    /// Alternation steps made before this one.
    public var steps: Int
    /// Epochs that are complete.
    public var epochs: Int
    /// Real examples read before this step.
    public var examples: Double
    /// The number of this update of this network, counted from 1: Adam's t.
    public var update: Int

    public init(steps: Int, epochs: Int, examples: Double, update: Int) {
        (self.steps, self.epochs, self.examples, self.update) = (steps, epochs, examples, update)
    }
}

/// A number that may change as a run goes on: a learning rate, β₂, a momentum, the weight of a penalty.
///
/// Its time t counts whole units: 0 at the first step (or update, or in the first epoch), 1 at the second. With a
/// warm-up of w units the value is t / w of the course's first one while t < w: 0 at the very first step. The course's
/// own time begins where the warm-up ends: it has its first value at t = w.
public struct Schedule: Hashable, Sendable {
    /// What time is counted in.
    public enum Unit: String, CaseIterable, Sendable {
        case steps, epochs, examples
        /// Updates of the network at hand: k a step for the discriminator.
        case updates
    }

    /// The value as a function of the course's own time t. What goes from one value to another is there at t = `over`,
    /// and stays.
    public enum Course: Hashable, Sendable {
        case constant(Double)
        /// from + (to − from) t / over.
        case linear(from: Double, to: Double, over: Int)
        /// from (to / from)^(t / over): each unit by the same factor. Both values are above 0.
        case exponential(from: Double, to: Double, over: Int)
        /// from + (to − from) (1 − cos(π t / over)) / 2.
        case cosine(from: Double, to: Double, over: Int)
        /// max(floor, initial / decayᵗ) with a decay above 1: 1.000004 and 10⁻⁶ in Goodfellow et al. 2014's
        /// configuration.
        case decay(initial: Double, decay: Double, floor: Double)
        /// In a straight line from t = 1 to t = over, `from` before, `to` after: the momentum in Goodfellow et al.
        /// 2014's configuration, 0.5 → 0.7 over 250 epochs.
        case ramp(from: Double, to: Double, over: Int)
    }

    public let course: Course
    public let unit: Unit
    /// In units; 0: none.
    public let warmup: Int

    public init(_ course: Course, unit: Unit = .steps, warmup: Int = 0) {
        (self.course, self.unit, self.warmup) = (course, unit, warmup)
    }

    public static func constant(_ value: Double) -> Schedule { Schedule(.constant(value)) }

    public func value(at progress: Progress) -> Double {
        let time =
            switch unit {
            case .steps: Double(progress.steps)
            case .epochs: Double(progress.epochs)
            case .examples: progress.examples
            case .updates: Double(progress.update - 1)
            }
        let start = Double(warmup)
        return time < start ? course.value(at: 0) * (time / start) : course.value(at: time - start)
    }

    public var isConstant: Bool { if case .constant = course { warmup == 0 } else { false } }

    /// No value is above this one.
    public var largest: Double {
        switch course {
        case .constant(let value): value
        case .linear(let from, let to, _), .exponential(let from, let to, _), .cosine(let from, let to, _),
            .ramp(let from, let to, _):
            max(from, to)
        case .decay(let initial, _, let floor): max(initial, floor)
        }
    }
}

extension Schedule.Course {
    fileprivate func value(at time: Double) -> Double {
        switch self {
        case .constant(let value):
            return value
        case .linear(let from, let to, let over):
            return time >= Double(over) ? to : from + (to - from) * time / Double(over)
        case .exponential(let from, let to, let over):
            return time >= Double(over) ? to : from * pow(to / from, time / Double(over))
        case .cosine(let from, let to, let over):
            return time >= Double(over) ? to : from + (to - from) * (1 - cos(.pi * time / Double(over))) / 2
        case .decay(let initial, let decay, let floor):
            return max(floor, initial / pow(decay, time))
        case .ramp(let from, let to, let over):
            guard time < Double(over) else { return to }
            return time <= 1 ? from : from + (to - from) * (time - 1) / Double(over - 1)
        }
    }
}

/// A number alone is a constant.
extension Schedule: ExpressibleByFloatLiteral {
    public init(floatLiteral value: Double) { self = .constant(value) }
}
