import CPNG
import Kernels
import Support

/// Pictures side by side in one PNG, a black pixel between them.
public enum PNGGrid {
    /// Writes pictures to `path`, wholly or not at all; a file of that name is replaced.
    ///
    /// - Parameters:
    ///   - images: [N, H, W, C], C = 1 (gray) or 3 (RGB); of other numbers the channels are drawn side by side in gray.
    ///   - range: the values that become 0 and 255; what lies outside is cut off.
    ///   - columns: nil makes the grid about square.
    public static func write(
        _ images: Floats, shape: [Int], range: ClosedRange<Float>, columns: Int? = nil, to path: String
    ) throws(Failure) {
        let png = try encode(images, shape: shape, range: range, columns: columns)
        try png.withUnsafeBytesThrowing { (bytes) throws(Failure) in try AtomicFile(path).write(bytes) }
    }

    /// The bytes of the PNG file.
    public static func encode(
        _ images: Floats, shape: [Int], range: ClosedRange<Float>, columns: Int? = nil
    ) throws(Failure) -> [UInt8] {
        try pixels(images, shape: shape, range: range, columns: columns).png()
    }

    /// The grid as a picture.
    public static func pixels(_ images: Floats, shape: [Int], range: ClosedRange<Float>, columns: Int? = nil) -> Pixels
    {
        precondition(shape.count == 3, "pictures have a height, a width and channels; these have the shape \(shape)")
        let elements = shape.reduce(1, *)
        precondition(
            images.count > 0 && images.count % elements == 0, "\(images.count) values in pictures of \(elements)")
        if shape[2] != 1, shape[2] != 3 {
            let planes = Self.planes(images, shape)
            return withExtendedLifetime(planes) {
                Self.pixels(planes.values, shape: [shape[0], shape[1] * shape[2], 1], range: range, columns: columns)
            }
        }
        let count = images.count / elements
        let columns = min(count, columns ?? Int(Double(count).squareRoot().rounded(.up)))
        let rows = (count + columns - 1) / columns, channels = shape[2]
        let width = columns * (shape[1] + 1) - 1, height = rows * (shape[0] + 1) - 1
        var pixels = [UInt8](repeating: 0, count: width * height * channels)
        let scale = 255 / (range.upperBound - range.lowerBound)
        for index in 0 ..< count {
            let left = index % columns * (shape[1] + 1), top = index / columns * (shape[0] + 1)
            for y in 0 ..< shape[0] {
                for x in 0 ..< shape[1] * channels {
                    let value = images[index * elements + y * shape[1] * channels + x]
                    pixels[((top + y) * width + left) * channels + x] = byte((value - range.lowerBound) * scale)
                }
            }
        }
        return Pixels(width: width, height: height, channels: channels, values: pixels)
    }

    /// The channels of each picture beside each other.
    private static func planes(_ images: Floats, _ shape: [Int]) -> FloatBuffer {
        let (width, channels) = (shape[1], shape[2])
        let planes = FloatBuffer(count: images.count)
        for index in 0 ..< images.count {
            let (row, place) = index.quotientAndRemainder(dividingBy: width * channels)
            planes.values[row * width * channels + place % channels * width + place / channels] = images[index]
        }
        return planes
    }

    /// The nearest byte; what is not a number is black.
    private static func byte(_ value: Float) -> UInt8 { value >= 0 ? UInt8(min(value.rounded(), 255)) : 0 }
}

extension Pixels {
    /// The bytes of a PNG file. By libpng's simplified interface: the other reports errors by longjmp, over which
    /// Swift must not be jumped.
    public func png() throws(Failure) -> [UInt8] {
        var image = png_image()
        image.version = UInt32(PNG_IMAGE_VERSION)
        (image.width, image.height) = (UInt32(width), UInt32(height))
        image.format = channels == 1 ? 0 : UInt32(PNG_FORMAT_FLAG_COLOR)
        defer { png_image_free(&image) }
        // Room enough for any picture: what deflate cannot shrink grows by less than a tenth.
        var size = values.count + values.count / 10 + height + 4096
        var result = [UInt8](repeating: 0, count: size)
        let written = png_image_write_to_memory(&image, &result, &size, 0, values, Int32(width * channels), nil)
        guard written != 0, size <= result.count else {
            let text = withUnsafeBytes(of: image.message) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
            throw Failure(
                .inputOutput, "A picture of \(width) × \(height) pixels could not be made: \(text).",
                remedy: "Ask for fewer or smaller pictures.")
        }
        return Array(result.prefix(size))
    }
}

extension [UInt8] {
    /// `withUnsafeBytes` for a body of typed errors.
    func withUnsafeBytesThrowing(_ body: (UnsafeRawBufferPointer) throws(Failure) -> Void) throws(Failure) {
        let result: Result<Void, Failure> = withUnsafeBytes { bytes in
            Result { () throws(Failure) in try body(bytes) }
        }
        try result.get()
    }
}
