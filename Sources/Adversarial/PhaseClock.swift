import Collectives

/// Where the wall time of a step goes.
public struct PhaseClock: Sendable {
    public enum Phase: Int, CaseIterable, Sendable { case data, compute, communication, optimiser }

    private var spent = SIMD4<Double>(repeating: 0)

    public init() {}

    public subscript(phase: Phase) -> Double { spent[phase.rawValue] }

    public mutating func add(_ seconds: Double, to phase: Phase) { spent[phase.rawValue] += seconds }

    public var total: Double { spent.sum() }
}
