import Kernels
import Nets

/// Images taken apart by scale (Burt & Adelson 1983), as the authors of Karras et al. 2018 do for the sliced
/// Wasserstein distance: each level is the image less what its half-sized blur, doubled again, tells of it; the last
/// is the blur itself.
enum LaplacianPyramid {
    /// The smallest side of a level: two patches across. Of 32 × 32 pixels that leaves 32 and 16, as published.
    static let smallestSide = 14

    /// The binomial filter of five taps.
    private static let taps: [Float] = [1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16]

    /// The levels of a batch of images, largest first.
    static func levels(_ images: Examples) -> [Examples] {
        var levels = [images]
        while let last = levels.last, case .image(let height, let width, _) = last.shape,
            height % 2 == 0, width % 2 == 0, min(height, width) / 2 >= smallestSide
        {
            let half = down(last)
            let coarse = up(half)
            let detail = FloatBuffer(count: last.values.count)
            for index in 0 ..< detail.count { detail.values[index] = last.values[index] - coarse.values[index] }
            levels[levels.count - 1] = Examples(detail, shape: last.shape)
            levels.append(half)
        }
        return levels
    }

    /// Blurred, every second pixel.
    static func down(_ images: Examples) -> Examples {
        guard case .image(let height, let width, let channels) = images.shape else {
            preconditionFailure("a pyramid of \(images.shape)")
        }
        return map(images, to: .image(height: height / 2, width: width / 2, channels: channels)) { image, target in
            let blurred = blur(image, height, width, channels, gain: 1)
            for y in 0 ..< height / 2 {
                for x in 0 ..< width / 2 {
                    for channel in 0 ..< channels {
                        target[(y * (width / 2) + x) * channels + channel] =
                            blurred[(2 * y * width + 2 * x) * channels + channel]
                    }
                }
            }
        }
    }

    /// Twice as large: zeros between the pixels, blurred, times 4.
    static func up(_ images: Examples) -> Examples {
        guard case .image(let height, let width, let channels) = images.shape else {
            preconditionFailure("a pyramid of \(images.shape)")
        }
        return map(images, to: .image(height: 2 * height, width: 2 * width, channels: channels)) { image, target in
            var spread = [Float](repeating: 0, count: 4 * image.count)
            for y in 0 ..< height {
                for x in 0 ..< width {
                    for channel in 0 ..< channels {
                        spread[(2 * y * 2 * width + 2 * x) * channels + channel] =
                            image[(y * width + x) * channels + channel]
                    }
                }
            }
            let blurred = blur(spread, 2 * height, 2 * width, channels, gain: 4)
            for index in blurred.indices { target[index] = blurred[index] }
        }
    }

    private static func map(_ images: Examples, to shape: Shape, _ body: ([Float], Floats) -> Void) -> Examples {
        let result = FloatBuffer(count: images.count * shape.count)
        for row in 0 ..< images.count {
            body(images[row ..< row + 1].array, result.values[row * shape.count ..< (row + 1) * shape.count])
        }
        return Examples(result, shape: shape)
    }

    /// The filter along both axes, the image mirrored at its outermost pixels (SciPy's mode "mirror").
    private static func blur(_ image: [Float], _ height: Int, _ width: Int, _ channels: Int, gain: Float) -> [Float] {
        func mirrored(_ index: Int, _ length: Int) -> Int {
            index < 0 ? -index : index >= length ? 2 * (length - 1) - index : index
        }
        var rows = image, result = image
        for y in 0 ..< height {
            for x in 0 ..< width {
                for channel in 0 ..< channels {
                    rows[(y * width + x) * channels + channel] = (0 ..< 5).reduce(Float(0)) {
                        $0 + taps[$1] * image[(y * width + mirrored(x + $1 - 2, width)) * channels + channel]
                    }
                }
            }
        }
        for y in 0 ..< height {
            for x in 0 ..< width {
                for channel in 0 ..< channels {
                    result[(y * width + x) * channels + channel] =
                        gain
                        * (0 ..< 5).reduce(Float(0)) {
                            $0 + taps[$1] * rows[(mirrored(y + $1 - 2, height) * width + x) * channels + channel]
                        }
                }
            }
        }
        return result
    }
}
