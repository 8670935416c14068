import Support

/// What differs between two checkpoints.
public struct CheckpointDifference: Sendable, Equatable, CustomStringConvertible {
    public enum Kind: Sendable, Equatable {
        /// Only the first file has it.
        case onlyInFirst
        case onlyInSecond
        case dimensions([Int], [Int])
        /// How many values differ in any bit, and the largest difference (NaN where one is not a number).
        case values(count: Int, largest: Double)
        case type(String, String)
        case attribute(String, String)
    }

    /// The array's path, or the attribute's name with "@" before it.
    public let path: String
    public let kind: Kind

    public var description: String {
        switch kind {
        case .onlyInFirst: "\(path): only in the first"
        case .onlyInSecond: "\(path): only in the second"
        case .dimensions(let first, let second): "\(path): dimensions \(first) and \(second)"
        case .values(let count, let largest): "\(path): \(count) values differ, by at most \(largest)"
        case .type(let first, let second): "\(path): \(first) and \(second)"
        case .attribute(let first, let second): "\(path): \(first.prefix(60)) and \(second.prefix(60))"
        }
    }
}

public enum CheckpointDiff {
    /// The attributes that are part of the training state; who wrote the file, when and on how many ranks is not.
    public static let attributes = ["step", "epoch", "samples_seen", "seed", "shards"]

    /// Compares every array bit by bit, and the named attributes. Nothing is the same training state.
    public static func run(
        _ first: CheckpointContents, _ second: CheckpointContents, attributes: [String] = attributes
    ) -> [CheckpointDifference] {
        var differences: [CheckpointDifference] = []
        for name in attributes where first.attribute(name) != second.attribute(name) {
            let texts = [first, second].map { $0.attribute(name)?.description ?? "missing" }
            differences.append(CheckpointDifference(path: "@" + name, kind: .attribute(texts[0], texts[1])))
        }
        let others = Dictionary(second.arrays.map { ($0.path, $0) }, uniquingKeysWith: { first, _ in first })
        for array in first.arrays {
            let kind = others[array.path].map { compare(array, $0) } ?? .onlyInFirst
            if let kind { differences.append(CheckpointDifference(path: array.path, kind: kind)) }
        }
        let known = Set(first.arrays.map(\.path))
        for array in second.arrays where !known.contains(array.path) {
            differences.append(CheckpointDifference(path: array.path, kind: .onlyInSecond))
        }
        return differences
    }

    /// Reads and compares two files.
    public static func run(_ first: String, _ second: String) throws(Failure) -> [CheckpointDifference] {
        run(try CheckpointFile.read(first), try CheckpointFile.read(second))
    }

    private static func compare(_ first: CheckpointArray, _ second: CheckpointArray) -> CheckpointDifference.Kind? {
        guard first.dimensions == second.dimensions else { return .dimensions(first.dimensions, second.dimensions) }
        switch (first.doubles, second.doubles) {
        case (let a?, let b?):
            return compare(count: a.count) { a[$0].bitPattern == b[$0].bitPattern ? nil : abs(a[$0] - b[$0]) }
        case (nil, nil):
            return first.withValues { a in
                second.withValues { b in
                    compare(count: a.count) {
                        a[$0].bitPattern == b[$0].bitPattern ? nil : abs(Double(a[$0]) - Double(b[$0]))
                    }
                }
            }
        default:
            return .type(first.doubles == nil ? "float32" : "float64", second.doubles == nil ? "float32" : "float64")
        }
    }

    /// `difference`: nil where value `index` has the same bits in both.
    private static func compare(count all: Int, _ difference: (Int) -> Double?) -> CheckpointDifference.Kind? {
        var count = 0, largest = 0.0
        for index in 0 ..< all {
            guard let difference = difference(index) else { continue }
            count += 1
            largest = largest.isNaN || difference.isNaN ? .nan : max(largest, difference)
        }
        return count == 0 ? nil : .values(count: count, largest: largest)
    }
}
