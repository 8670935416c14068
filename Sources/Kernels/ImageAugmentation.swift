/// Where the values of an image lie: rows of pixels, each of `channels` values.
public struct ImageLayout: Sendable {
    public let height, width, channels: Int
    /// Values from one pixel to the next: `channels`, or more where the channels of several images lie side by side.
    public let stride: Int

    public init(height: Int, width: Int, channels: Int, stride: Int) {
        (self.height, self.width, self.channels, self.stride) = (height, width, channels, stride)
    }

    /// Values of the image alone.
    public var count: Int { height * width * channels }
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

    /// Puts the result in the place of the image that begins with the first value of `image`; `room` has
    /// ``ImageLayout/count`` values.
    public func apply(_ form: Form, to image: Floats, _ layout: ImageLayout, room: Floats) {
        let pixels = layout.height * layout.width
        precondition(
            image.count >= (pixels - 1) * layout.stride + layout.channels && room.count >= layout.count,
            "\(image.count) values and room for \(room.count) for an image of \(layout)")
        switch form {
        case .map:
            recolour(image.base, layout, brightness: brightness)
            move(image.base, layout, room.base, fill: fill, back: false)
        case .tangent:
            recolour(image.base, layout, brightness: 0)
            move(image.base, layout, room.base, fill: 0, back: false)
        case .adjoint:
            // The matrices of saturation and contrast are symmetric, and commute.
            move(image.base, layout, room.base, fill: 0, back: true)
            recolour(image.base, layout, brightness: 0)
        }
    }

    private func recolour(_ image: UnsafeMutablePointer<Float>, _ layout: ImageLayout, brightness: Float) {
        let channels = layout.channels, pixels = layout.height * layout.width, stride = layout.stride
        // A grey pixel is its own mean.
        let saturates = saturation != 1 && channels > 1
        guard saturates || contrast != 1 || brightness != 0 else { return }
        let run = saturates || stride != channels ? channels : pixels * channels
        let runs = layout.count / run
        var sum = 0.0
        if contrast != 1 {
            for number in 0 ..< runs {
                let values = image + number &* stride
                for index in 0 ..< run { sum += Double(values[index]) }
            }
        }
        let offset = (1 - contrast) * Float(sum / Double(layout.count)) + brightness
        let scale = saturates ? contrast * saturation : contrast
        let share = saturates ? contrast * (1 - saturation) / Float(channels) : 0
        for number in 0 ..< runs {
            let values = image + number &* stride
            var addend = offset
            if saturates {
                var own: Float = 0
                for index in 0 ..< run { own += values[index] }
                addend += share * own
            }
            for index in 0 ..< run { values[index] = scale * values[index] + addend }
        }
    }

    /// `back`: from where the pixels have gone to where they came from.
    private func move(
        _ image: UnsafeMutablePointer<Float>, _ layout: ImageLayout, _ room: UnsafeMutablePointer<Float>, fill: Float,
        back: Bool
    ) {
        guard flips || rowShift != 0 || columnShift != 0 || !cutRows.isEmpty else { return }
        let (height, width, channels) = (layout.height, layout.width, layout.channels)
        var target = room
        for row in 0 ..< height {
            let otherRow = back ? row &+ rowShift : row &- rowShift, isInside = otherRow >= 0 && otherRow < height
            let isCutRow = cutRows.contains(back ? otherRow : row)
            for column in 0 ..< width {
                var other = column
                if back {
                    if flips { other = width &- 1 &- other }
                    other &+= columnShift
                } else {
                    other &-= columnShift
                }
                let isCut = isCutRow && cutColumns.contains(back ? other : column)
                if isInside, other >= 0, other < width, !isCut {
                    if flips && !back { other = width &- 1 &- other }
                    let source = image + (otherRow &* width &+ other) &* layout.stride
                    for channel in 0 ..< channels { target[channel] = source[channel] }
                } else {
                    for channel in 0 ..< channels { target[channel] = fill }
                }
                target += channels
            }
        }
        for pixel in 0 ..< height * width {
            let source = room + pixel &* channels, place = image + pixel &* layout.stride
            for channel in 0 ..< channels { place[channel] = source[channel] }
        }
    }
}
