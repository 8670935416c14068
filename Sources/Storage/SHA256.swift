import CCrypto

/// SHA-256 (FIPS 180-4) by libcrypto.
struct SHA256 {
    static let byteCount = 32

    static func digest(_ bytes: UnsafeRawBufferPointer) -> [UInt8] {
        var result = [UInt8](repeating: 0, count: byteCount)
        let code = EVP_Digest(bytes.baseAddress, bytes.count, &result, nil, EVP_sha256(), nil)
        precondition(code == 1, "libcrypto computes no SHA-256")
        return result
    }

    static func text(_ digest: [UInt8]) -> String {
        let digits = Array("0123456789abcdef")
        return String(digest.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] })
    }
}
