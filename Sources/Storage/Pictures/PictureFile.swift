import CPictures
import Glibc
import Support

/// A PNG, JPEG, WebP or TIFF file in memory, told apart by its first bytes.
struct PictureFile {
    let path: String
    /// As it is stored, before it is turned.
    let width: Int
    let height: Int
    /// Whether it has more than shades of grey.
    let hasColour: Bool
    /// Whether it may let the background through.
    let isTransparent: Bool
    private let bytes: [UInt8]
    private let format: PictureFormat
    private let header: picture

    /// More pixels than any camera's picture has; a claim of more is taken for damage.
    private static let mostPixels = 1 << 28

    init(_ path: String) throws(Failure) { try self.init(BytePath(path)) }

    /// Reads the file and its header. Throws 65 with what the library says where it is no picture, 66 where it cannot
    /// be read.
    init(_ location: BytePath) throws(Failure) {
        path = location.text
        let file = try InputFile(location)
        guard file.size <= 1 << 28 else { throw Self.broken(path, "it has \(file.size) bytes") }
        bytes = try file.read(at: 0, count: file.size)
        guard let format = PictureFormat(bytes) else {
            let what =
                contentName(bytes).map { "its content is \($0)" }
                ?? "its first bytes are not those of a PNG, JPEG, WebP or TIFF file"
            throw Self.broken(path, bytes.isEmpty ? "it is empty" : what)
        }
        self.format = format
        var picture = picture()
        try format.read(path, bytes, &picture, nil)
        header = picture
        (width, height) = (Int(picture.width), Int(picture.height))
        (hasColour, isTransparent) = (picture.colour != 0, picture.alpha != PICTURE_OPAQUE.rawValue)
        guard (1 ... Self.mostPixels).contains(width * height), !format.isTooShort(bytes.count, for: picture) else {
            throw Self.broken(path, "it claims \(width) × \(height) pixels")
        }
    }

    /// Its pixels, 1 or 3 bytes each, on `background`.
    func raster(channels: Int, background: Background) throws(Failure) -> Raster {
        var picture = header
        let count = width * height * max(channels, Int(picture.components))
        guard let memory = malloc(count) else {
            throw Self.tooLarge(path, "it has \(width) × \(height) pixels, and there is no room for \(count) bytes")
        }
        let raster = Raster(
            memory.assumingMemoryBound(to: UInt8.self), width: width, height: height,
            channels: channels)
        try format.read(path, bytes, &picture, raster.bytes)
        raster.orientation = Int(picture.orientation)
        raster.flatten(picture, on: background)
        return raster
    }

    fileprivate static func tooLarge(_ path: String, _ what: String) -> Failure {
        Failure(
            .inputOutput, "\(path) cannot be decoded: \(what).",
            remedy: "Allow the job more memory (ulimit -v, or the batch system's limit), or make the picture smaller.")
    }

    fileprivate static func broken(_ path: String, _ what: String) -> Failure {
        .badData(
            "\(path) is not a picture that can be read: \(what).",
            remedy: "Mend or remove it, or leave out what is broken with --skip-broken.")
    }
}

extension PictureFormat {
    /// Describes the picture, and reads its pixels where `pixels` is not nil.
    fileprivate func read(
        _ path: String, _ bytes: [UInt8], _ picture: inout picture, _ pixels: UnsafeMutablePointer<UInt8>?
    ) throws(Failure) {
        var text = [CChar](repeating: 0, count: Int(PICTURE_TEXT))
        let done =
            switch self {
            case .png: picture_read_png(bytes, bytes.count, &picture, pixels, &text)
            case .jpeg: picture_read_jpeg(bytes, bytes.count, &picture, pixels, &text)
            case .webp: picture_read_webp(bytes, bytes.count, &picture, pixels, &text)
            case .tiff: picture_read_tiff(bytes, bytes.count, &picture, pixels, &text)
            }
        guard done != 0 else {
            let reason = String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
            // "Insufficient memory", "Out of memory": the picture may be good.
            if reason.lowercased().contains("memory") { throw PictureFile.tooLarge(path, reason) }
            throw PictureFile.broken(path, reason)
        }
    }

    /// Whether a file of so few bytes cannot hold what it claims: deflate makes at most 1,032 bytes of one, and a pixel
    /// may be one bit.
    fileprivate func isTooShort(_ size: Int, for picture: picture) -> Bool {
        self == .png && Int(picture.width) * Int(picture.height) / 8 > size * 1032
    }
}
