import Foundation
import Kernels
import Support

/// A file of named float32 arrays in the format of safetensors (github.com/huggingface/safetensors): the length of a
/// header as eight bytes, the header in JSON, then the values of all arrays one after another. What the dimensions of
/// each are stands in the header's metadata.
public enum SafeTensors {
    private struct Entry: Codable {
        let dtype: String
        let shape: [Int]
        let data_offsets: [Int]
    }

    /// Writes arrays under their paths, wholly or not at all; a file of that name is refused.
    public static func write(_ path: String, _ arrays: [CheckpointArray]) throws(Failure) {
        try AtomicFile.refuseExisting(path, replacing: false)
        var header: [String: Any] = [
            "__metadata__": Dictionary(uniqueKeysWithValues: arrays.map { ($0.path, $0.layout) })
        ]
        var end = 0
        for array in arrays {
            header[array.path] = [
                "dtype": "F32", "shape": array.dimensions, "data_offsets": [end, end + 4 * array.count],
            ]
            end += 4 * array.count
        }
        // Names, whole numbers and texts always have a form in JSON. Spaces at its end put the values on a multiple
        // of eight bytes.
        var json = [UInt8](
            try! JSONSerialization.data(withJSONObject: header, options: [.sortedKeys, .withoutEscapingSlashes]))
        json += [UInt8](repeating: UInt8(ascii: " "), count: (8 - json.count % 8) % 8)
        var bytes = (0 ..< 8).map { UInt8(truncatingIfNeeded: json.count >> (8 * $0)) } + json
        bytes.reserveCapacity(bytes.count + end)
        for array in arrays { array.withValues { bytes.append(contentsOf: UnsafeRawBufferPointer($0)) } }
        try bytes.withUnsafeBytesThrowing { (bytes) throws(Failure) in try AtomicFile(path).write(bytes) }
    }

    /// All arrays of a file. Throws 65 where it is not as the format says or holds other than float32, 66 where it
    /// cannot be read.
    public static func read(_ path: String) throws(Failure) -> [CheckpointArray] {
        let file = try InputFile(path)
        guard file.size >= 8 else { throw broken(path, "it has \(file.size) bytes") }
        let length = try bytes(file, at: 0, count: 8).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        guard length <= 100_000_000, Int(length) <= file.size - 8 else {
            throw broken(path, "its header claims \(length) bytes")
        }
        let start = 8 + Int(length)
        guard
            let header = try? JSONSerialization.jsonObject(with: Data(bytes(file, at: 8, count: Int(length))))
                as? [String: Any]
        else {
            throw broken(path, "its header is not JSON")
        }
        let layouts = header["__metadata__"] as? [String: String] ?? [:]
        var arrays: [CheckpointArray] = []
        for (name, description) in header.sorted(by: { $0.key < $1.key }) where name != "__metadata__" {
            arrays.append(try array(name, description, layouts[name] ?? "", file, start))
        }
        return arrays
    }

    private static func array(
        _ name: String, _ description: Any, _ layout: String, _ file: InputFile, _ start: Int
    ) throws(Failure) -> CheckpointArray {
        guard let data = try? JSONSerialization.data(withJSONObject: description, options: .fragmentsAllowed),
            let entry = try? JSONDecoder().decode(Entry.self, from: data)
        else { throw broken(file.path, "'\(name)' is not described as an array") }
        guard entry.dtype == "F32" else {
            throw .badData(
                "\(file.path): '\(name)' holds \(entry.dtype); the parameters here are F32.",
                remedy: "Convert it, in PyTorch with .float().")
        }
        let sizes = entry.shape, ends = entry.data_offsets
        // As floating-point numbers, whose product cannot overflow; beside a size of 0 the others may be any.
        guard sizes.allSatisfy({ $0 >= 0 }), sizes.reduce(1.0, { $0 * Double(max(1, $1)) }) <= 0x1p60, ends.count == 2,
            ends[0] >= 0, ends[1] >= ends[0], ends[1] <= file.size - start,
            sizes.reduce(4.0, { $0 * Double($1) }) == Double(ends[1] - ends[0])
        else {
            throw broken(file.path, "'\(name)' of the shape \(sizes) lies at \(ends)")
        }
        let values = FloatBuffer(count: (ends[1] - ends[0]) / 4)
        try file.read(at: start + ends[0], into: values.values.bytes)
        return CheckpointArray(path: name, dimensions: sizes, layout: layout, values: values.values.array)
    }

    private static func bytes(_ file: InputFile, at offset: Int, count: Int) throws(Failure) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        let result: Result<Void, Failure> = bytes.withUnsafeMutableBytes { buffer in
            Result { () throws(Failure) in try file.read(at: offset, into: buffer) }
        }
        try result.get()
        return bytes
    }

    private static func broken(_ path: String, _ what: String) -> Failure {
        .badData(
            "\(path) is not a safetensors file: \(what).",
            remedy: "Make it again; gan-dist export --format safetensors writes one.")
    }
}
