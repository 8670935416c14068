/// The formats of pictures that are read, told apart by a file's first bytes.
enum PictureFormat: String {
    case png = "PNG", jpeg = "JPEG", webp = "WebP", tiff = "TIFF"

    init?(_ bytes: [UInt8]) {
        if bytes.starts(with: [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]) { self = .png; return }
        if bytes.starts(with: [0xFF, 0xD8, 0xFF]) { self = .jpeg; return }
        if bytes.starts(with: Array("RIFF".utf8)),
            bytes.dropFirst(8).starts(with: Array("WEBP".utf8))
        {
            self = .webp; return
        }
        // The last two are BigTIFF's.
        for text in ["II*\0", "MM\0*", "II+\0", "MM\0+"] where bytes.starts(with: Array(text.utf8)) {
            self = .tiff; return
        }
        return nil
    }
}

/// What a file is by its first bytes, of the formats that are often taken for one that is read; nil where that is not
/// known.
func contentName(_ bytes: some Collection<UInt8>) -> String? {
    func has(_ text: String, at offset: Int = 0) -> Bool { bytes.dropFirst(offset).starts(with: Array(text.utf8)) }
    if let format = PictureFormat(Array(bytes.prefix(16))) { return format.rawValue }
    if has("GIF8") { return "GIF" }
    if has("BM") { return "BMP" }
    if has("8BPS") { return "Photoshop's" }
    if has("ftyp", at: 4) { return has("avi", at: 8) ? "AVIF" : "HEIF, or a film's" }
    if has("\0\0\0\u{C}jP") { return "JPEG 2000" }
    if has("\0\0\0\u{C}JXL") || bytes.starts(with: [0xFF, 0x0A]) { return "JPEG XL" }
    if has("%PDF") { return "PDF" }
    if has("PK\u{3}\u{4}") { return "a zip archive's" }
    if has("BZh") { return "compressed by bzip2" }
    if bytes.starts(with: [0x1F, 0x8B]) { return "compressed by gzip" }
    if bytes.starts(with: [0xFD, 0x37, 0x7A, 0x58, 0x5A]) { return "compressed by xz" }
    if bytes.starts(with: [0x28, 0xB5, 0x2F, 0xFD]) { return "compressed by zstd" }
    if bytes.starts(with: [0x89, 0x48, 0x44, 0x46]) { return "HDF5" }
    if has("version https://git-lfs") { return "a pointer of Git LFS, not the file itself" }
    let start = String(decoding: bytes.prefix(64), as: UTF8.self).drop { $0.isWhitespace || $0 == "\u{FEFF}" }
        .lowercased()
    // Of IDX files only the first four bytes are known.
    return ["<!do", "<htm", "<?xm", "<svg"].contains { start.hasPrefix($0) } ? "a web page or XML" : nil
}
