/// The largest of several linear maps: Goodfellow et al. 2013, eq. 1. The pieces of one unit lie side by side.
public enum MaxoutKernels {
    /// y[u] = max_p z[u, p], and the p it came from: the first of equals; a NaN wins and stays.
    public static func forward(_ maps: Floats, pieces: Int, into output: Floats, winners: Floats) {
        precondition(
            maps.count == output.count * pieces && winners.count == output.count,
            "\(maps.count) maps of \(pieces) pieces into \(output.count) units and \(winners.count) winners")
        let maps = maps.base, output = output, winners = winners
        forEachEight(output.count) { unit, lanes in
            let first = maps + unit * pieces
            var best = gather(first, pieces, lanes)
            var winner = Vector.zero
            for piece in 1 ..< pieces {
                let value = gather(first + piece, pieces, lanes)
                let wins = (value .> best) .| (value .!= value)
                best.replace(with: value, where: wins)
                winner.replace(with: SIMD8(repeating: Float(piece)), where: wins)
            }
            output.setLanes(best, at: unit, lanes)
            winners.setLanes(winner, at: unit, lanes)
        }
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

    @inline(__always)
    private static func gather(_ start: UnsafeMutablePointer<Float>, _ distance: Int, _ lanes: Int) -> Vector {
        if lanes == 8 {
            return SIMD8(
                start[0], start[distance], start[2 * distance], start[3 * distance],
                start[4 * distance], start[5 * distance], start[6 * distance], start[7 * distance])
        }
        var vector = Vector.zero
        for lane in 0 ..< lanes { vector[lane] = start[lane * distance] }
        return vector
    }
}
