import Collectives
import Kernels

/// Sums of crafted vectors along the tree: in shared memory, by messages, and by messages between pretended nodes of
/// 1, 2 and 3 ranks, sent while later parts are made and when all are; each against the sum that one process
/// computes. The vectors' sum depends on the order of additions, which is checked too.
func orderedSum(_ communicator: MPICommunicator) throws {
    let size = communicator.size
    for (shards, count) in [(size, 1), (size, 100_003), (size + 3, 4099), (16, 20_000)] {
        let expected = try sum(SoloCommunicator(), shards: shards, count: count)
        for ranksANode in [size, 1, 2, 3] {
            for early in [false, true] {
                let bits = try sum(
                    PretendedNodes(communicator, ranksANode: ranksANode), shards: shards, count: count, early: early)
                try require(
                    bits == expected,
                    "the sum of \(count) values of \(shards) shards over "
                        + "nodes of \(ranksANode) differs from that of one rank"
                )
            }
        }
        try require(
            try sum(communicator, shards: shards, count: count, kind: .orderedMessages) == expected,
            "the sum by messages differs")
        let rounded = try sum(communicator, shards: shards, count: count, kind: .mpi)
        for (value, reference) in zip(rounded, expected) {
            let difference = Float(bitPattern: value) - Float(bitPattern: reference)
            try require(abs(difference) <= 8 * Float(shards), "MPI_Allreduce's sum is off by \(difference)")
        }
        try bfloat16(communicator, shards: shards, count: count, expected: expected.map { Float(bitPattern: $0) })
    }
    let one = try sum(SoloCommunicator(), shards: 16, count: 1000)
    let other = try sum(SoloCommunicator(), shards: 16, count: 1000, kind: .mpi)
    try require(one != other, "the crafted values do not tell one order of additions from another")
}

/// Every rank has the same bits, each of the sum and of the partial sums in it rounded by a part in 2⁹ at most.
private func bfloat16(_ communicator: MPICommunicator, shards: Int, count: Int, expected: [Float]) throws {
    let bits = try sum(
        PretendedNodes(communicator, ranksANode: 2), shards: shards, count: count, early: true, precision: .bfloat16)
    let buffer = FloatBuffer(bits.map { Float(bitPattern: $0) })
    try withExtendedLifetime(buffer) {
        try communicator.requireEqual(fingerprint(of: buffer.values), "the sums by bfloat16")
    }
    let largest = 16_777_216 * Float(shards)
    for (value, reference) in zip(bits, expected) {
        try require(
            abs(Float(bitPattern: value) - reference) <= largest / 256,
            "a sum by bfloat16 is \(Float(bitPattern: value)), not \(reference)")
    }
    if communicator.size > 2, count > 1 { try require(bits != expected.map(\.bitPattern), "nothing was rounded") }
}

/// Three sums in a row. `early`: each shard is said to be final bit by bit, from its end.
private func sum(
    _ communicator: any Communicator, shards: Int, count: Int, early: Bool = false, kind: GradientSum.Kind = .ordered,
    precision: GradientSum.Precision = .float32
) throws -> [UInt32] {
    let table = try ShardTable(shards: shards, communicator: communicator)
    let sum = try GradientSum(
        count: count, table: table, communicator: communicator, kind: kind, precision: precision, piece: 1024)
    if kind == .ordered { try require(sum.warning == nil, sum.warning ?? "") }
    var bits: [UInt32] = []
    for turn in 0 ..< 3 {
        for shard in table.mine {
            sum.beginShard()
            var end = count
            while end > 0 {
                let start = early ? max(0, end - 1500) : 0
                for index in start ..< end {
                    sum.slot[index] =
                        (sum.addsToSlot ? sum.slot[index] : 0) + crafted(shard: shard + turn, index: index)
                }
                if early { sum.settle(from: start) }
                end = start
            }
            sum.endShard()
        }
        bits = try sum.finish().array.map { $0.bitPattern }
    }
    return bits
}

/// The ranks of a communicator as if only so many consecutive ones were on a node.
final class PretendedNodes: Communicator {
    let nodes: [Int]
    private let real: any Communicator

    init(_ real: any Communicator, ranksANode: Int) {
        self.real = real
        nodes = (0 ..< real.size).map { $0 / ranksANode * ranksANode }
    }

    var rank: Int { real.rank }
    var size: Int { real.size }
    var host: String { real.host }
    func barrier() throws { try real.barrier() }
    func broadcast(_ bytes: UnsafeMutableRawBufferPointer, from root: Int) throws {
        try real.broadcast(bytes, from: root)
    }
    func gather(_ mine: UnsafeRawBufferPointer, into all: UnsafeMutableRawBufferPointer) throws {
        try real.gather(mine, into: all)
    }
    func sum(_ values: Floats) throws { try real.sum(values) }
    func channel(tags: Int) throws -> any Channel { try real.channel(tags: tags) }
    func sharedMemory(count: Int, group: Range<Int>) throws -> (any SharedMemory)? {
        try real.sharedMemory(count: count, group: group)
    }
    func abort(_ code: Int32) -> Never { real.abort(code) }
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
