import CJPEG
import CPNG

/// A PNG or JPEG file in memory, told apart by its first bytes.
struct PictureFile {
    let path: String
    let width: Int
    let height: Int
    /// Whether it has more than shades of grey.
    let hasColour: Bool
    private let bytes: [UInt8]
    private let isJPEG: Bool

    /// Reads the file and its header. Throws 65 with what the library says where it is no picture, 66 where it cannot be read.
    init(_ path: String) throws(StorageError) {
        self.path = path
        let file = try InputFile(path)
        guard file.size <= 1 << 28 else { throw Self.broken(path, "it has \(file.size) bytes") }
        var bytes = [UInt8](repeating: 0, count: file.size)
        let result: Result<Void, StorageError> = bytes.withUnsafeMutableBytes { buffer in
            Result { () throws(StorageError) in try file.read(at: 0, into: buffer) }
        }
        try result.get()
        self.bytes = bytes
        isJPEG = bytes.starts(with: [0xFF, 0xD8, 0xFF])
        guard isJPEG || bytes.starts(with: [0x89, 0x50, 0x4E, 0x47]) else { throw Self.broken(path, "its first bytes are neither PNG's nor JPEG's") }
        (width, height, hasColour) = isJPEG ? try Self.jpegHeader(path, bytes) : try Self.pngHeader(path, bytes)
        guard width * height <= 1 << 28 else { throw Self.broken(path, "it claims \(width) × \(height) pixels") }
    }

    /// Its pixels, row by row, `channels` (1 or 3) bytes each; what is transparent is on black.
    func pixels(channels: Int) throws(StorageError) -> [UInt8] {
        isJPEG ? try jpegPixels(channels) : try pngPixels(channels)
    }

    private static func broken(_ path: String, _ what: String) -> StorageError {
        .badData("\(path) is not a picture that can be read: \(what).", remedy: "Mend or remove it, or leave out what is broken with --skip-broken.")
    }

    // MARK: - JPEG

    private static func jpegHeader(_ path: String, _ bytes: [UInt8]) throws(StorageError) -> (Int, Int, Bool) {
        try readJPEG(path, bytes, channels: 3, into: nil)
    }

    private func jpegPixels(_ channels: Int) throws(StorageError) -> [UInt8] {
        var pixels = [UInt8](repeating: 0, count: width * height * channels)
        let result: Result<Void, StorageError> = pixels.withUnsafeMutableBufferPointer { buffer in
            Result { () throws(StorageError) in _ = try Self.readJPEG(path, bytes, channels: channels, into: buffer.baseAddress) }
        }
        try result.get()
        return pixels
    }

    private static func readJPEG(
        _ path: String, _ bytes: [UInt8], channels: Int, into pixels: UnsafeMutablePointer<UInt8>?
    ) throws(StorageError) -> (Int, Int, Bool) {
        var (width, height, colour) = (UInt32(0), UInt32(0), Int32(0))
        var text = [CChar](repeating: 0, count: Int(JMSG_LENGTH_MAX))
        guard jpeg_read_picture(bytes, UInt(bytes.count), Int32(channels), pixels, &width, &height, &colour, &text) != 0 else {
            throw broken(path, String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self))
        }
        return (Int(width), Int(height), colour != 0)
    }

    // MARK: - PNG, by libpng's simplified interface, which returns its errors

    private static func pngHeader(_ path: String, _ bytes: [UInt8]) throws(StorageError) -> (Int, Int, Bool) {
        var image = png_image()
        image.version = UInt32(PNG_IMAGE_VERSION)
        defer { png_image_free(&image) }
        guard png_image_begin_read_from_memory(&image, bytes, bytes.count) != 0 else { throw broken(path, message(of: image)) }
        return (Int(image.width), Int(image.height), image.format & UInt32(PNG_FORMAT_FLAG_COLOR) != 0)
    }

    private func pngPixels(_ channels: Int) throws(StorageError) -> [UInt8] {
        var image = png_image()
        image.version = UInt32(PNG_IMAGE_VERSION)
        defer { png_image_free(&image) }
        var pixels = [UInt8](repeating: 0, count: width * height * channels)
        var black = png_color(red: 0, green: 0, blue: 0)
        guard png_image_begin_read_from_memory(&image, bytes, bytes.count) != 0 else { throw Self.broken(path, Self.message(of: image)) }
        image.format = channels == 1 ? 0 : UInt32(PNG_FORMAT_FLAG_COLOR)
        guard png_image_finish_read(&image, &black, &pixels, Int32(width * channels), nil) != 0, image.warning_or_error == 0 else {
            throw Self.broken(path, Self.message(of: image))
        }
        return pixels
    }

    private static func message(of image: png_image) -> String {
        withUnsafeBytes(of: image.message) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    }
}
