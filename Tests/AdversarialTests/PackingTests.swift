import Kernels
import Nets
import Testing
@testable import Adversarial

@Suite struct PackingTests {
    /// Images of 2 × 3 pixels and 2 channels in packs of 3: value (pack, row, column, place · channels + channel).
    @Test func imagesLieSideBySideInTheirChannels() throws {
        let shape = Shape.image(height: 2, width: 3, channels: 2),
            packing = Packing(size: 3, example: shape, capacity: 6)
        #expect(packing.shape == .image(height: 2, width: 3, channels: 6))
        let examples = FloatBuffer((0 ..< 72).map(Float.init))
        let packs = packing.join(Batch(examples.values, count: 6, shape: shape))
        #expect(packs.count == 2 && packs.shape == packing.shape)
        for pack in 0 ..< 2 {
            for pixel in 0 ..< 6 {
                for place in 0 ..< 3 {
                    for channel in 0 ..< 2 {
                        #expect(
                            packs.values[pack * 36 + pixel * 6 + place * 2 + channel]
                                == Float((pack * 3 + place) * 12 + pixel * 2 + channel))
                    }
                }
            }
        }
        // And back.
        let apart = packing.split(packs)
        #expect(apart.count == 6 && apart.shape == shape && apart.values.array == examples.array)
    }
}
