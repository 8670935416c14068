import Foundation
import Kernels
import Testing
@testable import Collectives

/// The nearest bfloat16 by trying both neighbours in Double: the definition of rounding to nearest, ties to even.
private func nearest(_ value: Float) -> UInt16 {
    if value.isInfinite { return UInt16(value.bitPattern >> 16) }
    let below = UInt16(value.bitPattern >> 16), above = below + 1
    func exact(_ half: UInt16) -> Double {
        let float = Float(bitPattern: UInt32(half) << 16)
        // Beyond the largest number the next step would be 2¹²⁸.
        return float.isInfinite ? (float > 0 ? 1 : -1) * 0x1p128 : Double(float)
    }
    let toBelow = abs(Double(value) - exact(below)), toAbove = abs(exact(above) - Double(value))
    if toBelow == toAbove { return below % 2 == 0 ? below : above }
    return toBelow < toAbove ? below : above
}

@Suite struct BFloat16Tests {
    /// Every pattern of the upper half with lower halves around the tie, in vectors of odd length, by vectors of 16
    /// and one by one.
    @Test func roundsToTheNearestEven() {
        for lower: UInt32 in [0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF] {
            let values = (UInt32(0) ... 0xFFFF).map { Float(bitPattern: $0 << 16 | lower) }.filter { !$0.isNaN } + [1.5]
            let source = FloatBuffer(values), packed = FloatBuffer(count: BFloat16.places(values.count)),
                target = FloatBuffer(count: values.count)
            BFloat16.pack(source.values, into: packed.values)
            BFloat16.unpack(packed.values, into: target.values)
            for (value, result) in zip(values, target.array) {
                #expect(result.bitPattern == UInt32(nearest(value)) << 16, "\(value)")
                #expect(BFloat16.rounded(value) == nearest(value))
            }
        }
    }

    /// A gradient that is not a number is to be seen on every rank.
    @Test func notANumberStaysSo() {
        let values =
            [Float](repeating: .nan, count: 16) + [
                Float(bitPattern: 0x7F80_0001), Float(bitPattern: 0xFFFF_FFFF), -.infinity,
            ]
        let source = FloatBuffer(values), packed = FloatBuffer(count: BFloat16.places(values.count)),
            target = FloatBuffer(count: values.count)
        BFloat16.pack(source.values, into: packed.values)
        BFloat16.unpack(packed.values, into: target.values)
        #expect(target.array.dropLast().allSatisfy(\.isNaN) && target.array.last == -.infinity)
    }
}
