import Kernels
import Nets
import Support

/// What a step does with an encoder: ``Encoder``.
extension Trainer {
    /// What D judges: the half that it is to call real, and the other. `examples`: a group's of data, where the update
    /// needs such.
    func halves(_ update: Update, _ examples: Batch?, _ group: ShardGroup) throws -> (real: Batch?, fake: Batch) {
        guard let encoding else { return (examples, try generate(update, group)) }
        let codes = try encode(examples!, update, group)
        guard encoding.kind.isBidirectional else {
            return (update.moves(.discriminator) ? drawLatents(update, group) : nil, codes)
        }
        let latents = drawLatents(update, group), made = try generate(latents, update, group)
        let half = group.rows.count * packing.shape.count
        return (
            encoding.join(examples!, codes, into: bothHalves.values[0 ..< half]),
            encoding.join(made, latents, into: bothHalves.values[half ..< 2 * half])
        )
    }

    /// What D would judge of examples and their codes.
    func judged(_ examples: Batch, by codes: Batch) -> Batch {
        encoding!.kind.isBidirectional ? encoding!.join(examples, codes, into: bothHalves.values) : codes
    }

    /// E(x) of a group.
    private func encode(_ examples: Batch, _ update: Update, _ group: ShardGroup) throws -> Batch {
        let number = statistics.forward(of: update)
        return try statistics.forward(
            encoder: examples, number: number, draws(.dropoutEncoder, number, group.rows), group.encoding, group)
    }

    /// Adds the gradients of E and G of the cost of a group's reconstructions.
    func reconstruct(_ examples: Batch, by cost: Reconstruction, _ update: Update, _ group: ShardGroup) throws {
        let encoding = encoding!, codes = try encode(examples, update, group)
        let number = statistics.forward(of: update)
        let output = try statistics.forward(
            generator: codes, number: number, draws(.dropoutDecoder, number, group.rows), group.reconstruction, group,
            conditions: .none)
        for part in group.reconstruction {
            statistics.add(
                reconstruction: cost.cost(of: output[part.rows].values, examples[part.rows].values),
                shard: group.shards.lowerBound + part.shard)
        }
        let slopes = encoding.slopes(cost, of: output, examples, factor: 1 / Float(batch))
        let ofCodes = try generator.backward(from: slopes, inputGradient: true)!
        try encoding.player.backward(from: ofCodes)
    }

    /// E's cost on the real half of a shard of the group, a pair of data and its code each, whose slopes it writes.
    func addEncoderCost(_ logits: Batch, _ part: Int, _ group: ShardGroup, shard: Int) {
        let cost = objective.encoder(
            real: group.halves(of: logits.values, part).real, of: game.packs,
            into: group.halves(of: slopes.values, part).real)
        statistics.add(cost: cost, .generator(.real), shard: shard)
    }

    /// Adds the gradients of those who play against D, given that of their costs with respect to what D judged: both
    /// halves of pairs, or codes.
    func backward(_ gradient: Batch, _ encoding: EncoderPass, _ group: ShardGroup) throws {
        guard encoding.kind.isBidirectional else { return try encoding.player.backward(from: gradient) }
        try encoding.player.backward(from: encoding.codes(gradient[0 ..< group.packs.count]))
        try generator.backward(from: encoding.examples(gradient[group.fakePacks]))
    }

    static func check(_ encoder: Network, codeSize: Int, from fewest: Int, of batch: Int) throws(Failure) {
        guard encoder.outputShape == .vector(codeSize) else {
            throw Failure(
                .badConfiguration,
                "configuration: encoder: its last layer makes \(encoder.outputShape) where it has to make a code that "
                    + "the generator takes, [\(codeSize)] (latent.size)",
                remedy: "End it in - dense: {units: \(codeSize)}, or change latent.size.")
        }
        try encoder.requireVariance(fewest: fewest, of: batch)
    }
}
