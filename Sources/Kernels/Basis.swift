import CKernels

/// Images times a factor a channel.
public enum BasisKernels {
    /// sums[p, c] += values[p, c] · factors[c].
    public static func addProducts(_ values: Floats, _ factors: Floats, to sums: Floats) {
        precondition(
            values.count == sums.count && values.count % factors.count == 0,
            "\(values.count) values of \(factors.count) channels into \(sums.count) sums")
        kernels().pointee.addScaledRows(
            values.base, factors.base, sums.base, values.count / factors.count, factors.count)
    }
}
