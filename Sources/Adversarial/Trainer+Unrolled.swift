import Kernels
import Nets

/// The step of an unrolled GAN: Metz et al. 2017 (arXiv:1611.02163), as in the authors' notebook: both players at
/// once, D by its first answer, G by the minimax cost at D's last one.
extension Trainer {
    func perform(_ update: Update, unrolled unrolling: Unrolling) throws {
        let real = try nextReal(update)
        enter(.discriminator)
        try timed(.compute) {
            for group in groups {
                rows(group, of: unrolling.generated.values).values.copy(from: try generate(update, group).values)
            }
        }
        for answer in 0 ..< unrolling.steps {
            unrolling.keepState(answer)
            let gradient = try discriminatorGradient(
                real, unrolling.generated, purpose: answer == 0 ? .recorded : .plain)
            unrolling.keepGradient(gradient, of: answer)
            let squaredNorm = try move(discriminator, by: gradient, number: stepsDone + 1 + answer)
            if answer == 0 {
                trace?.gradient(gradient, of: discriminator, inner: 0)
                statistics.record(
                    .discriminator, squaredNorm: squaredNorm,
                    rate: discriminator.optimiser.rate(at: progress(update: stepsDone + 1)))
            }
        }
        unrolling.keepState(unrolling.steps)
        unrolling.imageGradient.values.fill(0)
        unrolling.beginReturn(
            from: try discriminatorGradient(
                real, unrolling.generated,
                purpose: .images(into: unrolling.imageGradient, factor: -1, isGeneratorCost: true)))
        for answer in (0 ..< unrolling.steps).reversed() {
            try carryBack(unrolling, answer, real)
        }
        // What D really does is its first answer.
        try unrolling.restoreState(1)
        enter(.generator)
        try timed(.compute) {
            for group in groups {
                try repeatForward(of: group)
                try generator.backward(from: rows(group, of: unrolling.imageGradient.values))
            }
        }
        try move(generator, 0)
    }

    /// Adds what the answer's gradients owe to the images.
    private func carryBack(_ unrolling: Unrolling, _ answer: Int, _ real: Floats) throws {
        let difference = unrolling.imageDifference
        difference.values.fill(0)
        let distance = try unrolling.carryBack(answer, at: progress(update: stepsDone + 1 + answer)) { sign in
            try discriminatorGradient(
                real, unrolling.generated, purpose: .images(into: difference, factor: sign, isGeneratorCost: false))
        }
        guard let distance else { return }
        for index in 0 ..< difference.count {
            unrolling.imageGradient.values[index] += difference.values[index] / Float(distance)
        }
    }

    /// What a pass over the minibatch is for.
    private enum Evaluation {
        /// D's step of record.
        case recorded
        /// One of the answers that D does not keep.
        case plain
        /// Adds factor · the gradient with respect to the generated examples to a buffer, and where it is the
        /// generator's cost −L that is found, puts that down.
        case images(into: FloatBuffer, factor: Float, isGeneratorCost: Bool)
    }

    /// ∇L of D's cost on the real and the kept generated examples, summed over all shards.
    private func discriminatorGradient(_ real: Floats, _ generated: FloatBuffer, purpose: Evaluation) throws -> Floats {
        try timed(.compute) {
            for group in groups {
                let (data, fakes) = (rows(group, of: real), rows(group, of: generated.values))
                if case .recorded = purpose {
                    try discriminatorPass(real: data, fake: fakes, 0, group)
                } else {
                    try evaluate(data, fakes, group, purpose)
                }
            }
        }
        enter(.exchange)
        return try timed(.communication) { try discriminator.sumGradients() }
    }

    /// A pass that leaves no trace: the same dropout as in the pass of record.
    private func evaluate(_ real: Batch, _ fake: Batch, _ group: ShardGroup, _ purpose: Evaluation) throws {
        let network = discriminator.network
        let logits = try network.forward(
            bothHalves(real: real, fake: fake), parameters: network.store.values.values,
            mode: .training(draws(.dropoutReal, 0, group.packs)), parts: group.bothHalves)
        for (part, shard) in group.shards.enumerated() {
            let costs = discriminatorCosts(logits, part, group)
            if case .images(_, _, isGeneratorCost: true) = purpose {
                statistics.add(cost: -costs.real, .generator(.fake), shard: shard)
                statistics.add(cost: -costs.fake, .generator(.fake), shard: shard)
            }
        }
        let gradient = Batch(slopes.values, count: logits.count, shape: .vector(1))
        try discriminator.backward(from: gradient)
        guard case .images(let buffer, let factor, _) = purpose else { return }
        let examples = try discriminator.backwardFrozen(from: gradient, only: group.fakeParts)[group.fakePacks]
        let images = packing.split(examples), target = rows(group, of: buffer.values)
        for index in 0 ..< images.values.count { target.values[index] += factor * images.values[index] }
    }

    /// The forward of G that made the group's examples, again, for its backward; running statistics have it already.
    private func repeatForward(of group: ShardGroup) throws {
        let draws = draws(.discriminatorNoise, 0, group.rows)
        let noise = latents.fill(count: group.rows.count, draws)
        _ = try generator.network.forward(
            noise, parameters: generator.network.store.values.values, mode: .training(draws),
            parts: group.discriminatorNoise)
    }
}
