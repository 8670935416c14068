import Kernels
import Nets

/// Asks a discriminator for probabilities, outside training.
public final class DiscriminatorProbability {
    private let network: Network
    private let parameters: Floats
    private let packing: Int

    /// `parameters`: those to compute with, which must outlive this.
    public init(_ network: Network, parameters: Floats, packing: Int) {
        self.network = network
        self.parameters = parameters
        self.packing = packing
    }

    /// D(x) of each of some vectors; of packs, D of the pack of copies of it.
    public func probabilities(_ points: FloatBuffer) throws -> [Double] {
        let size = network.inputShape.count / packing, count = points.count / size
        let packs = FloatBuffer(count: count * network.inputShape.count)
        for pack in 0 ..< count {
            for copy in 0 ..< packing {
                packs.values[(pack * packing + copy) * size ..< (pack * packing + copy + 1) * size].copy(
                    from: points.values[pack * size ..< (pack + 1) * size])
            }
        }
        let logits = try network.answers(count: count, parameters) { start, part in
            Batch(
                packs.values[start * network.inputShape.count ..< (start + part) * network.inputShape.count],
                count: part, shape: network.inputShape)
        }
        return (0 ..< count).map { sigmoid(Double(logits.values[$0])) }
    }
}
