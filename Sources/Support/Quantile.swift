extension [Double] {
    /// The value below which a share `p` of these, which are sorted, lies: linear between neighbours (definition 7 of
    /// Hyndman & Fan 1996; NumPy's default).
    public func quantile(_ p: Double) -> Double {
        let position = p * Double(count - 1)
        let below = Int(position), above = Swift.min(below + 1, count - 1)
        return self[below] + (position - Double(below)) * (self[above] - self[below])
    }
}
