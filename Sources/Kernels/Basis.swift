/// Images times a factor a channel.
public enum BasisKernels {
    /// sums[p, c] += values[p, c] · factors[c].
    public static func addProducts(_ values: Floats, _ factors: Floats, to sums: Floats) {
        precondition(
            values.count == sums.count && values.count % factors.count == 0,
            "\(values.count) values of \(factors.count) channels into \(sums.count) sums")
        forEachEight(rows: values.count / factors.count, columns: factors.count) { offset, column, lanes in
            let sum =
                sums.lanes(at: offset, lanes) + values.lanes(at: offset, lanes) * factors.lanes(at: column, lanes)
            sums.setLanes(sum, at: offset, lanes)
        }
    }
}
