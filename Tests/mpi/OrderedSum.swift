import Collectives
import Kernels

/// Sums of crafted vectors along the tree: in shared memory, by messages, and by messages between pretended nodes, each against the
/// sum that one process computes. The vectors' sum depends on the order of additions, which is checked too.
func orderedSum(_ communicator: MPICommunicator) throws {
    let size = communicator.size
    for (shards, count) in [(size, 1), (size, 100_003), (size + 3, 4099), (16, 20_000)] {
        let expected = try sum(SoloCommunicator(), shards: shards, count: count, kind: .ordered)
        for kind in [GradientSum.Kind.ordered, .orderedMessages] {
            let bits = try sum(communicator, shards: shards, count: count, kind: kind)
            try require(bits == expected, "\(kind) sum of \(count) values of \(shards) shards differs from that of one rank")
        }
        let rounded = try sum(communicator, shards: shards, count: count, kind: .mpi)
        for (value, reference) in zip(rounded, expected) {
            let difference = Float(bitPattern: value) - Float(bitPattern: reference)
            try require(abs(difference) <= 8 * Float(shards), "MPI_Allreduce's sum is off by \(difference)")
        }
    }
    let one = try sum(SoloCommunicator(), shards: 16, count: 1000, kind: .ordered)
    let other = try sum(SoloCommunicator(), shards: 16, count: 1000, kind: .mpi)
    try require(one != other, "the crafted values do not tell one order of additions from another")
}

private func sum(_ communicator: any Communicator, shards: Int, count: Int, kind: GradientSum.Kind) throws -> [UInt32] {
    let table = try ShardTable(shards: shards, communicator: communicator)
    let sum = try GradientSum(count: count, table: table, communicator: communicator, kind: kind, segment: 1024)
    if kind == .ordered { try require(sum.warning == nil, sum.warning ?? "") }
    var bits: [UInt32] = []
    for turn in 0 ..< 3 {
        for shard in table.mine {
            sum.beginShard()
            for index in 0 ..< count { sum.slot[index] = (sum.addsToSlot ? sum.slot[index] : 0) + crafted(shard: shard + turn, index: index) }
            sum.endShard()
        }
        bits = try sum.finish().array.map { $0.bitPattern }
    }
    return bits
}

/// 2²⁴, 1, −2²⁴, and small values between: float32 sums of them depend on the order.
private func crafted(shard: Int, index: Int) -> Float {
    switch (shard + index) % 5 {
    case 0: 16_777_216
    case 1: 1
    case 2: -16_777_216
    case 3: Float(shard * 31 + index % 97) / 7
    default: -0.1 * Float(index % 13)
    }
}
