import Glibc

/// Where the wall time of a step goes.
public struct PhaseClock: Sendable {
    public enum Phase: Int, CaseIterable, Sendable { case data, compute, communication, optimiser }

    private var spent = SIMD4<Double>(repeating: 0)

    public init() {}

    public subscript(phase: Phase) -> Double { spent[phase.rawValue] }

    public mutating func add(_ seconds: Double, to phase: Phase) { spent[phase.rawValue] += seconds }

    public var total: Double { spent.sum() }

    /// Seconds of a clock that only goes forward.
    public static func now() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
    }
}
