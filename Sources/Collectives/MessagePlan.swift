/// Who sends what to whom in an ``OrderedExchange``: pure arithmetic on ranks and ranges.
///
/// The vector is cut into pieces from its end, where a backward pass finishes first; of each piece every rank owns a
/// slice.
struct MessagePlan {
    let groups: [Range<Int>]
    let rank: Int
    let ranks: Int
    let count: Int
    /// The values in a piece, a multiple of 16; the piece at the vector's beginning may be shorter.
    let piece: Int

    /// Pieces of a megabyte, and slices of 16 KiB: long enough for the wire, short enough to begin early.
    static func defaultPiece(ranks: Int) -> Int { max(1 << 18, ranks << 12) }

    var pieces: Int { (count + piece - 1) / piece }

    /// The vector's part that is piece `number`, cut at multiples of a cache line.
    func range(of number: Int) -> Range<Int> {
        let end = (count + 15) / 16 * 16 - number * piece
        return max(0, end - piece) ..< min(end, count)
    }

    /// How many pieces lie wholly at or after `start`.
    func pieces(from start: Int) -> Int {
        if start == 0 { return pieces }
        return max(0, ((count + 15) / 16 * 16 - start) / piece)
    }

    /// The part of piece `number` that `rank` owns, cut at multiples of a cache line.
    func slice(_ number: Int, of rank: Int) -> Range<Int> {
        let range = range(of: number), lines = (range.count + 15) / 16
        return min(range.lowerBound + 16 * (rank * lines / ranks), range.upperBound)
            ..< min(range.lowerBound + 16 * ((rank + 1) * lines / ranks), range.upperBound)
    }

    /// No slice is longer.
    var longestSlice: Int { 16 * ((piece / 16 + ranks - 1) / ranks) }

    func groupIndex(of rank: Int) -> Int { groups.firstIndex { $0.contains(rank) }! }

    /// The rank of `group` that sends the group's partial sums of the slice of `owner`, a rank elsewhere, and
    /// receives the result.
    func correspondent(of owner: Int, in group: Range<Int>) -> Int { group.lowerBound + owner % group.count }

    /// The ranks of other groups.
    var peers: [Int] {
        let mine = groups[groupIndex(of: rank)]
        return (0 ..< ranks).filter { !mine.contains($0) }
    }

    /// Whether this rank sends partial sums to `peer` (and receives its results).
    func sendsPartials(to peer: Int) -> Bool { correspondent(of: peer, in: groups[groupIndex(of: rank)]) == rank }

    /// Whether this rank receives partial sums from `peer` (and sends it its results).
    func receivesPartials(from peer: Int) -> Bool { correspondent(of: rank, in: groups[groupIndex(of: peer)]) == peer }

    /// How many values this rank sends of piece `number`, and in how many messages, where its group sends `partials`
    /// vectors.
    func sent(_ number: Int, partials: Int) -> (values: Int, messages: Int) {
        let mine = slice(number, of: rank).count
        var values = 0, messages = 0
        for peer in peers {
            let theirs = slice(number, of: peer).count
            if sendsPartials(to: peer), theirs > 0 {
                values += partials * theirs
                messages += partials
            }
            if receivesPartials(from: peer), mine > 0 {
                values += mine
                messages += 1
            }
        }
        return (values, messages)
    }
}
