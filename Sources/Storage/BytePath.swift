/// A path as the bytes that the kernel has for it, which need not be UTF-8: a `String` would change those that are not.
struct BytePath: Sendable {
    /// With a zero at the end.
    let bytes: [CChar]

    init(_ text: String) { bytes = Array(text.utf8CString) }

    private init(bytes: [CChar]) { self.bytes = bytes }

    func appending(_ name: [UInt8]) -> BytePath {
        var path = Array(bytes.dropLast(1))
        path.append(CChar(bitPattern: UInt8(ascii: "/")))
        path += name.map { CChar(bitPattern: $0) }
        return BytePath(bytes: path + [0])
    }

    /// For people: what cannot be shown is written as \xNN.
    var text: String { shownText(bytes.dropLast(1).map { UInt8(bitPattern: $0) }) }
}

/// A file's name as text. Bytes that are not UTF-8, and control characters, which would spoil a line, are written as
/// \xNN.
func shownText(_ name: [UInt8]) -> String {
    func escaped(_ bytes: some Sequence<UInt8>) -> String {
        bytes.map { "\\x" + ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
    var result = "", decoder = Unicode.UTF8.ForwardParser(), iterator = name.makeIterator()
    var rest = name[...]
    while true {
        switch decoder.parseScalar(from: &iterator) {
        case .valid(let code):
            let scalar = Unicode.UTF8.decode(code)
            result += scalar.properties.generalCategory == .control ? escaped(code) : String(Character(scalar))
            rest = rest.dropFirst(code.count)
        case .error(let length):
            result += escaped(rest.prefix(length))
            rest = rest.dropFirst(length)
        case .emptyInput: return result
        }
    }
}
