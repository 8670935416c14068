import CKernels

/// The largest of several linear maps: Goodfellow et al. 2013, eq. 1. The pieces of one unit lie side by side.
public enum MaxoutKernels {
    /// y[u] = max_p z[u, p], and the p it came from: the first of equals; a NaN wins and stays.
    public static func forward(_ maps: Floats, pieces: Int, into output: Floats, winners: Floats) {
        precondition(
            maps.count == output.count * pieces && winners.count == output.count,
            "\(maps.count) maps of \(pieces) pieces into \(output.count) units and \(winners.count) winners")
        kernels().pointee.maxout(maps.base, pieces, output.base, winners.base, output.count)
    }

    /// dz[u, p] = dy[u] for the piece that won, 0 for the others.
    public static func backward(_ gradient: Floats, winners: Floats, pieces: Int, into mapGradients: Floats) {
        precondition(
            mapGradients.count == gradient.count * pieces && winners.count == gradient.count,
            "\(gradient.count) units and \(winners.count) winners of \(pieces) pieces into \(mapGradients.count) maps")
        mapGradients.fill(0)
        let units = gradient.count
        let gradient = gradient.base, winners = winners.base, mapGradients = mapGradients.base
        for unit in 0 ..< units { mapGradients[unit * pieces + Int(winners[unit])] = gradient[unit] }
    }

    /// y[u] = z[u, p] of the piece p that won.
    public static func select(_ maps: Floats, winners: Floats, pieces: Int, into output: Floats) {
        precondition(
            maps.count == output.count * pieces && winners.count == output.count,
            "\(maps.count) maps of \(pieces) pieces and \(winners.count) winners into \(output.count) units")
        let units = output.count
        let maps = maps.base, winners = winners.base, output = output.base
        for unit in 0 ..< units { output[unit] = maps[unit * pieces + Int(winners[unit])] }
    }
}
