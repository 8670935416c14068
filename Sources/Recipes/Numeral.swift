import Yams

/// How the numbers of a configuration are written: it depends on where they stand.
public enum Notation: Sendable {
    /// The command line: decimal and nothing else, with leading zeros or without.
    case commandLine
    /// A file, which other programs read by YAML 1.1 or by 1.2: what these take for different numbers is refused.
    case file
    /// What this program wrote, older versions of it as the user had: by YAML 1.1, as it was read then.
    case stored
}

/// Why a scalar is not the number that is wanted, and what to do.
struct Misreading: Error {
    let problem: String
    let remedy: String
}

/// The numbers that scalars of a configuration stand for.
enum Numeral {
    /// Throws for everything but a whole number that an Int holds; `allowed` stands in the message of a larger one.
    static func integer(_ scalar: Node.Scalar, _ notation: Notation, allowed: String) throws(Misreading) -> Int {
        let text = scalar.string
        if notation == .stored, let value = Int.construct(from: scalar) { return value }
        try refuseQuoted(scalar, "a whole number")
        if isDigits(unsigned(text)) {
            if notation == .file { try refuseTwoReadings(text) }
            if let value = Int(text) { return value }
            throw Misreading(problem: "\(text) is outside \(allowed)", remedy: "Give a whole number within that range.")
        }
        if notation == .file, let value = hexadecimal(text) { return value }
        throw Misreading(
            problem: "'\(text)' is not a whole number",
            remedy: inDigits(text).map { "Write it in digits: \($0)." } ?? "Give a whole number.")
    }

    /// Throws for everything but a finite number.
    static func number(_ scalar: Node.Scalar, _ notation: Notation) throws(Misreading) -> Double {
        let text = scalar.string
        if notation == .stored, let value = Double.construct(from: scalar), value.isFinite { return value }
        try refuseQuoted(scalar, "a number")
        if isDecimal(text) {
            if notation == .file, isDigits(unsigned(text)) { try refuseTwoReadings(text) }
            let value = Double(text) ?? .infinity
            let digits = text.prefix { $0 != "e" && $0 != "E" }
            guard value.isFinite else {
                throw Misreading(problem: "\(text) is too large for a number", remedy: "Give one below 1.0e308.")
            }
            guard value != 0 || !digits.contains(where: { ("1" ... "9").contains($0) }) else {
                throw Misreading(
                    problem: "\(text) is too small to be told from 0",
                    remedy: "Write 0, or one above 1.0e-308.")
            }
            return value
        }
        if notation == .file, let value = hexadecimal(text) { return Double(value) }
        throw Misreading(
            problem: "'\(text)' is not a finite number",
            remedy: inDigits(text).map { "Write it in digits: \($0)." } ?? "Give a number such as 0.0002.")
    }

    /// `1.0e-05`, not `1e-05`: YAML 1.1, which Python's reader follows, takes a number without a dot for a text.
    static func text(_ value: Double) -> String {
        let text = String(value)
        guard let exponent = text.firstIndex(of: "e"), !text.contains(".") else { return text }
        return text[..<exponent] + ".0" + text[exponent...]
    }

    private static func refuseQuoted(_ scalar: Node.Scalar, _ wanted: String) throws(Misreading) {
        guard scalar.style != .any, scalar.style != .plain else { return }
        throw Misreading(
            problem: "'\(scalar.string)' in quotes is a text, not \(wanted)",
            remedy: isDecimal(scalar.string) ? "Write it without the quotes." : "Give \(wanted).")
    }

    /// `010` is 8 by YAML 1.1 and 10 by YAML 1.2; `007` is 7 by both.
    private static func refuseTwoReadings(_ text: String) throws(Misreading) {
        let digits = unsigned(text), sign = text.hasPrefix("-") ? "-" : ""
        guard digits.count > 1, digits.hasPrefix("0") else { return }
        let decimal = digits.drop { $0 == "0" }
        let octal = Int(digits, radix: 8)
        if octal == (decimal.isEmpty ? 0 : Int(decimal)) { return }
        let older = octal.map { "\(sign)\($0)" } ?? "a text"
        throw Misreading(
            problem:
                "'\(text)' is \(older) by YAML 1.1, as Python's reader takes it, and \(sign)\(decimal) by YAML 1.2",
            remedy: "Write \(sign)\(decimal)\(octal.map { " or \(sign)\($0)" } ?? ""), without a zero before it.")
    }

    /// Digits for a whole number in a form that is not read: `1e3`, `1_000`, `0x10`, `0o17`.
    private static func inDigits(_ text: String) -> String? {
        let plain = text.replacing("_", with: "")
        if isDigits(unsigned(plain)) { return Int(plain).map(String.init) }
        if let value = hexadecimal(text) { return String(value) }
        for (prefix, radix) in [("0o", 8), ("0b", 2)] where plain.hasPrefix(prefix) {
            return Int(plain.dropFirst(2), radix: radix).map(String.init)
        }
        guard isDecimal(plain), let value = Double(plain) else { return nil }
        return Int(exactly: value).map(String.init)
    }

    private static func hexadecimal(_ text: String) -> Int? {
        let digits = unsigned(text)
        guard digits.hasPrefix("0x"), digits.dropFirst(2).first?.isHexDigit == true,
            let value = Int(digits.dropFirst(2), radix: 16)
        else {
            return nil
        }
        return text.hasPrefix("-") ? -value : value
    }

    private static func unsigned(_ text: String) -> Substring {
        text.hasPrefix("-") || text.hasPrefix("+") ? text.dropFirst() : text[...]
    }

    private static func isDigits(_ text: Substring) -> Bool {
        !text.isEmpty && text.utf8.allSatisfy { (48 ... 57).contains($0) }
    }

    /// `3`, `3.`, `.5`, `3.5e-7`, with a sign or without.
    static func isDecimal(_ text: String) -> Bool {
        let parts = unsigned(text).split(maxSplits: 1, omittingEmptySubsequences: false) { $0 == "e" || $0 == "E" }
        if parts.count == 2, !isDigits(unsigned(String(parts[1]))) { return false }
        let digits = parts[0].split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        return digits.allSatisfy { $0.isEmpty || isDigits($0) } && digits.contains { !$0.isEmpty }
    }
}

extension Node {
    static func integer(_ value: Int) -> Node { Node(String(value), Tag(.int)) }

    static func number(_ value: Double) -> Node { Node(Numeral.text(value), Tag(.float)) }

    /// A text, in quotes where a reader of YAML 1.1 or 1.2 may take it for something else: `on`, `1e5`, `12:30:45`,
    /// `2026-01-01`, `=`.
    static func text(_ value: String) -> Node {
        let words = ["true", "false", "yes", "no", "on", "off", "y", "n", "null"]
        let isPlain =
            value.first.map { "/" == $0 || $0.isASCII && $0.isLetter } == true
            && value.utf8.allSatisfy {
                UInt8(ascii: "a") ... UInt8(ascii: "z") ~= $0 | 0x20 || UInt8(ascii: "0") ... UInt8(ascii: "9") ~= $0
                    || "/_.-+".utf8.contains($0)
            }
            && !words.contains(value.lowercased())
        if isPlain { return Node(value, Tag(.str), .plain) }
        // A line break, or a blank at an end, is kept by double quotes alone.
        let isOneLine =
            value.unicodeScalars.allSatisfy { (" " ... "~").contains($0) } && !value.hasPrefix(" ")
            && !value.hasSuffix(" ")
        return Node(value, Tag(.str), isOneLine ? .singleQuoted : .doubleQuoted)
    }
}
