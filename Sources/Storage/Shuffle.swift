import Kernels

/// How the examples of an epoch are mixed: all with all, or within windows of whole blocks, so that a block is read
/// once an epoch.
///
/// With blocks, an epoch is a permutation of the blocks, cut into windows of `window` blocks each, and a permutation of
/// the examples of each window: a pure function of the seed, the epoch, the number of examples and these two numbers,
/// whatever the file's form.
public struct Shuffle: Sendable, Equatable {
    /// Consecutive examples that are read together; 1: each for itself, and an epoch is any permutation of the
    /// examples.
    public let block: Int
    /// Blocks whose examples are mixed with each other.
    public let window: Int

    public static let samples = Shuffle(block: 1, window: 1)

    public init(block: Int, window: Int) {
        precondition(block > 0 && window > 0, "windows of \(window) blocks of \(block) examples")
        (self.block, self.window) = (block, window)
    }

    func blocks(of count: Int) -> Int { (count - 1) / block + 1 }
    func windows(of count: Int) -> Int { (blocks(of: count) - 1) / window + 1 }

    /// The examples of an epoch in their order.
    func permutation(count: Int, seed: UInt64, epoch: Int) -> [UInt32] {
        let draws = Draws(seed: seed, purpose: .shuffle, step: epoch)
        if block == 1 { return draws.permutation(count: count) }
        let blocks = blockOrder(count: count, seed: seed, epoch: epoch)
        var order = blocks.flatMap { block in examples(of: block, count: count).map { UInt32($0) } }
        draws.shuffle(&order, ends: ends(blocks, count: count))
        return order
    }

    /// The blocks of an epoch in their order. (Inner step 0 of the same draws mixes the examples.)
    func blockOrder(count: Int, seed: UInt64, epoch: Int) -> [Int] {
        Draws(seed: seed, purpose: .shuffle, step: epoch, inner: 1).permutation(count: blocks(of: count)).map {
            Int($0)
        }
    }

    func examples(of block: Int, count: Int) -> Range<Int> {
        block * self.block ..< min(count, (block + 1) * self.block)
    }

    /// The positions in an epoch at which its windows end: the last block of a file may be a short one.
    func ends(_ blocks: [Int], count: Int) -> [Int] {
        var ends: [Int] = [], end = 0
        for (number, block) in blocks.enumerated() {
            end += examples(of: block, count: count).count
            if (number + 1) % window == 0 || number + 1 == blocks.count { ends.append(end) }
        }
        return ends
    }
}

extension Dataset {
    /// The bytes of an example in memory.
    var exampleBytes: Int { elements * (isBytes ? 1 : 4) }

    /// What one example read alone makes HDF5 read and uncompress, in examples and bytes; nil where it is little.
    ///
    /// A chunk of at most 256 KiB takes a millisecond. Of a chunk without filters only the example's part is read.
    public var costlyChunk: (examples: Int, bytes: Int)? {
        guard let chunk, chunk.isFiltered else { return nil }
        let rows = min(chunk.rows, count)
        return rows > 1 && rows * exampleBytes > 1 << 18 ? (rows, rows * exampleBytes) : nil
    }

    /// How examples that are not all in memory are mixed: two windows, one in use and the next, have room in
    /// `memoryLimit` bytes.
    func shuffle(memoryLimit: Int) -> Shuffle {
        guard let chunk = costlyChunk, chunk.bytes <= memoryLimit else { return .samples }
        return Shuffle(block: chunk.examples, window: max(1, memoryLimit / 2 / chunk.bytes))
    }
}
