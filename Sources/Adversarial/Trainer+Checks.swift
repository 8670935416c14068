import Collectives
import Nets
import Support

/// What a trainer asks of a game before its first step.
extension Trainer {
    /// A pack that lay in two shards would belong to two ranks.
    static func check(_ shards: ShardTable, batch: Int, packing: Int) throws(Failure) {
        guard !(0 ..< shards.shards).contains(where: { shards.rows(of: $0, batch: batch).lowerBound % packing != 0 })
        else {
            throw .configuration(
                "training.packing",
                "packs of \(packing) do not fit into \(shards.shards) shards of a batch of \(batch)",
                remedy:
                    "Use a training.batch that is a multiple of \(packing * shards.shards), or other exchange.shards.")
        }
    }

    /// That the networks are conditioned on what the examples have beside them, and one by one.
    static func checkConditions(_ game: Game) throws(Failure) {
        let conditions = game.generator.conditions + game.discriminator.conditions
        guard let wrong = conditions.first(where: { $0.condition != game.conditioning?.condition }) else {
            precondition(
                game.conditioning == nil || game.packing == 1 && game.updates.allSatisfy { $0.unrollingSteps == 0 },
                "conditions of packs, or of an unrolled step")
            return
        }
        guard wrong.condition.inputs > 0 else {
            throw Failure(
                .badConfiguration,
                "configuration: condition: \(wrong.layer) looks at a condition, and nothing says how many classes "
                    + "there are",
                remedy: "Give condition.classes, or data that have labels.")
        }
        let given = game.conditioning.map { "the examples have \($0.condition)" } ?? "the examples have none"
        throw Failure(
            .badConfiguration,
            "configuration: condition: \(wrong.layer) looks at a condition, \(wrong.condition), and \(given)",
            remedy: "Give condition.classes (or, of vectors, condition.size), as the data have it.")
    }

    /// That the network makes what it has to, and can normalise shards of so few examples of a minibatch.
    static func check(_ network: Network, makes shape: Shape, from fewest: Int, of batch: Int) throws(Failure) {
        guard network.outputShape == shape else {
            let wanted = shape == .vector(1) ? "one logit, [1]" : "an example of the dataset, \(shape)"
            throw Failure(
                .badConfiguration,
                "configuration: \(network.name): "
                    + "its last layer makes \(network.outputShape) where it has to make \(wanted)",
                remedy:
                    "Change the network's last layers, or the data (data.fit: "
                    + "pad or resize for images of another size)."
            )
        }
        try network.requireVariance(fewest: fewest, of: batch)
    }
}

extension Network {
    /// That it can normalise shards of so few examples of a minibatch.
    package func requireVariance(fewest: Int, of batch: Int) throws(Failure) {
        guard let node = layerWithoutVariance(fewest: fewest, batch: batch) else { return }
        throw .configuration(
            "training.batch",
            "with \(fewest) of \(batch) examples in a shard, layer \(node.place) (\(node.layer.name)) of the "
                + "\(name) has a single value a channel, which has no variance",
            remedy:
                "Use a larger batch or fewer shards, or take the statistics over the minibatch "
                + "(\(node.layer.name): {statistics: minibatch}).")
    }
}
