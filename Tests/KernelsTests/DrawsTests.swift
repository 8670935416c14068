import Foundation
import Testing
@testable import Kernels

@Suite struct IntegerTests {
    @Test func theyAreUniformAndAShorterListIsTheStartOfALongerOne() {
        let draws = Draws(seed: 8, purpose: .selection, step: 1), many = draws.integers(count: 70_000, below: 7)
        #expect(Array(many.prefix(100)) == draws.integers(count: 100, below: 7))
        for number in 0 ..< 7 {
            // Five deviations of a count of 10,000.
            #expect(abs(many.count { $0 == number } - 10_000) < 5 * 93)
        }
        #expect(many.allSatisfy { (0 ..< 7).contains($0) })
    }
}

@Suite struct PhiloxTests {
    /// The first three are the `philox4x32 10` lines of Random123's own kat_vectors (D. E. Shaw Research; the same as
    /// in Random123 1.14, tests/kat_vectors). All four were printed with its header, Debian's librandom123-dev:
    ///
    ///     #include <Random123/philox.h>
    ///     r123::Philox4x32_R<10> g; auto r = g({{c0, c1, c2, c3}}, {{k0, k1}});
    static let knownAnswers: [(counter: SIMD4<UInt32>, key: SIMD2<UInt32>, words: SIMD4<UInt32>)] = [
        (
            SIMD4(0x00000000, 0x00000000, 0x00000000, 0x00000000), SIMD2(0x00000000, 0x00000000),
            SIMD4(0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8)
        ),
        (
            SIMD4(0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff), SIMD2(0xffffffff, 0xffffffff),
            SIMD4(0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd)
        ),
        (
            SIMD4(0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344), SIMD2(0xa4093822, 0x299f31d0),
            SIMD4(0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1)
        ),
        (
            SIMD4(0x00000007, 0x0000003f, 0x000f4240, 0x06010002), SIMD2(0x00003039, 0x000002a6),
            SIMD4(0xbc48bab4, 0x677f6eb3, 0x8f0b94ad, 0x6d28e5f9)
        ),
    ]

    @Test(arguments: 0 ..< 4) func knownAnswer(_ index: Int) {
        let known = Self.knownAnswers[index]
        #expect(Philox(key: known.key).block(known.counter) == known.words)
        let eight = Philox(key: known.key).eightBlocks(
            first: known.counter[0], known.counter[1], known.counter[2], known.counter[3])
        #expect(SIMD4(eight[0], eight[8], eight[16], eight[24]) == known.words)
    }

    @Test func eightBlocksAreEightSingleOnes() {
        let philox = Philox(seed: 0x0123_4567_89ab_cdef)
        #expect(philox.key == SIMD2(0x89ab_cdef, 0x0123_4567))
        for first: UInt32 in [0, 8, 12_345, 0xffff_fff8] {
            let eight = philox.eightBlocks(first: first, 5, 6, 0x8000_0001)
            for lane in 0 ..< 8 {
                let single = philox.block(SIMD4(first &+ UInt32(lane), 5, 6, 0x8000_0001))
                #expect(SIMD4(eight[lane], eight[8 + lane], eight[16 + lane], eight[24 + lane]) == single)
            }
        }
    }
}

@Suite struct DrawsTests {
    private func uniform(_ draws: Draws, samples: Int, perSample: Int, layer: Int = 0) -> [Float] {
        let buffer = FloatBuffer(count: samples * perSample)
        draws.fillUniform(buffer.values, samples: samples, layer: layer, low: 0, high: 1)
        return buffer.values.array
    }

    private func normal(_ draws: Draws, samples: Int, perSample: Int) -> [Float] {
        let buffer = FloatBuffer(count: samples * perSample)
        draws.fillNormal(buffer.values, samples: samples)
        return buffer.values.array
    }

    private func moments(_ values: [Float]) -> (mean: Double, variance: Double, fourth: Double) {
        let mean = values.reduce(0.0) { $0 + Double($1) } / Double(values.count)
        let variance = values.reduce(0.0) { $0 + pow(Double($1) - mean, 2) } / Double(values.count)
        let fourth = values.reduce(0.0) { $0 + pow(Double($1) - mean, 4) } / Double(values.count)
        return (mean, variance, fourth / (variance * variance))
    }

    /// The definition in the doc comment, word by word.
    @Test func valuesAreTheDocumentedWords() {
        let draws = Draws(seed: 99, purpose: .dropoutFake, step: 1_000_000, inner: 2, firstSample: 60)
        let values = uniform(draws, samples: 5, perSample: 77, layer: 3)
        let philox = Philox(seed: 99)
        for sample in 0 ..< 5 {
            for j in 0 ..< 77 {
                let block = UInt32(8 * (j / 32) + j % 8)
                let words = philox.block(
                    SIMD4(block, UInt32(60 + sample), 1_000_000, Purpose.dropoutFake.rawValue << 24 | 3 << 16 | 2))
                #expect(values[sample * 77 + j] == Float(words[(j % 32) / 8] >> 8) * 0x1p-24)
            }
        }
    }

    @Test func aSplitBatchDrawsTheSameValues() {
        for perSample in [1, 2, 8, 31, 32, 33, 100] {
            let whole = normal(Draws(seed: 7, purpose: .generatorNoise, step: 3), samples: 10, perSample: perSample)
            let first = normal(Draws(seed: 7, purpose: .generatorNoise, step: 3), samples: 3, perSample: perSample)
            let second = normal(
                Draws(seed: 7, purpose: .generatorNoise, step: 3, firstSample: 3), samples: 7, perSample: perSample)
            #expect(whole == first + second)
            #expect(Set(whole).count == whole.count, "a value comes twice")
        }
        // A longer sample begins like a shorter one, and no value past the end is touched.
        let short = normal(Draws(seed: 7, purpose: .sample, step: 0), samples: 1, perSample: 9)
        #expect(Array(normal(Draws(seed: 7, purpose: .sample, step: 0), samples: 1, perSample: 50)[..<9]) == short)
    }

    @Test func everyPartOfTheKeyMatters() {
        var seen = Set<[Float]>()
        var draws: [(Draws, layer: Int)] = []
        for purpose in 1 ... 10 {
            draws.append(
                (Draws(seed: 1, purpose: Purpose(rawValue: UInt32(purpose))!, step: 1, inner: 1, firstSample: 1), 1))
        }
        let last = Purpose.fixedLatents
        draws.append((Draws(seed: 2, purpose: last, step: 1, inner: 1, firstSample: 1), 1))
        draws.append((Draws(seed: 1 << 32 | 1, purpose: last, step: 1, inner: 1, firstSample: 1), 1))
        draws.append((Draws(seed: 1, purpose: last, step: 2, inner: 1, firstSample: 1), 1))
        draws.append((Draws(seed: 1, purpose: last, step: 1, inner: 2, firstSample: 1), 1))
        draws.append((Draws(seed: 1, purpose: last, step: 1, inner: 1, firstSample: 2), 1))
        draws.append((Draws(seed: 1, purpose: last, step: 1, inner: 1, firstSample: 1), 2))
        for (draw, layer) in draws { seen.insert(uniform(draw, samples: 1, perSample: 4, layer: layer)) }
        #expect(seen.count == draws.count)
        // Two kinds of noise, side by side, are not correlated.
        let a = normal(Draws(seed: 1, purpose: .discriminatorNoise, step: 0), samples: 1000, perSample: 100)
        let b = normal(Draws(seed: 1, purpose: .generatorNoise, step: 0), samples: 1000, perSample: 100)
        let correlation = zip(a, b).reduce(0.0) { $0 + Double($1.0 * $1.1) } / Double(a.count)
        #expect(abs(correlation) < 5 / Double(a.count).squareRoot())
    }

    @Test func uniformMoments() {
        let values = uniform(Draws(seed: 5, purpose: .sample, step: 0), samples: 500, perSample: 784)
        let n = Double(values.count), (mean, variance, _) = moments(values)
        #expect(abs(mean - 0.5) < 5 * (1 / 12.0 / n).squareRoot())
        #expect(abs(variance - 1 / 12.0) < 5 * (1 / 180.0 / n).squareRoot())
        #expect(values.min()! >= 0 && values.max()! < 1)
        var counts = [Int](repeating: 0, count: 64)
        for value in values { counts[Int(value * 64)] += 1 }
        let chiSquare = counts.reduce(0.0) { $0 + pow(Double($1) - n / 64, 2) / (n / 64) }
        #expect(chiSquare < 63 + 5 * 126.0.squareRoot())
        let shifted = FloatBuffer(count: 64)
        Draws(seed: 5, purpose: .sample, step: 0).fillUniform(shifted.values, samples: 1, low: -2, high: 6)
        #expect(shifted.values[33] == -2 + 8 * values[33])
    }

    @Test func normalMoments() {
        let values = normal(Draws(seed: 6, purpose: .sample, step: 0), samples: 400, perSample: 1000)
        let n = Double(values.count), (mean, variance, kurtosis) = moments(values)
        #expect(abs(mean) < 5 / n.squareRoot())
        #expect(abs(variance - 1) < 5 * (2 / n).squareRoot())
        #expect(abs(kurtosis - 3) < 5 * (24 / n).squareRoot())
        let beyondTwo = Double(values.count { abs($0) > 2 }) / n
        #expect(abs(beyondTwo - erfc(2 / 2.0.squareRoot())) < 5 * (0.0455 / n).squareRoot())
        // The two of a pair (sine and cosine of one angle) are uncorrelated.
        var product = 0.0
        for sample in 0 ..< 400 {
            for j in 0 ..< 8 { product += Double(values[sample * 1000 + j] * values[sample * 1000 + j + 8]) }
        }
        #expect(abs(product / 3200) < 5 / 3200.0.squareRoot())
        let scaled = FloatBuffer(count: 40)
        Draws(seed: 6, purpose: .sample, step: 0).fillNormal(scaled.values, samples: 1, deviation: 0.02)
        #expect(scaled.values[39] == 0.02 * values[39])
    }

    @Test(arguments: [Float(0.5), 0.8, 1]) func keepMask(_ keep: Float) {
        let mask = FloatBuffer(count: 300 * 784)
        Draws(seed: 8, purpose: .dropoutReal, step: 4).fillKeepMask(mask.values, samples: 300, layer: 2, keep: keep)
        let n = Double(mask.count), ones = mask.values.array.count { $0 == 1 },
            zeros = mask.values.array.count { $0 == 0 }
        #expect(ones + zeros == mask.count)
        // Kept where the uniform value of the same key is below the probability.
        let draws = uniform(
            Draws(seed: 8, purpose: .dropoutReal, step: 4), samples: 300, perSample: 784, layer: 2)
        #expect(mask.array == draws.map { $0 < keep ? 1 : 0 })
        #expect(abs(Double(ones) / n - Double(keep)) <= 5 * (Double(keep * (1 - keep)) / n).squareRoot())
    }

    @Test func nothingToDraw() {
        Draws(seed: 8, purpose: .sample, step: 4).fillNormal(.none, samples: 0)
        Draws(seed: 8, purpose: .sample, step: 4).fillNormal(.none, samples: 5)
    }

    @Test func permutationsHoldEveryNumberOnce() {
        for count in [0, 1, 2, 3, 31, 33, 60_000] {
            let order = Draws(seed: 1, purpose: .shuffle, step: 0).permutation(count: count)
            #expect(order.sorted() == (0 ..< UInt32(count)).map { $0 })
        }
        let one = Draws(seed: 1, purpose: .shuffle, step: 0).permutation(count: 1000)
        #expect(one == Draws(seed: 1, purpose: .shuffle, step: 0).permutation(count: 1000))
        #expect(one != Draws(seed: 1, purpose: .shuffle, step: 1).permutation(count: 1000))
        #expect(one != Draws(seed: 2, purpose: .shuffle, step: 0).permutation(count: 1000))
        // Of 1000 numbers in random order about one stays in place.
        #expect(one.enumerated().count { $0.offset == Int($0.element) } < 9)
    }

    @Test func allOrdersAreEquallyLikely() {
        var counts: [[UInt32]: Int] = [:]
        for epoch in 0 ..< 12_000 {
            counts[Draws(seed: 3, purpose: .shuffle, step: epoch).permutation(count: 4), default: 0] += 1
        }
        #expect(counts.count == 24)
        let chiSquare = counts.values.reduce(0.0) { $0 + pow(Double($1) - 500, 2) / 500 }
        #expect(chiSquare < 23 + 5 * 46.0.squareRoot())
    }
}
