@testable import Storage
import Testing

@Suite struct RecordTests {
    /// RFC 3720, appendix B.4, and the check value of the polynomial's catalogues.
    @Test func checksAreThoseOfTheRFC() {
        #expect(CRC32C.of([UInt8](repeating: 0, count: 32)) == 0x8A91_36AA)
        #expect(CRC32C.of([UInt8](repeating: 0xFF, count: 32)) == 0x62A8_AB43)
        #expect(CRC32C.of((0 ..< 32).map { UInt8($0) }) == 0x46DD_794E)
        #expect(CRC32C.of("123456789".utf8) == 0xE306_9283)
    }

    /// The examples of protobuf.dev/programming-guides/encoding.
    @Test func messagesAreEncodedAsTheGuideSays() {
        var number = ProtobufWriter()
        number.add(1, 150)
        #expect(number.bytes == [0x08, 0x96, 0x01])
        var text = ProtobufWriter()
        text.add(2, "testing")
        #expect(text.bytes == [0x12, 0x07] + Array("testing".utf8))
        var nested = ProtobufWriter()
        nested.add(3) { $0.add(1, 150) }
        #expect(nested.bytes == [0x1A, 0x03, 0x08, 0x96, 0x01])
        var negative = ProtobufWriter()
        negative.add(1, -2)
        #expect(negative.bytes == [0x08, 0xFE] + [UInt8](repeating: 0xFF, count: 8) + [0x01])
        var fixed = ProtobufWriter()
        fixed.add(1, 1.0)
        fixed.add(2, Float(1))
        #expect(fixed.bytes == [0x09, 0, 0, 0, 0, 0, 0, 0xF0, 0x3F, 0x15, 0, 0, 0x80, 0x3F])
    }
}
