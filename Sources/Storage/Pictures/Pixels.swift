import Support

/// A picture: rows of pixels, each one byte of grey or three of red, green and blue.
public struct Pixels: Sendable {
    public let width: Int
    public let height: Int
    /// 1 or 3.
    public let channels: Int
    public var values: [UInt8]

    public init(width: Int, height: Int, channels: Int, values: [UInt8]) {
        precondition(
            values.count == width * height * channels, "\(values.count) bytes for \(width) × \(height) × \(channels)")
        (self.width, self.height, self.channels, self.values) = (width, height, channels, values)
    }

    /// Reads a PNG, JPEG, WebP or TIFF file. Throws 65 where it is not one, 66 where it cannot be read.
    public init(file path: String) throws(Failure) {
        let picture = try PictureFile(path)
        self = try picture.raster(channels: picture.hasColour ? 3 : 1, background: .black).turned()
    }

    /// Writes a PNG file, wholly or not at all; one of that name is replaced.
    public func write(to path: String) throws(Failure) {
        try png().withUnsafeBytesThrowing { (bytes) throws(Failure) in try AtomicFile(path).write(bytes) }
    }
}
