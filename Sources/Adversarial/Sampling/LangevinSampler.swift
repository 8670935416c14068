import Kernels
import Nets

/// Discriminator-driven latent sampling (Che et al. 2020, arXiv:2003.06060, Algorithm 1): Langevin dynamics of the
/// latent on the energy E(z) = −ln p₀(z) − s(G(z)), whose density is that of G's latents reweighed by D's odds.
///
///     z ← z − ε/2 ∇E(z) + √ε n,   n ~ N(0, I),   −∇E(z) = ∇ ln p₀(z) + Jᵀ ∇ₓ s(G(z)),   J = ∂G/∂z
///
/// ∇ ln p₀ is −z of normal latents and 0 of uniform ones. Uniform and truncated latents have a bound, at which the
/// chain is reflected: so their prior stays what it is. s must be log-odds.
public final class LangevinSampler: ExampleMaker {
    private let sampler: Sampler
    private let discriminator: TrainedDiscriminator
    private let steps: Int
    private let stepSize: Float

    /// The sampler's network and the discriminator are to have memory for backward. `stepSize`: ε.
    public init(_ sampler: Sampler, _ discriminator: TrainedDiscriminator, steps: Int, stepSize: Float) {
        precondition(sampler.network.isTrained, "a generator without memory for backward")
        (self.sampler, self.discriminator, self.steps, self.stepSize) = (sampler, discriminator, steps, stepSize)
    }

    public func samples(count: Int, _ draws: Draws, conditions: FloatBuffer?) throws -> FloatBuffer {
        let capacity = min(sampler.network.capacity, discriminator.capacity)
        let size = sampler.latent.size, room = FloatBuffer(count: 2 * capacity * size)
        return try inParts(
            count: count, of: capacity, draws, conditions ?? sampler.conditions(count: count, draws),
            shape: sampler.shape
        ) { rows, draws, conditions, target in
            let latents = Batch(room.values, count: rows.count, shape: .vector(size))
            let noise = room.values[capacity * size ..< (capacity + rows.count) * size]
            latents.values.copy(from: sampler.draw(count: rows.count, draws).values)
            for step in 1 ... steps {
                draws.from(0, step: step).fillNormal(
                    noise, samples: rows.count, layer: SamplingLayer.noise, deviation: stepSize.squareRoot())
                try move(latents.values, noise, by: slope(latents, conditions))
                try latents.values.requireFinite("a Langevin chain", step)
            }
            target.values.copy(from: try sampler.answers(latents, conditions).values)
        }
    }

    /// Jᵀ ∇ₓ s(G(z)) of each row.
    private func slope(_ latents: Batch, _ conditions: Floats) throws -> Floats {
        let gradient = try discriminator.gradient(sampler.answers(latents, conditions), conditions: conditions)
        return try sampler.slopes(gradient).values
    }

    private func move(_ latents: Floats, _ noise: Floats, by slope: Floats) {
        let prior: Float = sampler.latent.distribution == .normal ? 1 : 0, half = stepSize / 2
        for index in 0 ..< latents.count {
            latents[index] += half * (slope[index] - prior * latents[index]) + noise[index]
        }
        guard let bound = sampler.latentBound else { return }
        for index in 0 ..< latents.count where abs(latents[index]) > bound && latents[index].isFinite {
            latents[index] = Self.reflected(latents[index], at: bound)
        }
    }

    /// Where a path of length |z| comes to that turns around at ±bound.
    static func reflected(_ z: Float, at bound: Float) -> Float {
        var place = (z + bound).truncatingRemainder(dividingBy: 4 * bound)
        if place < 0 { place += 4 * bound }
        return (place > 2 * bound ? 4 * bound - place : place) - bound
    }
}
