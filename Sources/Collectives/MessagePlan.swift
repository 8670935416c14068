/// Who sends what to whom in an ``OrderedExchange``: pure arithmetic on ranks and ranges.
struct MessagePlan {
    let groups: [Range<Int>]
    let rank: Int
    let ranks: Int
    let count: Int
    /// The largest number of values in one message.
    let segment: Int
    /// For each group, how many partial vectors it sends.
    let partials: [Int]
    /// Whether this rank's group folds its ranks' vectors before it sends.
    let stages: Bool

    /// The rank's part of the vector, cut at multiples of a cache line.
    func slice(of rank: Int) -> Range<Int> {
        let lines = (count + 15) / 16
        return min(16 * (rank * lines / ranks), count) ..< min(16 * ((rank + 1) * lines / ranks), count)
    }

    /// The part of the rank's slice that is summed in round `number`; empty where there is none.
    func segment(_ number: Int, of rank: Int) -> Range<Int> {
        let slice = slice(of: rank)
        if number < 0 { return slice.lowerBound ..< slice.lowerBound }
        let start = min(slice.lowerBound + number * segment, slice.upperBound)
        return start ..< min(start + segment, slice.upperBound)
    }

    /// How many rounds have something to sum; one more carries the last results.
    var rounds: Int {
        let longest = (0 ..< ranks).map { slice(of: $0).count }.max() ?? 0
        return (longest + max(segment, 1) - 1) / max(segment, 1)
    }

    func groupIndex(of rank: Int) -> Int { groups.firstIndex { $0.contains(rank) }! }

    /// The rank of `group` that sends the group's partial sums of the slice of `owner`, a rank elsewhere, and receives the result.
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

    /// How many values of memory the messages of one round need.
    var bufferValues: Int {
        var messages = 0
        for peer in peers {
            if stages, sendsPartials(to: peer) { messages += partials[groupIndex(of: rank)] }
            if receivesPartials(from: peer) { messages += partials[groupIndex(of: peer)] }
        }
        return messages * segment
    }
}
