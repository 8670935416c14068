import Storage
import Support
import Yams

extension Configuration.DataSettings {
    /// How the run mixes examples. A checkpoint without these keys is of a program that mixed all with all.
    public var shuffle: Shuffle {
        guard let shuffleBlock, shuffleBlock > 1 else { return .samples }
        return Shuffle(block: shuffleBlock, window: shuffleWindow ?? 1)
    }
}

/// A number of bytes as people write it.
public enum ByteCount {
    private static let units: [(name: String, bytes: Double)] = [
        ("KIB", 0x1p10), ("MIB", 0x1p20), ("GIB", 0x1p30), ("TIB", 0x1p40), ("KB", 1e3), ("MB", 1e6), ("GB", 1e9),
        ("TB", 1e12), ("B", 1),
    ]

    /// `4 GB`, `512MiB`, `1000000`; nil where it is none of at most 2^60 bytes.
    public static func parse(_ text: String) -> Int? {
        let word = text.uppercased().filter { $0 != " " && $0 != "_" }
        let unit = units.first { word.hasSuffix($0.name) }
        guard let number = Double(word.dropLast(unit?.name.count ?? 0)), number.isFinite, number >= 0 else {
            return nil
        }
        let bytes = number * (unit?.bytes ?? 1)
        return bytes <= 0x1p60 ? Int(bytes) : nil
    }
}

extension Section {
    /// A number of bytes, with or without a unit.
    func bytes(_ key: String, default standard: Int, meaning: String) throws(Failure) -> Int {
        note(key, "bytes, such as `4 GB` or `512 MiB`", default: .integer(standard), meaning: meaning)
        guard let node = node(key) else {
            record(key, Node(String(standard), Tag(.int)))
            return standard
        }
        guard case .scalar = node, let text = node.string, let bytes = ByteCount.parse(text) else {
            throw wrong(key, node, "a number of bytes, such as 4 GB or 512 MiB")
        }
        record(key, node)
        return bytes
    }
}
