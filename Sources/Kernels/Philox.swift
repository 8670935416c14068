/// Philox4x32-10: a bijection of 128-bit counters for each 64-bit key, whose values pass the known tests of randomness.
/// Salmon, Moraes, Dror & Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3", §3.3.
struct Philox {
    private static let multiplier0: UInt64 = 0xD251_1F53
    private static let multiplier1: UInt64 = 0xCD9E_8D57
    private static let increment0: UInt32 = 0x9E37_79B9
    private static let increment1: UInt32 = 0xBB67_AE85

    let key: SIMD2<UInt32>

    init(key: SIMD2<UInt32>) { self.key = key }

    init(seed: UInt64) { key = SIMD2(UInt32(truncatingIfNeeded: seed), UInt32(truncatingIfNeeded: seed >> 32)) }

    /// The four words of one counter.
    func block(_ counter: SIMD4<UInt32>) -> SIMD4<UInt32> {
        var (c, k) = (counter, key)
        for _ in 0 ..< 10 {
            let product0 = UInt64(c[0]) &* Self.multiplier0
            let product1 = UInt64(c[2]) &* Self.multiplier1
            c = SIMD4(
                UInt32(product1 >> 32) ^ c[1] ^ k[0], UInt32(truncatingIfNeeded: product1),
                UInt32(product0 >> 32) ^ c[3] ^ k[1], UInt32(truncatingIfNeeded: product0))
            k &+= SIMD2(Self.increment0, Self.increment1)
        }
        return c
    }

    /// The words of eight counters that differ in their first: `first`, `first` + 1, … `first` + 7. Word w of counter
    /// `first` + i is lane i of the w-th vector.
    ///
    /// The even counters and the odd ones are kept apart, each word in the low half of a 64-bit lane, as the widening
    /// multiplication wants them; what is in the high half does not matter to it.
    @inline(__always)
    func eightBlocks(
        first: UInt32, _ c1: UInt32, _ c2: UInt32, _ c3: UInt32
    )
        -> (SIMD8<UInt32>, SIMD8<UInt32>, SIMD8<UInt32>, SIMD8<UInt32>)
    {
        typealias Wide = SIMD4<UInt64>
        let low = Wide(repeating: 0xffff_ffff)
        let (m0, m1) = (Wide(repeating: Self.multiplier0), Wide(repeating: Self.multiplier1))
        let indices = SIMD8<UInt32>(0, 1, 2, 3, 4, 5, 6, 7) &+ first
        let pairs = unsafeBitCast(indices, to: Wide.self)
        var (even0, odd0) = (pairs, pairs &>> 32)
        var (even1, odd1) = (Wide(repeating: UInt64(c1)), Wide(repeating: UInt64(c1)))
        var (even2, odd2) = (Wide(repeating: UInt64(c2)), Wide(repeating: UInt64(c2)))
        var (even3, odd3) = (Wide(repeating: UInt64(c3)), Wide(repeating: UInt64(c3)))
        var (k0, k1) = (key[0], key[1])
        for _ in 0 ..< 10 {
            let (key0, key1) = (Wide(repeating: UInt64(k0)), Wide(repeating: UInt64(k1)))
            let (evenProduct0, oddProduct0) = ((even0 & low) &* m0, (odd0 & low) &* m0)
            let (evenProduct1, oddProduct1) = ((even2 & low) &* m1, (odd2 & low) &* m1)
            even0 = (evenProduct1 &>> 32) ^ even1 ^ key0
            odd0 = (oddProduct1 &>> 32) ^ odd1 ^ key0
            even2 = (evenProduct0 &>> 32) ^ even3 ^ key1
            odd2 = (oddProduct0 &>> 32) ^ odd3 ^ key1
            (even1, odd1, even3, odd3) = (evenProduct1, oddProduct1, evenProduct0, oddProduct0)
            k0 &+= Self.increment0
            k1 &+= Self.increment1
        }
        return (
            unsafeBitCast((even0 & low) | (odd0 &<< 32), to: SIMD8<UInt32>.self),
            unsafeBitCast((even1 & low) | (odd1 &<< 32), to: SIMD8<UInt32>.self),
            unsafeBitCast((even2 & low) | (odd2 &<< 32), to: SIMD8<UInt32>.self),
            unsafeBitCast((even3 & low) | (odd3 &<< 32), to: SIMD8<UInt32>.self)
        )
    }
}
