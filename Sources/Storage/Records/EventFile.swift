import Foundation
import Support

/// TensorBoard's log of a run: records, each a length, its check, an `Event` message and the check of that
/// (tensorflow/core/lib/io/record_writer.h, tensorflow/core/util/event.proto, summary.proto).
///
/// A record is written whole by one call, so that a killed run leaves at most one torn record, which the resumed run
/// removes.
public final class EventFile {
    public let path: String
    private let handle: FileHandle

    /// Opens the run's events, or begins them; they are cut back to those up to `step`, so that no step appears twice
    /// after a resume.
    public init(folder: String, keepingThrough step: Int) throws(Failure) {
        path = folder + "/events.out.tfevents.gan-dist"
        do {
            if !FileManager.default.fileExists(atPath: path),
                !FileManager.default.createFile(atPath: path, contents: nil)
            {
                throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO)
            }
            handle = try FileHandle(forUpdating: URL(fileURLWithPath: path))
            let kept = Self.length(of: try handle.readToEnd().map { [UInt8]($0) } ?? [], through: step)
            try handle.truncate(atOffset: UInt64(kept))
            try handle.seekToEnd()
            if kept == 0 { try write { $0.add(3, "brain.Event:2") } }
        } catch let error as Failure {
            throw error
        } catch {
            throw Failure(
                .cannotCreate, "\(path) cannot be opened for writing: \(SystemError.text(of: error)).",
                remedy: SystemError.remedy(of: error, path, writing: true))
        }
    }

    /// The figures of a step under their names.
    public func append(step: Int, scalars: [(name: String, value: Double)]) throws(Failure) {
        try write { event in
            event.add(2, step)
            event.add(5) { summary in
                for (name, value) in scalars {
                    summary.add(1) {
                        $0.add(1, name)
                        $0.add(2, Float(value))
                    }
                }
            }
        }
    }

    /// A picture of a step.
    public func append(step: Int, name: String, picture: Pixels) throws(Failure) {
        let png = try picture.png()
        try write { event in
            event.add(2, step)
            event.add(5) { summary in
                summary.add(1) { value in
                    value.add(1, name)
                    value.add(4) {
                        $0.add(1, picture.height)
                        $0.add(2, picture.width)
                        $0.add(3, picture.channels)
                        $0.add(4, png)
                    }
                }
            }
        }
    }

    private func write(_ body: (inout ProtobufWriter) -> Void) throws(Failure) {
        var event = ProtobufWriter()
        event.add(1, Date().timeIntervalSince1970)
        body(&event)
        let length = Self.littleEndian(UInt64(event.bytes.count))
        let record =
            length + Self.littleEndian(CRC32C.masked(length)) + event.bytes
            + Self.littleEndian(CRC32C.masked(event.bytes))
        do {
            try handle.write(contentsOf: Data(record))
        } catch {
            throw Failure(
                .inputOutput, "\(path) cannot be written: \(SystemError.text(of: error)).",
                remedy: SystemError.remedy(of: error, path, writing: true)
                    + " --resume auto goes on from the newest checkpoint.")
        }
    }

    // MARK: - Cutting back

    /// How many of the bytes are whole records of steps up to `step`.
    private static func length(of bytes: [UInt8], through step: Int) -> Int {
        var end = 0
        while bytes.count - end >= 12 {
            let size = Int(truncatingIfNeeded: number(bytes[end ..< end + 8]))
            guard CRC32C.masked(bytes[end ..< end + 8]) == UInt32(number(bytes[end + 8 ..< end + 12])), size >= 0,
                size <= bytes.count - end - 16
            else { break }
            let event = bytes[end + 12 ..< end + 12 + size]
            guard CRC32C.masked(event) == UInt32(number(bytes[end + 12 + size ..< end + 16 + size])),
                self.step(of: event) <= step
            else { break }
            end += size + 16
        }
        return end
    }

    /// The step of an event that ``append`` wrote: it follows the nine bytes of the time; 0 where there is none.
    private static func step(of event: ArraySlice<UInt8>) -> Int {
        var rest = event.dropFirst(9)
        guard rest.popFirst() == 2 << 3 else { return 0 }
        var (value, shift) = (0, 0)
        while let byte = rest.popFirst(), shift < 63 {
            value |= Int(byte & 0x7F) << shift
            shift += 7
            if byte < 0x80 { break }
        }
        return value
    }

    private static func number(_ bytes: ArraySlice<UInt8>) -> UInt64 {
        bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }

    private static func littleEndian<Value: FixedWidthInteger>(_ value: Value) -> [UInt8] {
        (0 ..< MemoryLayout<Value>.size).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
    }
}
