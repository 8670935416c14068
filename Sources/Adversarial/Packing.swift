import Kernels
import Nets

/// Packs of m independent examples that the discriminator judges as one: Lin et al. 2018, "PacGAN", §3. With m = 1 an
/// example is a pack.
///
/// A pack of vectors is one vector after another, [m · D]; one of images has their channels side by side, [H, W, m ·
/// C], as in the authors' code. Pack p of a batch is its examples m·p ..< m·(p+1), and lies within one shard.
public final class Packing {
    /// m.
    let size: Int
    /// What the discriminator is given.
    public let shape: Shape
    private let example: Shape
    /// Packs of images, and the gradients of such packs taken apart; vectors lie as they have to already.
    private let packs: FloatBuffer
    private let apart: FloatBuffer

    /// For batches of at most `capacity` examples.
    public init(size: Int, example: Shape, capacity: Int) {
        self.size = size
        self.example = example
        switch example {
        case .vector(let count): shape = .vector(size * count)
        case .image(let height, let width, let channels):
            shape = .image(height: height, width: width, channels: size * channels)
        }
        var moved = 0
        if case .image = example, size > 1 { moved = capacity * example.count }
        packs = FloatBuffer(count: moved)
        apart = FloatBuffer(count: moved)
    }

    /// Examples as packs; valid until the next call.
    public func join(_ examples: Batch) -> Batch {
        guard case .image = example, size > 1 else {
            return Batch(examples.values, count: examples.count / size, shape: shape)
        }
        return join(examples, into: packs.values)
    }

    /// The same in memory of the caller's.
    @discardableResult
    func join(_ examples: Batch, into target: Floats) -> Batch {
        let target = target[0 ..< examples.count * example.count]
        if case .image = example, size > 1 {
            forEachPixel(examples.count) { apart, packed in copy(examples.values, apart, to: target, packed) }
        } else if target.base != examples.values.base {
            target.copy(from: examples.values)
        }
        return Batch(target, count: examples.count / size, shape: shape)
    }

    /// The gradient of packs as that of their examples; valid until the next call.
    func split(_ gradient: Batch) -> Batch {
        guard case .image = example, size > 1 else {
            return Batch(gradient.values, count: gradient.count * size, shape: example)
        }
        forEachPixel(gradient.count * size) { apart, packed in
            copy(gradient.values, packed, to: self.apart.values, apart)
        }
        return Batch(apart.values, count: gradient.count * size, shape: example)
    }

    /// Where the channels of each pixel of each example begin, apart and in its pack.
    private func forEachPixel(_ examples: Int, _ body: (_ apart: Int, _ packed: Int) -> Void) {
        let channels = example.channels, pixels = example.count / channels
        for number in 0 ..< examples {
            let (pack, place) = number.quotientAndRemainder(dividingBy: size)
            for pixel in 0 ..< pixels {
                body((number * pixels + pixel) * channels, ((pack * pixels + pixel) * size + place) * channels)
            }
        }
    }

    private func copy(_ source: Floats, _ from: Int, to target: Floats, _ to: Int) {
        for channel in 0 ..< example.channels { target[to + channel] = source[from + channel] }
    }
}
