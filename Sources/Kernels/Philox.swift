import CKernels

/// Philox4x32-10: a bijection of 128-bit counters for each 64-bit key, whose values pass the known tests of randomness.
/// Salmon, Moraes, Dror & Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3", §3.3.
struct Philox {
    let key: SIMD2<UInt32>

    init(key: SIMD2<UInt32>) { self.key = key }

    init(seed: UInt64) { key = SIMD2(UInt32(truncatingIfNeeded: seed), UInt32(truncatingIfNeeded: seed >> 32)) }

    /// The four words of one counter.
    func block(_ counter: SIMD4<UInt32>) -> SIMD4<UInt32> {
        var (c, k) = (counter, key)
        for _ in 0 ..< 10 {
            let product0 = UInt64(c[0]) &* UInt64(PHILOX_MULTIPLIER_0)
            let product1 = UInt64(c[2]) &* UInt64(PHILOX_MULTIPLIER_1)
            c = SIMD4(
                UInt32(product1 >> 32) ^ c[1] ^ k[0], UInt32(truncatingIfNeeded: product1),
                UInt32(product0 >> 32) ^ c[3] ^ k[1], UInt32(truncatingIfNeeded: product0))
            k &+= SIMD2(PHILOX_INCREMENT_0, PHILOX_INCREMENT_1)
        }
        return c
    }

    /// The words of eight counters that differ in their first: `first`, `first` + 1, … `first` + 7. Word w of counter
    /// `first` + i is lane i of the w-th eight.
    func eightBlocks(first: UInt32, _ c1: UInt32, _ c2: UInt32, _ c3: UInt32) -> SIMD32<UInt32> {
        var words = SIMD32<UInt32>()
        withUnsafeMutableBytes(of: &words) { bytes in
            kernels().pointee.philox(
                PhiloxKey(low: key[0], high: key[1]), first, c1, c2, c3,
                bytes.assumingMemoryBound(to: UInt32.self).baseAddress!)
        }
        return words
    }
}
