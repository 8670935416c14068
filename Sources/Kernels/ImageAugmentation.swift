/// Where the values of an image lie: rows of pixels, each of `channels` values.
public struct ImageLayout: Sendable {
    public let height, width, channels: Int
    /// Values from one pixel to the next: `channels`, or more where the channels of several images lie side by side.
    public let stride: Int

    public init(height: Int, width: Int, channels: Int, stride: Int) {
        (self.height, self.width, self.channels, self.stride) = (height, width, channels, stride)
    }

    /// Values of the image alone.
    public var count: Int { pixels * channels }
    var pixels: Int { height * width }
}

/// What augmentation does to one image once its amounts are drawn: the affine map x ↦ A x + b.
///
///     flip          x[r, j] is taken from x[r, W − 1 − j]
///     brightness    x + brightness
///     saturation    saturation · (x − p) + p      p: the mean of the pixel's channels
///     contrast      contrast · (x − m) + m        m: the mean of all values of the image
///     shift         x[r, j] is taken from x[r − rowShift, j − columnShift], and is `fill` where that lies outside
///     cut           the rows and columns cut are `fill`
///
/// one after another. Zhao et al. 2020, "Differentiable augmentation for data-efficient GAN training", and its code,
/// `DiffAugment_pytorch.py`; the flip is that of Karras et al. 2020, "Training generative adversarial networks with
/// limited data".
public struct ImageAugmentation: Sendable {
    public var flips = false
    public var brightness: Float = 0
    public var saturation: Float = 1
    public var contrast: Float = 1
    public var rowShift = 0, columnShift = 0
    public var cutRows = 0 ..< 0, cutColumns = 0 ..< 0
    public var fill: Float = 0

    public init() {}

    /// x ↦ A x + b; t ↦ A t, as a tangent goes; e ↦ Aᵀ e, as a gradient comes back.
    public enum Form: Sendable { case map, tangent, adjoint }

    /// Puts the result in the place of the image that begins with the first value of `values`.
    public func apply(_ form: Form, to values: Floats, _ layout: ImageLayout) {
        precondition(
            values.count >= (layout.pixels - 1) * layout.stride + layout.channels,
            "\(values.count) values for an image of \(layout)")
        let image = Image(base: values.base, layout: layout)
        let fill = form == .map ? fill : 0
        switch form {
        case .map, .tangent:
            if flips { image.flip() }
            recolour(image, brightness: form == .map ? brightness : 0)
            image.shift(rows: rowShift, columns: columnShift, fill: fill)
            cut(image, fill)
        case .adjoint:
            cut(image, 0)
            image.shift(rows: -rowShift, columns: -columnShift, fill: 0)
            // The matrices of saturation and contrast are symmetric, and commute with each other.
            recolour(image, brightness: 0)
            if flips { image.flip() }
        }
    }

    private func cut(_ image: Image, _ fill: Float) {
        for row in cutRows { image.fill(row, cutColumns, fill) }
    }

    private func recolour(_ image: Image, brightness: Float) {
        // A grey pixel is its own mean.
        let channels = image.layout.channels, saturates = saturation != 1 && channels > 1
        guard saturates || contrast != 1 || brightness != 0 else { return }
        let mean = contrast == 1 ? 0 : image.mean
        let offset = (1 - contrast) * mean + brightness
        if saturates {
            image.mixChannels(
                scale: contrast * saturation, share: contrast * (1 - saturation) / Float(channels), offset: offset)
        } else {
            image.forEachRun { values, count in
                for index in 0 ..< count { values[index] = contrast * values[index] + offset }
            }
        }
    }
}

/// An image in place.
private struct Image {
    let base: UnsafeMutablePointer<Float>
    let layout: ImageLayout

    /// The values that lie side by side: all, or those of one pixel after another.
    @inline(__always)
    func forEachRun(_ body: (_ values: UnsafeMutablePointer<Float>, _ count: Int) -> Void) {
        if layout.stride == layout.channels {
            body(base, layout.count)
        } else {
            for pixel in 0 ..< layout.pixels { body(base + pixel &* layout.stride, layout.channels) }
        }
    }

    var mean: Float {
        var sum = 0.0
        forEachRun { values, count in
            // Eight sums at a time: one alone would wait for each addition.
            var sums = SIMD8<Double>.zero, index = 0
            while index &+ 8 <= count {
                sums += SIMD8<Double>(
                    UnsafeRawPointer(values + index).loadUnaligned(as: SIMD8<Float>.self))
                index &+= 8
            }
            while index < count {
                sum += Double(values[index])
                index &+= 1
            }
            sum += sums.sum()
        }
        return Float(sum / Double(layout.count))
    }

    /// scale · x + share · (the sum of the pixel's channels) + offset.
    func mixChannels(scale: Float, share: Float, offset: Float) {
        for pixel in 0 ..< layout.pixels {
            let values = base + pixel &* layout.stride
            if layout.channels == 3 {
                let (red, green, blue) = (values[0], values[1], values[2])
                let addend = share * (red + green + blue) + offset
                values[0] = scale * red + addend
                values[1] = scale * green + addend
                values[2] = scale * blue + addend
            } else {
                var sum: Float = 0
                for channel in 0 ..< layout.channels { sum += values[channel] }
                for channel in 0 ..< layout.channels {
                    values[channel] = scale * values[channel] + (share * sum + offset)
                }
            }
        }
    }

    func flip() {
        for row in 0 ..< layout.height {
            var left = pixel(row, 0), right = pixel(row, layout.width - 1)
            while left < right {
                for channel in 0 ..< layout.channels { swap(&left[channel], &right[channel]) }
                left += layout.stride
                right -= layout.stride
            }
        }
    }

    /// Moves the pixels down and to the right. Rows, and pixels of a row, are taken in the order in which none is
    /// written over before it has been read.
    func shift(rows: Int, columns: Int, fill: Float) {
        guard rows != 0 || columns != 0 else { return }
        let (height, width) = (layout.height, layout.width)
        let first = min(max(columns, 0), width), end = max(min(width + columns, width), first)
        for number in 0 ..< height {
            let row = rows > 0 ? height - 1 - number : number, source = row - rows
            guard source >= 0, source < height, first < end else {
                self.fill(row, 0 ..< width, fill)
                continue
            }
            copy(row: source, first - columns, to: row, first, count: end - first)
            self.fill(row, 0 ..< first, fill)
            self.fill(row, end ..< width, fill)
        }
    }

    private func copy(row source: Int, _ from: Int, to target: Int, _ to: Int, count: Int) {
        let from = pixel(source, from), to = pixel(target, to)
        guard layout.stride != layout.channels else { return to.update(from: from, count: count * layout.channels) }
        for number in 0 ..< count {
            let place = (from < to ? count - 1 - number : number) &* layout.stride
            for channel in 0 ..< layout.channels { to[place &+ channel] = from[place &+ channel] }
        }
    }

    func fill(_ row: Int, _ columns: Range<Int>, _ value: Float) {
        let start = pixel(row, columns.lowerBound)
        guard layout.stride != layout.channels else {
            return start.update(repeating: value, count: columns.count * layout.channels)
        }
        for column in 0 ..< columns.count {
            for channel in 0 ..< layout.channels { start[column &* layout.stride &+ channel] = value }
        }
    }

    private func pixel(_ row: Int, _ column: Int) -> UnsafeMutablePointer<Float> {
        base + (row &* layout.width &+ column) &* layout.stride
    }
}
