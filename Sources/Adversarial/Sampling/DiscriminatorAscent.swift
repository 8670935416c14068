import Kernels
import Nets
import Support

/// D as a generator: x̃ = argmax s(x) by gradient ascent from noise, the inference of structured learning with D as the
/// score.
///
///     x₀ = noise,   x ← clip(x + η ∇ₓ s(x)), `steps` times
///
/// Where an activation bounds G's output, x₀ is uniform on that range and x is clipped to it; else x₀ is normal with a
/// given deviation, and nothing is clipped. G itself has no part in it.
public final class DiscriminatorAscent: ExampleMaker {
    private let sampler: Sampler
    private let discriminator: TrainedDiscriminator
    private let steps: Int
    private let stepSize: Float
    private let deviation: Float
    private let bounds: ClosedRange<Float>?

    /// `sampler` says what examples are like and how conditions are drawn. `deviation`: of the noise, where nothing
    /// bounds the examples.
    public init(
        _ sampler: Sampler, _ discriminator: TrainedDiscriminator, steps: Int, stepSize: Float, deviation: Float
    ) {
        (self.sampler, self.discriminator, self.steps) = (sampler, discriminator, steps)
        (self.stepSize, self.deviation, bounds) = (stepSize, deviation, sampler.bounds)
    }

    public func samples(count: Int, _ draws: Draws, conditions: FloatBuffer?) throws -> FloatBuffer {
        try inParts(
            count: count, of: discriminator.capacity, draws, conditions ?? sampler.conditions(count: count, draws),
            shape: sampler.shape
        ) { _, draws, conditions, examples in
            start(examples, draws)
            for step in 1 ... steps {
                try climb(examples, conditions)
                try examples.values.requireFinite("ascent on D", step)
            }
        }
    }

    /// Climbs from where `examples` are, in their place; returns by how much the sum of their logits has risen, NaN
    /// where a value is not finite. `beginStep` is called before each step.
    func climb(_ examples: Batch, beginStep: () -> Void) throws -> Double {
        var rise = 0.0
        for first in stride(from: 0, to: examples.count, by: discriminator.capacity) {
            let part = examples[first ..< min(first + discriminator.capacity, examples.count)]
            let before = try discriminator.sumOfLogits(part)
            for _ in 0 ..< steps {
                beginStep()
                try climb(part, .none)
            }
            rise += part.values.isFinite ? try discriminator.sumOfLogits(part) - before : .nan
        }
        return rise
    }

    /// Puts examples where ascent begins.
    func start(_ examples: Batch, _ draws: Draws) {
        if let bounds {
            draws.fillUniform(
                examples.values, samples: examples.count, layer: SamplingLayer.start, low: bounds.lowerBound,
                high: bounds.upperBound)
        } else {
            draws.fillNormal(
                examples.values, samples: examples.count, layer: SamplingLayer.start, deviation: deviation)
        }
    }

    private func climb(_ examples: Batch, _ conditions: Floats) throws {
        let gradient = try discriminator.gradient(examples, conditions: conditions).values, values = examples.values
        for index in 0 ..< values.count { values[index] += stepSize * gradient[index] }
        if let bounds {
            for index in 0 ..< values.count {
                values[index] = min(max(values[index], bounds.lowerBound), bounds.upperBound)
            }
        }
    }
}

extension Floats {
    var isFinite: Bool { (0 ..< count).allSatisfy { self[$0].isFinite } }

    /// Throws 80 where a value of a chain is not finite.
    func requireFinite(_ what: String, _ step: Int) throws(Failure) {
        guard !isFinite else { return }
        throw Failure(
            .diverged, "\(what) came to a value that is not finite in step \(step)",
            remedy: "Take smaller steps: --step-size.")
    }
}
