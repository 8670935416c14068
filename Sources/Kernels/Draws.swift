import CKernels

/// What a random draw is for: part of its key, so that no two uses share numbers.
public enum Purpose: UInt32, Sendable {
    case initialValues = 1, shuffle, synthetic, sample
    case discriminatorNoise, generatorNoise
    case dropoutReal, dropoutFake, dropoutGenerator
    case fixedLatents
    case evaluation
    case selection
    case spectralVectors
    case interpolation, perturbation, dropoutBetween, dropoutAround
    case augmentation
    case mixtureStart
    case code, dropoutEncoder, dropoutDecoder
}

/// The random numbers of one pass over a minibatch: a pure function of their key, with no state to keep or to restore.
///
/// Key: (seed, purpose, step, inner step, layer, index of the sample in the *global* minibatch, index within the
/// sample). So a draw never depends on the rank, on the number of ranks or on the order of calls.
public struct Draws: Sendable {
    public let seed: UInt64
    public let purpose: Purpose
    public let step: Int
    /// The discriminator step within the alternation step, 0 ..< k.
    public let inner: Int
    /// Index in the global minibatch of the first sample of the batch at hand.
    public let firstSample: Int

    public init(seed: UInt64, purpose: Purpose, step: Int, inner: Int = 0, firstSample: Int = 0) {
        self.seed = seed
        self.purpose = purpose
        self.step = step
        self.inner = inner
        self.firstSample = firstSample
    }
}

/// The values drawn.
///
/// Values are drawn in groups of 32, from eight Philox counters each. The counter is (block within the sample, sample
/// in the global minibatch, step, purpose · 2²⁴ + layer · 2¹⁶ + inner step), the key the seed. Value j of a sample is
/// word ⌊(j mod 32) / 8⌋ of block 8⌊j / 32⌋ + j mod 8: the lanes of a vector, as they come.
extension Draws {
    /// Uniform values in `low` ..< `high` (`high` itself where rounding reaches it), on a grid of 2²⁴ steps.
    ///
    /// `values` holds `samples` samples of equal length; the first is sample ``firstSample`` of the global minibatch.
    /// `layer` tells apart the layers of a network that draw for the same purpose.
    public func fillUniform(_ values: Floats, samples: Int, layer: Int = 0, low: Float, high: Float) {
        let perSample = perSample(values, samples)
        if samples > 0 {
            kernels().pointee.drawUniform(
                values.base, key, counter(layer), samples, perSample, low, high - low)
        }
    }

    /// Normal values of mean 0, by Box & Muller 1958 from two words each pair; at most 6.7 deviations from 0.
    public func fillNormal(_ values: Floats, samples: Int, layer: Int = 0, deviation: Float = 1) {
        let perSample = perSample(values, samples)
        if samples > 0 {
            kernels().pointee.drawNormal(values.base, key, counter(layer), samples, perSample, deviation)
        }
    }

    /// 1 with probability `keep`, otherwise 0: what dropout multiplies by.
    public func fillKeepMask(_ mask: Floats, samples: Int, layer: Int, keep: Float) {
        precondition(keep > 0 && keep <= 1, "dropout that keeps a value with probability \(keep)")
        let perSample = perSample(mask, samples)
        if samples > 0 { kernels().pointee.drawMask(mask.base, key, counter(layer), samples, perSample, keep) }
    }

    /// A whole number in 0 ..< `bound` for sample ``firstSample`` + `sample`: a word of 32 bits times the bound,
    /// without the lower 32 bits of the product. The probabilities of two numbers differ by 2⁻³² at most.
    public func integer(sample: Int, layer: Int, below bound: Int) -> Int {
        precondition(bound > 0 && bound <= 1 << 32, "a number below \(bound)")
        let (c2, c3) = counterTail(layer: layer)
        let words = Philox(seed: seed).eightBlocks(first: 0, UInt32(firstSample + sample), c2, c3)
        return Int((UInt64(words[0]) &* UInt64(bound)) >> 32)
    }

    /// The numbers 0 ..< `count` in an order drawn uniformly from all orders (Fisher & Yates; Durstenfeld 1964).
    public func permutation(count: Int) -> [UInt32] {
        precondition(count >= 0 && count <= Int(UInt32.max), "a permutation of \(count) numbers")
        var order = (0 ..< UInt32(count)).map { $0 }
        shuffle(&order, ends: [count])
        return order
    }

    /// Whole numbers in 0 ..< `bound`, drawn independently and uniformly.
    public func integers(count: Int, below bound: Int) -> [Int] {
        precondition(bound > 0 && bound <= Int(UInt32.max), "whole numbers below \(bound)")
        var words = WordStream(self)
        return (0 ..< count).map { _ in Int(words.integer(below: UInt32(bound))) }
    }

    /// Puts each part of `order` into an order drawn uniformly from all orders of that part; the parts lie one after
    /// another and end at `ends`.
    public func shuffle(_ order: inout [UInt32], ends: [Int]) {
        var words = WordStream(self), start = 0
        order.withUnsafeMutableBufferPointer { order in
            for end in ends {
                for last in stride(from: end - start - 1, to: 0, by: -1) {
                    order.swapAt(start + last, start + Int(words.integer(below: UInt32(last + 1))))
                }
                start = end
            }
        }
    }
}

extension Draws {
    /// The last two words of the counter.
    func counterTail(layer: Int) -> (UInt32, UInt32) {
        precondition(
            step >= 0 && step <= Int(UInt32.max) && inner >= 0 && inner < 1 << 16 && layer >= 0 && layer < 1 << 8,
            "a draw at step \(step), inner step \(inner), layer \(layer): past 32, 16 or 8 bits")
        return (UInt32(step), purpose.rawValue << 24 | UInt32(layer) << 16 | UInt32(inner))
    }

    private var key: PhiloxKey {
        let key = Philox(seed: seed).key
        return PhiloxKey(low: key[0], high: key[1])
    }

    private func counter(_ layer: Int) -> DrawCounter {
        let (step, use) = counterTail(layer: layer)
        return DrawCounter(sample: UInt32(firstSample), step: step, use: use)
    }

    /// The values of one of so many samples.
    private func perSample(_ values: Floats, _ samples: Int) -> Int {
        guard samples > 0 else { return 0 }
        precondition(values.count % samples == 0, "\(values.count) values for \(samples) samples")
        precondition(
            firstSample >= 0 && firstSample + samples <= 1 << 32, "samples from \(firstSample) on: past 32 bits")
        return values.count / samples
    }
}

/// The words of sample 0, one after another, for what needs an unknown number of them.
private struct WordStream {
    private let philox: Philox
    private let tail: (UInt32, UInt32)
    private var block: UInt32 = 0
    private var words = SIMD32<UInt32>.zero
    private var next = 32

    init(_ draws: Draws) {
        philox = Philox(seed: draws.seed)
        tail = draws.counterTail(layer: 0)
    }

    private mutating func word() -> UInt32 {
        if next == 32 {
            words = philox.eightBlocks(first: block, 0, tail.0, tail.1)
            block &+= 8
            next = 0
        }
        defer { next &+= 1 }
        return words[next]
    }

    /// Uniform in 0 ..< `bound`, without bias: Lemire 2019, "Fast random integer generation in an interval",
    /// algorithm 5.
    mutating func integer(below bound: UInt32) -> UInt32 {
        var product = UInt64(word()) &* UInt64(bound)
        if UInt32(truncatingIfNeeded: product) < bound {
            let threshold = (0 &- bound) % bound
            while UInt32(truncatingIfNeeded: product) < threshold { product = UInt64(word()) &* UInt64(bound) }
        }
        return UInt32(truncatingIfNeeded: product >> 32)
    }
}
