import Kernels

/// Lays out the sums and messages of each piece of an ``OrderedExchange`` in the memory of messages.
struct MessageLayout {
    private let plan: MessagePlan
    /// For each group, how many partial vectors it sends.
    private let partials: [Int]
    /// Whether this rank's group folds its ranks' vectors before it sends.
    private let stages: Bool
    private let packs: Bool

    init(_ plan: MessagePlan, partials: [Int], stages: Bool, packs: Bool) {
        self.plan = plan
        self.partials = partials
        self.stages = stages
        self.packs = packs
    }

    private var mine: Int { partials[plan.groupIndex(of: plan.rank)] }

    /// How many values of memory the messages of a piece need.
    var places: Int {
        var slices = packs ? 1 : 0
        for peer in plan.peers {
            if plan.sendsPartials(to: peer) { slices += (stages ? mine : 0) + (packs ? mine + 1 : 0) }
            if plan.receivesPartials(from: peer) { slices += (packs ? 2 : 1) * partials[plan.groupIndex(of: peer)] }
        }
        return slices * plan.longestSlice
    }

    /// `vectors`: the group's partial vectors. The piece takes its messages' memory from `memory`.
    func piece(_ number: Int, vectors: [Floats], result: Floats, memory: Floats) -> PipelinedExchange.Piece {
        var piece = PipelinedExchange.Piece(), place = 0
        func take(_ count: Int) -> Floats {
            defer { place += plan.longestSlice }
            return memory[place ..< place + count]
        }
        func packed(_ count: Int) -> Floats? { packs ? take(BFloat16.places(count)) : nil }

        let mySlice = plan.slice(number, of: plan.rank), target = result[mySlice], packedTarget = packed(mySlice.count)
        var received: [Int: [Floats]] = [:]
        for peer in plan.peers {
            let theirSlice = plan.slice(number, of: peer)
            if plan.sendsPartials(to: peer), !theirSlice.isEmpty {
                let sources = vectors.map { $0[theirSlice] }
                let sums = stages ? (0 ..< mine).map { _ in take(theirSlice.count) } : sources
                if stages { piece.staged.append((sources, sums)) }
                piece.partialsOut += sums.map { .init(peer: peer, values: $0, packed: packed($0.count)) }
                piece.resultsIn.append(.init(peer: peer, values: result[theirSlice], packed: packed(theirSlice.count)))
            }
            if plan.receivesPartials(from: peer), !mySlice.isEmpty {
                let sums = (0 ..< partials[plan.groupIndex(of: peer)]).map { _ in take(mySlice.count) }
                received[peer] = sums
                piece.partialsIn += sums.map { .init(peer: peer, values: $0, packed: packed($0.count)) }
                piece.resultsOut.append(.init(peer: peer, values: target, packed: packedTarget))
            }
        }
        if !mySlice.isEmpty {
            piece.sources = plan.groups.flatMap { group in
                group.contains(plan.rank)
                    ? vectors.map { $0[mySlice] } : received[plan.correspondent(of: plan.rank, in: group)]!
            }
            (piece.target, piece.packedTarget) = (target, packedTarget)
        }
        return piece
    }
}
