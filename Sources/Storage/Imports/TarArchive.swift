import Support

/// Files out of a tar archive (POSIX.1-1988, "ustar"), plain or gzip: blocks of 512 bytes, a header and then the
/// content of each.
enum TarArchive {
    private static let block = 512

    /// The contents of the regular files of these names, in whatever folder of the archive they are.
    static func members(of path: String, named names: [String]) throws(Failure) -> [String: [UInt8]] {
        let file = try GzipFile(path)
        var members: [String: [UInt8]] = [:]
        while let header = try file.readIfAny(block, "a header"), header.contains(where: { $0 != 0 }) {
            guard let sum = number(header[148 ..< 156]), sum == checksum(header) else {
                let what = contentName(header).map { "its content is \($0)" } ?? "a header's checksum is wrong"
                throw .badData(
                    "\(path) is not a tar archive, or is damaged: \(what).",
                    remedy: "Copy or download the file again.")
            }
            guard let size = number(header[124 ..< 136]), size <= 1 << 40 else {
                throw .badData(
                    "\(path) is damaged: the size of \(text(header[0 ..< 100])) is no number.",
                    remedy: "Copy or download the file again.")
            }
            let name = text(header[0 ..< 100]).split(separator: "/").last.map(String.init) ?? ""
            let isRegular = header[156] == 0 || header[156] == UInt8(ascii: "0")
            let padded = (size + block - 1) / block * block
            if isRegular, names.contains(name), size <= 1 << 30 {
                members[name] = Array(try file.read(padded, name).prefix(size))
            } else {
                for start in stride(from: 0, to: padded, by: 1 << 20) {
                    _ = try file.read(min(1 << 20, padded - start), name)
                }
            }
        }
        return members
    }

    /// The bytes of a header with its checksum's field as spaces.
    private static func checksum(_ header: [UInt8]) -> Int {
        header.enumerated().reduce(0) { $0 + ((148 ..< 156).contains($1.offset) ? 32 : Int($1.element)) }
    }

    /// A field's number, at most 2⁴⁸: octal digits between spaces, or, as GNU tar writes what is too large for them, a
    /// byte of 128 and then bytes, the highest first. Nil for what is neither.
    private static func number(_ field: ArraySlice<UInt8>) -> Int? {
        if field.first == 0x80 {
            guard field.dropFirst().dropLast(6).allSatisfy({ $0 == 0 }) else { return nil }
            return field.suffix(6).reduce(0) { $0 << 8 | Int($1) }
        }
        let digits = field.prefix { $0 != 0 }.drop { $0 == UInt8(ascii: " ") }.prefix { $0 != UInt8(ascii: " ") }
        guard !digits.isEmpty,
            digits.allSatisfy({ (UInt8(ascii: "0") ... UInt8(ascii: "7")).contains($0) })
        else { return nil }
        return digits.reduce(0) { $0 << 3 | Int($1 - UInt8(ascii: "0")) }
    }

    private static func text(_ field: ArraySlice<UInt8>) -> String {
        String(decoding: field.prefix { $0 != 0 }, as: UTF8.self)
    }
}
