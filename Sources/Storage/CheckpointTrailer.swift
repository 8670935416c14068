import Support

/// The last 64 bytes of a checkpoint, behind the part that HDF5 reads: what the part must be.
///
///     0  magic, 8 bytes        8  version, u32     12  zero, u32
///     16 length of the HDF5 part, u64              24  its SHA-256, 32 bytes      56  step, u64
///
/// All numbers are little-endian. Every bit matters: the step is also in the HDF5 part, and compared.
struct CheckpointTrailer: Equatable {
    static let byteCount = 64
    static let magic: [UInt8] = [0x89] + Array("GANCKP".utf8) + [0x0a]
    static let version: UInt64 = 1

    let payloadBytes: Int
    let digest: [UInt8]
    let step: Int

    var bytes: [UInt8] {
        Self.magic + Self.little(Self.version, 4) + Self.little(0, 4) + Self.little(UInt64(payloadBytes), 8)
            + digest + Self.little(UInt64(step), 8)
    }

    /// Reads the trailer of a file of `fileBytes` bytes.
    init(_ bytes: ArraySlice<UInt8>, of path: String, fileBytes: Int) throws(Failure) {
        precondition(bytes.count == Self.byteCount, "a trailer of \(bytes.count) bytes")
        let part = { (range: Range<Int>) in
            bytes[bytes.startIndex + range.lowerBound ..< bytes.startIndex + range.upperBound]
        }
        guard Array(part(0 ..< 8)) == Self.magic else {
            throw .badData(
                "\(path) is cut short, or is not a checkpoint of gan-dist: its last 64 bytes are not the trailer.",
                remedy: Self.remedy)
        }
        let version = Self.number(part(8 ..< 12))
        guard version == Self.version, Self.number(part(12 ..< 16)) == 0 else {
            throw .badData(
                "\(path) has a trailer of version \(version); this program reads version \(Self.version).",
                remedy: "Use the version of gan-dist that wrote it, or an older checkpoint.")
        }
        guard Self.number(part(16 ..< 24)) == UInt64(fileBytes - Self.byteCount),
            let step = Int(exactly: Self.number(part(56 ..< 64)))
        else {
            throw .badData("\(path) has \(fileBytes) bytes, not as many as were written.", remedy: Self.remedy)
        }
        (payloadBytes, digest, self.step) = (fileBytes - Self.byteCount, Array(part(24 ..< 56)), step)
    }

    init(payload: UnsafeRawBufferPointer, step: Int) {
        (payloadBytes, digest, self.step) = (payload.count, SHA256.digest(payload), step)
    }

    static let remedy = "Use an older checkpoint of the run (--resume auto finds the newest good one)."

    private static func little(_ value: UInt64, _ count: Int) -> [UInt8] {
        (0 ..< count).map { UInt8(truncatingIfNeeded: value >> (8 * UInt64($0))) }
    }
    private static func number(_ bytes: ArraySlice<UInt8>) -> UInt64 {
        bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }
}
