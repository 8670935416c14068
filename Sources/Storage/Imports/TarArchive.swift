/// Files out of a tar archive (POSIX.1-1988, "ustar"), plain or gzip: blocks of 512 bytes, a header and then the content of each.
enum TarArchive {
    private static let block = 512

    /// The contents of the regular files of these names, in whatever folder of the archive they are.
    static func members(of path: String, named names: [String]) throws(StorageError) -> [String: [UInt8]] {
        let file = try GzipFile(path)
        var members: [String: [UInt8]] = [:]
        while let header = try file.readIfAny(block, "a header"), header.contains(where: { $0 != 0 }) {
            guard let size = octal(header[124 ..< 136]), let sum = octal(header[148 ..< 156]), sum == checksum(header) else {
                throw .badData("\(path) is not a tar archive, or is damaged: a header's checksum is wrong.", remedy: "Copy or download the file again.")
            }
            let name = text(header[0 ..< 100]).split(separator: "/").last.map(String.init) ?? ""
            let isRegular = header[156] == 0 || header[156] == UInt8(ascii: "0")
            let padded = (size + block - 1) / block * block
            if isRegular, names.contains(name), size <= 1 << 30 {
                members[name] = Array(try file.read(padded, name).prefix(size))
            } else {
                for start in stride(from: 0, to: padded, by: 1 << 20) { _ = try file.read(min(1 << 20, padded - start), name) }
            }
        }
        return members
    }

    /// The bytes of a header with its checksum's field as spaces.
    private static func checksum(_ header: [UInt8]) -> Int {
        header.enumerated().reduce(0) { $0 + ((148 ..< 156).contains($1.offset) ? 32 : Int($1.element)) }
    }

    private static func octal(_ field: ArraySlice<UInt8>) -> Int? {
        Int(text(field).trimmingPrefix { $0 == " " }.prefix { $0 != " " }, radix: 8)
    }

    private static func text(_ field: ArraySlice<UInt8>) -> String { String(decoding: field.prefix { $0 != 0 }, as: UTF8.self) }
}
