import Collectives
import Nets

extension Game {
    /// Bytes that the ranks of `group`, those of a node, want to share when they train this game on examples of a
    /// shape: what has to fit beside anything else that they share.
    public func sharedBytes(example: Shape, shards: ShardTable, group: Range<Int>) throws(ShapeError) -> Int {
        guard group.count > 1 else { return 0 }
        let counts = try [
            Network.valueCount(of: generator, input: .vector(latent.size), name: "generator"),
            Network.valueCount(
                of: discriminator, input: Packing(size: packing, example: example, capacity: packing).shape,
                name: "discriminator"),
        ]
        let gradients = counts.reduce(0) { $0 + GradientSum.sharedCount($1, table: shards, group: group) }
        return MemoryLayout<Float>.stride * gradients
    }
}
