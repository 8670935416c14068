/// The cyclic redundancy check of Castagnoli et al. 1993 (polynomial 0x1EDC6F41, here reflected): RFC 3720, appendix
/// B.4.
enum CRC32C {
    private static let table: [UInt32] = (0 ..< 256).map { byte in
        (0 ..< 8).reduce(UInt32(byte)) { value, _ in value & 1 == 1 ? value >> 1 ^ 0x82F6_3B78 : value >> 1 }
    }

    static func of(_ bytes: some Sequence<UInt8>) -> UInt32 {
        ~bytes.reduce(~UInt32(0)) { $0 >> 8 ^ table[Int(UInt8(truncatingIfNeeded: $0) ^ $1)] }
    }

    /// As TensorFlow's record files have it: turned and shifted, so that the check of bytes that hold a check is no
    /// special case.
    static func masked(_ bytes: some Sequence<UInt8>) -> UInt32 {
        let check = of(bytes)
        return (check >> 15 | check << 17) &+ 0xA282_EAD8
    }
}
