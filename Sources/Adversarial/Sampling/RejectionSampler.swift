import Foundation
import Kernels
import Nets
import Support

/// With which probability discriminator rejection sampling accepts a sample of logit s (Azadi et al. 2018,
/// arXiv:1810.06758, §3.2 and 3.3):
///
///     σ(F),   F = F̂ − γ,   F̂ = s − M − ln(1 − exp(s − M − ε)),   ε = 10⁻⁶
///
/// M is the greatest logit of a burn-in, also where a later one is greater. With γ = 0 this is e^(s − M), the ratio of
/// densities to its greatest value; γ, a percentile of the burn-in's F̂, accepts more and follows the ratio less.
public struct AcceptanceRule: Equatable, Sendable {
    public let greatestLogit: Double
    public let gamma: Double

    static func score(_ logit: Double, _ greatest: Double) -> Double {
        let below = min(logit - greatest, 0)
        return below - log(-expm1(below - 1e-6))
    }

    public func probability(_ logit: Double) -> Double { sigmoid(Self.score(logit, greatestLogit) - gamma) }
}

extension AcceptanceRule {
    /// `percentile`: of the burn-in's F̂, in 0 ... 100.
    public init(burnIn logits: [Float], percentile: Double) {
        let greatest = Double(logits.max()!)
        let scores = logits.map { Self.score(Double($0), greatest) }.sorted()
        self.init(greatestLogit: greatest, gamma: scores.quantile(percentile / 100))
    }
}

/// Discriminator rejection sampling: example i is the first of its own candidates G(z) that is accepted, so that it
/// depends on no other example. Candidate j of example i has draws of its own, keyed by i and j.
///
/// The theory wants a D that was trained to the end against this G and says the log-odds; here it is D as the run has
/// left it, neither trained further nor calibrated.
public final class RejectionSampler: ExampleMaker {
    private let sampler: Sampler
    private let discriminator: TrainedDiscriminator
    private let rule: AcceptanceRule

    /// Steps in the draws' key: those of the burn-in, and of the first candidates.
    private static let burnInStep = 1, firstStep = 2
    /// Candidates of an example, at most.
    static let mostCandidates = 100_000

    public init(_ sampler: Sampler, _ discriminator: TrainedDiscriminator, _ rule: AcceptanceRule) {
        (self.sampler, self.discriminator, self.rule) = (sampler, discriminator, rule)
    }

    /// The logits of candidates `rows` of the burn-in, with these conditions where there are any.
    public static func burnIn(
        _ rows: Range<Int>, seed: UInt64, _ conditions: FloatBuffer?, _ sampler: Sampler,
        _ discriminator: TrainedDiscriminator
    ) throws -> [Float] {
        let draws = burnInDraws(seed: seed).from(rows.lowerBound), width = (conditions?.count ?? 0) / rows.count
        var logits: [Float] = []
        for start in stride(from: 0, to: rows.count, by: discriminator.capacity) {
            let count = min(discriminator.capacity, rows.count - start)
            let own = conditions?.values[start * width ..< (start + count) * width] ?? .none
            let latents = sampler.draw(count: count, draws.from(start))
            logits += try discriminator.logits(sampler.answers(latents, own), conditions: own).array
        }
        return logits
    }

    /// The draws of the burn-in's latents and conditions.
    public static func burnInDraws(seed: UInt64) -> Draws { Draws(seed: seed, purpose: .sample, step: burnInStep) }

    public func samples(count: Int, _ draws: Draws, conditions: FloatBuffer?) throws -> FloatBuffer {
        let conditions = conditions ?? sampler.conditions(count: count, draws)
        let made = FloatBuffer(count: count * sampler.shape.count)
        var pending = Array(0 ..< count), attempt = 0
        while !pending.isEmpty {
            guard attempt < Self.mostCandidates else {
                throw Failure(
                    .badConfiguration,
                    "--by rejection: none of \(attempt) candidates for an example was accepted, as D holds one of the "
                        + "burn-in for far more real",
                    remedy: "Lower --percentile, or use --by langevin.")
            }
            var rest: [Int] = []
            for start in stride(from: 0, to: pending.count, by: discriminator.capacity) {
                let rows = Array(pending[start ..< min(start + discriminator.capacity, pending.count)])
                rest += try offer(rows, draws, attempt, conditions, count, made)
            }
            (pending, attempt) = (rest, attempt + 1)
        }
        return made
    }

    /// Makes a candidate for each of some examples and keeps it where it is accepted; returns the other examples.
    private func offer(
        _ rows: [Int], _ draws: Draws, _ attempt: Int, _ conditions: FloatBuffer?, _ count: Int, _ made: FloatBuffer
    ) throws -> [Int] {
        let size = sampler.latent.size, length = sampler.shape.count, width = (conditions?.count ?? 0) / count
        let latents = FloatBuffer(count: rows.count * size), own = FloatBuffer(count: rows.count * width)
        let chance = FloatBuffer(count: rows.count)
        for (place, row) in rows.enumerated() {
            let draws = draws.from(row, step: Self.firstStep + attempt)
            latents.values[place * size ..< (place + 1) * size].copy(from: sampler.draw(count: 1, draws).values)
            draws.fillUniform(
                chance.values[place ..< place + 1], samples: 1, layer: SamplingLayer.acceptance, low: 0, high: 1)
            if let conditions {
                own.values[place * width ..< (place + 1) * width].copy(
                    from: conditions.values[row * width ..< (row + 1) * width])
            }
        }
        let candidates = try sampler.answers(
            Batch(latents.values, count: rows.count, shape: .vector(size)), own.values)
        let logits = try discriminator.logits(candidates, conditions: own.values)
        var rest: [Int] = []
        for (place, row) in rows.enumerated() {
            if Double(chance.values[place]) < rule.probability(Double(logits[place])) {
                made.values[row * length ..< (row + 1) * length].copy(from: candidates[place])
            } else {
                rest.append(row)
            }
        }
        return rest
    }
}
