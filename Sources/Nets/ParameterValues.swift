import Kernels

/// The values of one parameter, or of its gradient, moment or average, as they lie in memory. Files have them in the
/// order of the parameter's dimensions.
public struct ParameterValues: Sendable {
    /// In the order in which kernels read them: for hashes, messages, and whatever takes value after value.
    public let stored: Floats
    /// Nil where that is the order of the dimensions.
    private let panels: WeightPanels?

    /// In the order of the dimensions, unless `panels` are given.
    public init(stored: Floats, panels: WeightPanels? = nil) { (self.stored, self.panels) = (stored, panels) }

    public var count: Int { stored.count }

    /// The values themselves where they lie in the order of their dimensions; else nil.
    public var view: Floats? { panels == nil ? stored : nil }

    /// A copy in the order of the dimensions.
    public var array: [Float] {
        guard let panels else { return stored.array }
        let natural = FloatBuffer(count: count)
        panels.restore(stored, into: natural.values)
        return natural.array
    }

    /// Takes the values that `fill` writes, all of them, in the order of the dimensions.
    public func set<Problem: Error>(_ fill: (Floats) throws(Problem) -> Void) throws(Problem) {
        guard let panels else { return try fill(stored) }
        let natural = FloatBuffer(count: count)
        try fill(natural.values)
        panels.store(natural.values, into: stored)
    }
}
