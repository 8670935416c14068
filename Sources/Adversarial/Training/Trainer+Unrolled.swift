import Kernels
import Nets

/// The step of an unrolled GAN: Metz et al. 2017 (arXiv:1611.02163), as in the authors' notebook: both players at once, D by its first answer,
/// G by the minimax cost at D's last one.
extension Trainer {
    func stepUnrolled(_ unrolling: Unrolling) throws {
        let real = try nextReal(stepsDone, 0)
        enter(.discriminator)
        try timed(.compute) {
            for group in groups { rows(group, of: unrolling.generated.values).values.copy(from: try generate(.discriminatorNoise, 0, group).values) }
        }
        for answer in 0 ..< unrolling.steps {
            unrolling.keepState(answer)
            let gradient = try discriminatorGradient(real, unrolling.generated, purpose: answer == 0 ? .recorded : .plain)
            unrolling.keepGradient(gradient, of: answer)
            let squaredNorm = move(discriminator, by: gradient, number: stepsDone + 1 + answer)
            if answer == 0 {
                trace?.gradient(gradient, of: discriminator, inner: 0)
                ledger.record(.discriminator, squaredNorm: squaredNorm, rate: discriminator.rate(number: stepsDone + 1))
            }
        }
        unrolling.keepState(unrolling.steps)
        unrolling.imageGradient.values.fill(0)
        unrolling.beginReturn(from: try discriminatorGradient(real, unrolling.generated, purpose: .images(into: unrolling.imageGradient, factor: -1, isGeneratorCost: true)))
        for answer in (0 ..< unrolling.steps).reversed() {
            try carryBack(unrolling, answer, real)
        }
        // What D really does is its first answer.
        unrolling.restoreState(1)
        enter(.generator)
        try timed(.compute) {
            for group in groups {
                generator.beginGroup()
                try repeatForward(of: group)
                try generator.backward(from: rows(group, of: unrolling.imageGradient.values), isLast: true)
                generator.endGroup()
            }
        }
        try update(generator, number: stepsDone + 1, 0)
    }

    /// Adds what the answer's gradients owe to the images.
    private func carryBack(_ unrolling: Unrolling, _ answer: Int, _ real: Floats) throws {
        let difference = unrolling.imageDifference
        difference.values.fill(0)
        let number = stepsDone + 1 + answer
        let distance = try unrolling.carryBack(answer, update: number, rate: discriminator.rate(number: number)) { sign in
            try discriminatorGradient(real, unrolling.generated, purpose: .images(into: difference, factor: sign, isGeneratorCost: false))
        }
        guard let distance else { return }
        for index in 0 ..< difference.count { unrolling.imageGradient.values[index] += difference.values[index] / Float(distance) }
    }

    /// What a pass over the minibatch is for.
    private enum Evaluation {
        /// D's step of record.
        case recorded
        /// One of the answers that D does not keep.
        case plain
        /// Adds factor · the gradient with respect to the generated examples to a buffer, and where it is the generator's cost −L that is
        /// found, puts that down.
        case images(into: FloatBuffer, factor: Float, isGeneratorCost: Bool)
    }

    /// ∇L of D's cost on the real and the kept generated examples, summed over all shards.
    private func discriminatorGradient(_ real: Floats, _ generated: FloatBuffer, purpose: Evaluation) throws -> Floats {
        try timed(.compute) {
            for group in groups {
                discriminator.beginGroup()
                let (data, fakes) = (rows(group, of: real), rows(group, of: generated.values))
                if case .recorded = purpose {
                    try judge(data, .real, stepsDone, 0, group)
                    try judge(fakes, .fake, stepsDone, 0, group)
                } else {
                    try evaluate(data, .real, group, purpose)
                    try evaluate(fakes, .fake, group, purpose)
                }
                discriminator.endGroup()
            }
        }
        enter(.exchange)
        return try timed(.communication) { try discriminator.sumGradients() }
    }

    /// One half of a pass that leaves no trace: the same dropout as in the pass of record.
    private func evaluate(_ examples: Batch, _ half: Pass.Half, _ group: ShardGroup, _ purpose: Evaluation) throws {
        let loss = configuration.objective.discriminator
        let pass = Pass.discriminatorStep(inner: 0, half)
        let draws = Draws(seed: configuration.seed, purpose: pass.dropout, step: stepsDone, inner: 0, firstSample: group.packs.lowerBound)
        let logits = try discriminator.network.forward(packing.join(examples), mode: .training(draws), parts: group.packParts)
        for (shard, rows) in zip(group.shards, group.packParts) {
            var cost = 0.0
            for row in rows {
                let logit = Double(logits.values[row])
                cost -= half == .real ? loss.valueOnReal(logit) : loss.valueOnFake(logit)
                logitGradient.values[row] = Float((half == .real ? loss.slopeOnReal(logit) : loss.slopeOnFake(logit)) / Double(configuration.training.packs))
            }
            if case .images(_, _, isGeneratorCost: true) = purpose { ledger.record(.generatorStep, shard: shard, cost: cost, belief: 0, value: 0) }
        }
        let gradient = Batch(logitGradient.values, count: logits.count, shape: .vector(1))
        try discriminator.backward(from: gradient, isLast: half == .fake)
        guard case .images(let buffer, let factor, _) = purpose, half == .fake else { return }
        let images = packing.split(try discriminator.backwardFrozen(from: gradient)), target = rows(group, of: buffer.values)
        for index in 0 ..< images.values.count { target.values[index] += factor * images.values[index] }
    }

    /// The forward of G that made the group's examples, again, for its backward; running statistics have it already.
    private func repeatForward(of group: ShardGroup) throws {
        let draws = Draws(seed: configuration.seed, purpose: .discriminatorNoise, step: stepsDone, inner: 0, firstSample: group.rows.lowerBound)
        let noise = latents.fill(count: group.rows.count, draws)
        _ = try generator.network.forward(noise, mode: .training(draws), parts: group.parts)
    }
}
