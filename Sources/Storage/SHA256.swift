import CCrypto

/// SHA-256 (FIPS 180-4) by libcrypto.
package struct SHA256 {
    static let byteCount = 32

    static func digest(_ bytes: UnsafeRawBufferPointer) -> [UInt8] {
        var result = [UInt8](repeating: 0, count: byteCount)
        let code = EVP_Digest(bytes.baseAddress, bytes.count, &result, nil, EVP_sha256(), nil)
        precondition(code == 1, "libcrypto computes no SHA-256")
        return result
    }

    /// The first four bytes of a text's digest, as a number.
    package static func number(of text: String) -> UInt32 {
        Array(text.utf8).withUnsafeBytes(digest).prefix(4).reduce(0) { $0 << 8 | UInt32($1) }
    }

    static func text(_ digest: [UInt8]) -> String {
        let digits = Array("0123456789abcdef")
        return String(digest.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] })
    }
}
