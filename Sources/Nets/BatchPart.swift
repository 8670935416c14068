import Kernels

/// Consecutive rows of a batch that run through each layer on their own: a shard of a minibatch, or the real or the
/// generated half of a shard. It gives the bits that it gives alone; only a ``MinibatchLayer`` makes it depend on
/// other parts, and where ``joinsPrevious`` says so the bits of a product are those of more rows.
public struct BatchPart: Sendable {
    /// In the batch.
    public let rows: Range<Int>
    /// The number in the global minibatch of the first row: part of the key of the part's random draws.
    public let firstSample: Int
    /// What its random draws are for.
    public let purpose: Purpose
    /// Parts of one shard share a gradient: the first of them writes it, the others add to it, in their order.
    public let shard: Int
    /// 0, or 1 for the second half of each shard: parts of one half share the sums of a ``MinibatchLayer``. What a
    /// penalty alone looks at is a third and a fourth.
    public let half: Int
    /// Whether a penalty is taken on the gradients of its logits:
    /// ``Network/backward(from:parameters:into:adding:penalties:ready:)``.
    public let isPenalised: Bool
    /// Whether it comes after a part of the same shard with which it runs as one through layers that allow it:
    /// ``Layer/joinsParts``. Then it does on every rank.
    public let joinsPrevious: Bool

    public init(
        rows: Range<Int>, firstSample: Int, purpose: Purpose, shard: Int = 0, half: Int = 0, isPenalised: Bool = false,
        joinsPrevious: Bool = false
    ) {
        self.rows = rows
        self.firstSample = firstSample
        self.purpose = purpose
        self.shard = shard
        self.half = half
        self.isPenalised = isPenalised
        self.joinsPrevious = joinsPrevious
    }

    /// The mode of a pass over this part, of a pass over the batch.
    func mode(_ mode: Mode) -> Mode {
        guard case .training(let draws) = mode else { return mode }
        return .training(
            Draws(seed: draws.seed, purpose: purpose, step: draws.step, inner: draws.inner, firstSample: firstSample))
    }
}
