import Kernels
import Nets

/// The update of who plays against the discriminator.
extension Trainer {
    /// Adds the gradient of the generator's cost on a group's generated examples, through the frozen discriminator;
    /// with an encoder those of the costs of both, or of the encoder's.
    ///
    /// `real`: those of a relativistic cost, and of pairs. `judged`: the logits of both halves, where the
    /// discriminator's pass has just found them.
    func generatorPass(real: Batch?, fake: Batch, judged: Batch?, _ group: ShardGroup) throws {
        let hasReals = judged != nil || game.judgesReals, isOfPairs = encoding?.kind.isBidirectional == true
        let logits = try judged ?? judge(real: game.judgesReals ? real : nil, fake, group)
        if objective.isRelativistic { try minibatchSums?.sum(.generator, logits, group) }
        for (part, shard) in group.shards.enumerated() {
            let cost = generatorCost(logits, part, group, hasReals: hasReals)
            statistics.add(cost: cost, .generator(.fake), shard: shard)
            if isOfPairs { addEncoderCost(logits, part, group, shard: shard) }
        }
        let examples = try discriminator.backwardFrozen(
            from: Batch(slopes.values, count: logits.count, shape: .vector(1)),
            only: hasReals && !isOfPairs ? group.fakeParts : nil)
        if let encoding { return try backward(examples, encoding, group) }
        let generated = hasReals ? group.fakePacks : 0 ..< logits.count
        augmentation?.apply(.adjoint, to: examples, rows: generated)
        try generator.backward(from: packing.split(examples[generated]))
    }

    /// D's logits in the generator's update.
    private func judge(real: Batch?, _ fake: Batch, _ group: ShardGroup) throws -> Batch {
        // The dropout of these reals is that of no update of D.
        let draws = draws(.dropoutGenerator, real == nil ? 0 : k, group.packs)
        // G's own output, which its backward reads, is not to be augmented.
        let packs =
            real.map { bothHalves(real: $0, fake: fake) }
            ?? (augmentation == nil ? packing.join(fake) : packing.join(fake, into: bothHalves.values))
        augment(packs, inner: nil, group)
        let logits = try statistics.forward(
            discriminator: packs, inner: nil, draws, real == nil ? group.generatedHalf : group.generatorHalves, group,
            conditions: conditions.map { real == nil ? $0.generated(ownRows(of: group)) : $0.judge(ownRows(of: group)) }
                ?? .none)
        trace?.masks(of: discriminator.network, inner: nil)
        return logits
    }

    /// G's cost on a shard of the group, whose slopes it writes.
    private func generatorCost(_ logits: Batch, _ part: Int, _ group: ShardGroup, hasReals: Bool) -> Double {
        guard hasReals else {
            let rows = group.generatedHalf[part].rows
            return objective.generator(
                real: nil, fake: logits.values[rows], of: game.packs, into: slopes.values[rows])
        }
        let (real, fake) = group.halves(of: logits.values, part), slopes = group.halves(of: slopes.values, part).fake
        if let minibatchSums {
            return minibatchSums.objective.generator(real: real, fake: fake, minibatchSums.sums, into: slopes)
        }
        return objective.generator(
            real: objective.isRelativistic ? real : nil, fake: fake, of: game.packs, into: slopes)
    }
}
