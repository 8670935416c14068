import Foundation

/// Small values, built on `gather` and `broadcast` so that all communicators share them. They allocate: not for every
/// layer of a step; once a step is fine.
extension Communicator {
    /// Every rank's value, in the order of ranks.
    public func gather<Value: BitwiseCopyable>(_ value: Value) throws -> [Value] {
        var all = [Value](repeating: value, count: size)
        try withUnsafeBytes(of: value) { mine in
            try all.withUnsafeMutableBytes { try gather(mine, into: $0) }
        }
        return all
    }

    /// Every rank's bytes, of any length each, in the order of ranks.
    public func gather(bytes: [UInt8]) throws -> [[UInt8]] {
        let lengths = try gather(bytes.count)
        let longest = lengths.max() ?? 0
        if longest == 0 { return lengths.map { _ in [] } }
        let padded = bytes + [UInt8](repeating: 0, count: longest - bytes.count)
        var all = [UInt8](repeating: 0, count: longest * size)
        try padded.withUnsafeBytes { mine in
            try all.withUnsafeMutableBytes { try gather(mine, into: $0) }
        }
        return lengths.enumerated().map { rank, length in Array(all[rank * longest ..< rank * longest + length]) }
    }

    /// Every rank's values, of any number each, in the order of ranks.
    public func gather<Value: BitwiseCopyable>(values: [Value]) throws -> [[Value]] {
        try gather(bytes: values.withUnsafeBytes(Array.init)).map { bytes in
            Array(unsafeUninitializedCapacity: bytes.count / MemoryLayout<Value>.stride) { room, count in
                count = bytes.count / MemoryLayout<Value>.stride
                UnsafeMutableRawBufferPointer(room).copyBytes(from: bytes)
            }
        }
    }

    /// Every rank's text, in the order of ranks.
    public func gather(_ text: String) throws -> [String] {
        try gather(bytes: Array(text.utf8)).map { String(decoding: $0, as: UTF8.self) }
    }

    /// Every rank's value, in the order of ranks: as JSON, for what is no plain number.
    public func gather<Value: Codable>(coded value: Value) throws -> [Value] {
        try gather(bytes: Array(JSONEncoder().encode([value]))).map { bytes in
            try JSONDecoder().decode([Value].self, from: Data(bytes))[0]
        }
    }

    /// The value of `root`, on every rank; what the others pass is ignored.
    public func broadcast<Value: Codable>(coded value: Value?, from root: Int = 0) throws -> Value {
        let bytes = try broadcast(bytes: Array(JSONEncoder().encode([value])), from: root)
        return try JSONDecoder().decode([Value].self, from: Data(bytes))[0]
    }

    /// The value of `root`, on every rank.
    public func broadcast<Value: BitwiseCopyable>(_ value: Value, from root: Int = 0) throws -> Value {
        var value = value
        try withUnsafeMutableBytes(of: &value) { try broadcast($0, from: root) }
        return value
    }

    /// The bytes of `root`, on every rank; the other ranks need not know how many (what they pass is ignored).
    public func broadcast(bytes: [UInt8], from root: Int = 0) throws -> [UInt8] {
        let count = try broadcast(bytes.count, from: root)
        if count == 0 { return [] }
        var bytes = rank == root ? bytes : [UInt8](repeating: 0, count: count)
        try bytes.withUnsafeMutableBytes { try broadcast($0, from: root) }
        return bytes
    }

    /// The text of `root`, on every rank.
    public func broadcast(_ text: String, from root: Int = 0) throws -> String {
        String(decoding: try broadcast(bytes: Array(text.utf8), from: root), as: UTF8.self)
    }

    /// The largest value of any rank, on every rank: an agreement to do what the most demanding rank asks for.
    public func maximum(_ value: Int) throws -> Int {
        try gather(value).max() ?? value
    }

    /// True on every rank if it is on any.
    public func any(_ value: Bool) throws -> Bool {
        try maximum(value ? 1 : 0) == 1
    }
}

/// Another rank failed, so this one cannot go on either.
public struct RankFailure: Error, CustomStringConvertible {
    public let rank: Int
    public let message: String
    public var description: String { "rank \(rank) failed: \(message)" }
}
