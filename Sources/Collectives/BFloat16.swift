import CKernels
import Kernels

/// float32 without the lower 16 of its 23 bits of fraction: half the bytes, the same range, a relative error of at
/// most 2⁻⁹.
///
/// Two of them lie in the place of one float32: a vector of n values is packed into ⌈n/2⌉ places, the first value in
/// the lower half.
enum BFloat16 {
    /// How many float32 places `count` packed values take.
    static func places(_ count: Int) -> Int { (count + 1) / 2 }

    /// Rounds to the nearest, ties to even; not-a-number stays that.
    static func rounded(_ value: Float) -> UInt16 {
        let bits = value.bitPattern
        if value.isNaN { return UInt16(truncatingIfNeeded: bits >> 16) | 0x40 }
        return UInt16(truncatingIfNeeded: (bits &+ 0x7FFF &+ (bits >> 16 & 1)) >> 16)
    }

    static func pack(_ values: Floats, into packed: Floats) {
        precondition(packed.count == places(values.count), "\(values.count) values packed into \(packed.count) places")
        let target = UnsafeMutableRawPointer(packed.base), whole = values.count / 16 * 16
        kernels().pointee.packHalves(values.base, target.assumingMemoryBound(to: UInt16.self), whole)
        for index in whole ..< values.count {
            target.storeBytes(of: rounded(values.base[index]), toByteOffset: 2 &* index, as: UInt16.self)
        }
    }

    static func unpack(_ packed: Floats, into values: Floats) {
        precondition(
            packed.count == places(values.count), "\(packed.count) places unpacked into \(values.count) values")
        let source = UnsafeRawPointer(packed.base), whole = values.count / 16 * 16
        kernels().pointee.unpackHalves(source.assumingMemoryBound(to: UInt16.self), values.base, whole)
        for index in whole ..< values.count {
            let half = source.loadUnaligned(fromByteOffset: 2 &* index, as: UInt16.self)
            values.base[index] = Float(bitPattern: UInt32(half) << 16)
        }
    }
}
