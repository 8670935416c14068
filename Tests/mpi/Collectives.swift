import Collectives
import Kernels
import Support

/// Every method of the protocol, against values that follow from the ranks.
func collectives(_ communicator: MPICommunicator) throws {
    let rank = communicator.rank, size = communicator.size
    try communicator.barrier()
    // However the launcher dealt them out (launch/trials/hosts-trial).
    let nodes = communicator.nodes
    try require(communicator.nodeGroups.count == Set(nodes).count, "the ranks of a node are apart: \(nodes)")
    try require(communicator.nodeGroups.allSatisfy { nodes[$0.lowerBound] == $0.lowerBound }, "nodes \(nodes)")

    try require(try communicator.gather(rank * 7) == (0 ..< size).map { $0 * 7 }, "gather of Int")
    try require(try communicator.gather(Double(rank) / 3) == (0 ..< size).map { Double($0) / 3 }, "gather of Double")
    let text = String(repeating: "é", count: rank * 3)
    try require(
        try communicator.gather(text) == (0 ..< size).map { String(repeating: "é", count: $0 * 3) }, "gather of String")

    for root in 0 ..< size {
        let sent = "from rank \(root)"
        try require(
            try communicator.broadcast(rank == root ? sent : "", from: root) == sent, "broadcast of String from \(root)"
        )
        try require(
            try communicator.broadcast(rank == root ? 42 + root : 0, from: root) == 42 + root,
            "broadcast of Int from \(root)")
    }
    try require(try communicator.maximum(rank == size - 1 ? 9 : -9) == 9, "maximum")
    try require(try communicator.any(rank == 0) && !communicator.any(false), "any")

    let values = FloatBuffer((0 ..< 1001).map { Float($0 * (rank + 1)) })
    try communicator.sum(values.values)
    let total = size * (size + 1) / 2
    try require(values.values.array == (0 ..< 1001).map { Float($0 * total) }, "sum")

    try exchangeWithAll(communicator)
    try failTogether(communicator)
}

/// Two messages of each of two tags to every other rank, of lengths that depend on the pair; matched by tag, then in
/// their order, whatever the order in which the tags are begun.
private func exchangeWithAll(_ communicator: MPICommunicator) throws {
    let rank = communicator.rank
    if communicator.size == 1 { return }
    let channel = try communicator.channel(tags: 2)
    var buffers: [FloatBuffer] = [], incoming: [[Message]] = [[], []]
    for tag in rank % 2 == 0 ? [0, 1] : [1, 0] {
        var outgoing: [Message] = []
        for peer in 0 ..< communicator.size where peer != rank {
            for number in 1 ... 2 {
                let sent = FloatBuffer(
                    [Float](
                        repeating: Float(1000 * tag + 100 * rank + 10 * peer + number), count: 40_000 * number + rank))
                let received = FloatBuffer(count: 40_000 * number + peer)
                buffers += [sent, received]
                outgoing.append(Message(peer: peer, values: sent.values))
                incoming[tag].append(Message(peer: peer, values: received.values))
            }
        }
        try channel.begin(tag, outgoing: outgoing, incoming: incoming[tag])
    }
    for tag in 0 ... 1 {
        while try !channel.isDone(tag) {}
        for (index, message) in incoming[tag].enumerated() {
            let expected = Float(1000 * tag + 100 * message.peer + 10 * rank + index % 2 + 1)
            try require(
                message.values.array.allSatisfy { $0 == expected }, "message \(index % 2 + 1) from rank \(message.peer)"
            )
        }
    }
    withExtendedLifetime(buffers) {}
}

/// An error on one rank is thrown on all.
private func failTogether(_ communicator: MPICommunicator) throws {
    let culprit = communicator.size - 1
    do {
        try communicator.agreed { if communicator.rank == culprit { throw Failed(description: "broken on purpose") } }
    } catch let agreed as AgreedFailure {
        let place = communicator.size == 1 ? "" : "rank \(culprit): "
        return try require(agreed.failure.message == place + "broken on purpose", "\(agreed)")
    }
    throw Failed(description: "an error on rank \(culprit) went unnoticed on rank \(communicator.rank)")
}
