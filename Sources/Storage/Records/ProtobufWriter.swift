/// The bytes of a message of Protocol Buffers (protobuf.dev/programming-guides/encoding), field by field: what
/// TensorBoard's events and ONNX models are made of.
public struct ProtobufWriter: Sendable {
    public private(set) var bytes: [UInt8] = []

    public init() {}

    private enum WireType: UInt64 { case varint = 0, eightBytes = 1, length = 2, fourBytes = 5 }

    private mutating func key(_ field: Int, _ type: WireType) { varint(UInt64(field) << 3 | type.rawValue) }

    private mutating func varint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }

    /// int32, int64, uint64, bool and enum.
    public mutating func add(_ field: Int, _ value: Int) {
        key(field, .varint)
        varint(UInt64(bitPattern: Int64(value)))
    }

    public mutating func add(_ field: Int, _ value: Double) {
        key(field, .eightBytes)
        withUnsafeBytes(of: value.bitPattern.littleEndian) { bytes.append(contentsOf: $0) }
    }

    public mutating func add(_ field: Int, _ value: Float) {
        key(field, .fourBytes)
        withUnsafeBytes(of: value.bitPattern.littleEndian) { bytes.append(contentsOf: $0) }
    }

    public mutating func add(_ field: Int, _ value: [UInt8]) {
        key(field, .length)
        varint(UInt64(value.count))
        bytes.append(contentsOf: value)
    }

    public mutating func add(_ field: Int, _ value: String) { add(field, Array(value.utf8)) }

    /// A message within this one.
    public mutating func add(_ field: Int, _ body: (inout ProtobufWriter) -> Void) {
        var message = ProtobufWriter()
        body(&message)
        add(field, message.bytes)
    }
}
