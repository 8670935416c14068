import Adversarial
import Foundation
import Nets
import Support

/// One pass of one layer run alone on a shard's batch, and what it makes of a step.
public struct LayerTime: Encodable {
    public let network: String
    public let layer: String
    /// The neighbour that is computed with it; nil for most.
    public let joined: String?
    public let pass: String
    /// Median of one pass.
    public let seconds: Double
    public let secondsQuartiles: [Double]
    /// The arithmetic of the direct form per second, in 10⁹; 0 for layers without weights to multiply by.
    public let gflops: Double
    /// 10⁹ bytes of the layer's input and output per second, each value counted once: what a layer without weights to
    /// multiply by is bound by.
    public let gigabytes: Double
    /// How often a step runs it, over all shards of a rank; nil for unrolled steps, which repeat passes as they need,
    /// and where a penalty is taken at some updates only.
    public let runs: Int?
    /// `runs` times the median, of the median step. All shares together are near 1, not 1: within a step the caches
    /// hold other things, both gradients are computed in one pass, and both halves of D's batch in one product.
    public let share: Double?

    enum CodingKeys: String, CodingKey {
        case network, layer, joined, pass, seconds, gflops, runs, share, secondsQuartiles = "seconds_quartiles"
        case gigabytes = "gigabytes_per_second"
    }

    private var name: String {
        "\(network) \(layer) \(joined.map { "with \($0.split(separator: "/").last!) " } ?? "")\(pass)"
    }

    /// The lines of a table.
    static func table(_ times: [LayerTime]) -> [String] {
        let width = times.map(\.name.count).max() ?? 0
        return times.map { $0.text(nameOf: width) }
    }

    private func text(nameOf width: Int) -> String {
        let name = self.name.padding(toLength: width + 2, withPad: " ", startingAt: 0)
        let time = String(
            format: "%8.2f ms  %8.2f –%8.2f", seconds * 1e3, secondsQuartiles[0] * 1e3, secondsQuartiles[1] * 1e3)
        let rate = gflops > 0 ? String(format: "%8.1f GFLOP/s", gflops) : String(format: "%8.1f GB/s   ", gigabytes)
        guard let runs, let share else { return name + time + rate }
        return name + time + rate + String(format: "%4d × %5.1f %%", runs, 100 * share)
    }
}

extension LayerTime {
    /// The passes of every layer of a player's network that a step may run, each as a network of its own on random
    /// values.
    ///
    /// - Parameters:
    ///   - batch: examples of a shard.
    ///   - shards: shards that a rank computes in a step.
    ///   - step: seconds of a whole step.
    static func all(of player: Player, in game: Game, batch: Int, shards: Int, step: Double) throws -> [LayerTime] {
        let network = player.network
        let isPenalised = player.role == .discriminator && !game.penalties.isEmpty
        var times: [LayerTime] = []
        // The sums of residuals are no layers that could run alone.
        for (number, node) in network.nodes.enumerated() where !node.isSum {
            // A layer that a neighbour applies is measured alone all the same; a step does not run it.
            let computed = network.nodesComputed(at: number), together = computed.isEmpty ? [number] : computed
            let alone = try LayerAlone(
                together.map { network.layers[$0] }, input: network.inputShapes[together[0]], batch: batch,
                name: network.name)
            let counts = PassCounts(number, of: network, player.role, in: game)
            for pass in passes(of: alone, isPenalised: isPenalised) {
                let spread = try Spread(
                    (0 ..< 5).map { _ in
                        let start = monotonicSeconds()
                        try alone.run(pass)
                        return monotonicSeconds() - start
                    })
                let runs = computed.isEmpty ? 0 : counts.map { $0[pass] * shards }
                times.append(
                    LayerTime(
                        network: network.name, layer: node.path,
                        joined: together.first { $0 != number }.map { network.nodes[$0].path }, pass: pass.rawValue,
                        seconds: spread.median, secondsQuartiles: spread.quartiles,
                        gflops: Double(2 * alone.multiplications) / spread.median / 1e9,
                        gigabytes: Double(alone.bytes) / spread.median / 1e9, runs: runs,
                        share: runs.map { Double($0) * spread.median / step }))
            }
        }
        return times
    }

    /// Forward first, for the others need what it leaves.
    private static func passes(of alone: LayerAlone, isPenalised: Bool) -> [LayerPass] {
        var passes: [LayerPass] = [.forward, .inputGradient]
        if alone.multiplications > 0 { passes.append(.weightGradient) }
        guard isPenalised, let layer = alone.layer as? any TangentLayer else { return passes }
        passes += [.adjoint, .tangent]
        if layer.hasCurvature { passes.append(.curvature) }
        if alone.hasParameters { passes.append(.parameterGradients) }
        return passes
    }
}
