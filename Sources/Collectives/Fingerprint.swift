import CKernels
import Kernels

/// A 64-bit hash of the bits of `values`, for finding ranks that have drifted apart; not for adversaries.
///
/// Sixteen lanes of 32 bits, each stepped as in xxHash32: lane = rotate(lane + value·p₂, 13)·p₁. A step is a
/// bijection of the lane for a given value and of the value for a given lane, so that one changed value always
/// changes the hash's state. The lanes and the count are then mixed (the finaliser of SplitMix64). It is the same on
/// any machine of the same byte order.
public func fingerprint(of values: Floats, seed: UInt64 = 0) -> UInt64 {
    var lanes = SIMD16<UInt32>(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15) &* 0x85EB_CA77
    var rest = SIMD16<UInt32>(repeating: 0)
    let whole = values.count / 16 * 16
    for index in whole ..< values.count { rest[index % 16] = values[index].bitPattern }
    withUnsafeMutableBytes(of: &lanes) { lanes in
        let lanes = lanes.assumingMemoryBound(to: UInt32.self).baseAddress!
        kernels().pointee.hash(lanes, values.base, whole)
        withUnsafeBytes(of: &rest) { rest in
            kernels().pointee.hash(lanes, rest.assumingMemoryBound(to: Float.self).baseAddress!, 16)
        }
    }

    var hash = mixed(seed ^ UInt64(values.count))
    for pair in 0 ..< 8 { hash = mixed(hash ^ (UInt64(lanes[2 * pair]) << 32 | UInt64(lanes[2 * pair + 1]))) }
    return hash
}

/// The sum of the bits of all values as whole numbers, modulo 2³²: fast enough for every update, other where one bit
/// is.
func sumOfBits(_ values: Floats) -> UInt32 { kernels().pointee.sumOfBits(values.base, values.count) }

private func mixed(_ value: UInt64) -> UInt64 {
    var value = value &+ 0x9E37_79B9_7F4A_7C15
    value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
    value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
    return value ^ value >> 31
}
