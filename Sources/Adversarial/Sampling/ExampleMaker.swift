import Kernels
import Nets

/// What makes examples, each of draws that are keyed by its number: the bits do not depend on who makes which.
public protocol ExampleMaker: AnyObject {
    /// `count` examples, one after another, from number `draws.firstSample` on. `conditions`: nil draws them.
    func samples(count: Int, _ draws: Draws, conditions: FloatBuffer?) throws -> FloatBuffer
    /// Examples that there are; nil: as many as are asked for.
    var most: Int? { get }
}

extension ExampleMaker {
    public var most: Int? { nil }
}

extension Sampler: ExampleMaker {}

extension ExampleMaker {
    /// Makes examples some at a time, as many as a network was planned for: `body` is given a part's place among all,
    /// its draws, its conditions, and where to put it.
    func inParts(
        count: Int, of capacity: Int, _ draws: Draws, _ conditions: FloatBuffer?, shape: Shape,
        _ body: (_ rows: Range<Int>, _ draws: Draws, _ conditions: Floats, _ target: Batch) throws -> Void
    ) rethrows -> FloatBuffer {
        let made = FloatBuffer(count: count * shape.count), width = (conditions?.count ?? 0) / max(count, 1)
        for start in stride(from: 0, to: count, by: capacity) {
            let rows = start ..< min(start + capacity, count)
            let own = conditions?.values[start * width ..< rows.upperBound * width] ?? .none
            let target = Batch(
                made.values[start * shape.count ..< rows.upperBound * shape.count], count: rows.count, shape: shape)
            try withExtendedLifetime(conditions) { try body(rows, draws.from(start), own, target) }
        }
        return made
    }
}

extension Draws {
    /// Of the samples from the `number`-th on, at another step where one is given.
    func from(_ number: Int, step: Int? = nil) -> Draws {
        Draws(
            seed: seed, purpose: purpose, step: step ?? self.step, inner: inner, firstSample: firstSample + number)
    }
}

/// The layer numbers in the draws' key of what sampling with a discriminator draws; ``Latents/layer`` is above them.
enum SamplingLayer {
    static let start = 251
    static let acceptance = 252
    static let noise = 253
}
