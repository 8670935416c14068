import Support
import Testing
import Yams
@testable import Recipes

@Suite struct NumeralTests {
    private func integer(_ text: String, _ notation: Notation, style: Node.Scalar.Style = .plain) -> Int? {
        try? Numeral.integer(Node.Scalar(text, .implicit, style), notation, allowed: "")
    }

    private func number(_ text: String, _ notation: Notation) -> Double? {
        try? Numeral.number(Node.Scalar(text, .implicit, .plain), notation)
    }

    @Test(
        arguments: [
            // text, on the command line, in a file, in what was stored
            ("10", 10, 10, 10), ("010", 10, nil, 8), ("007", 7, 7, 7), ("089", 89, nil, nil), ("-012", -12, nil, -10),
            ("+3", 3, 3, 3), ("00", 0, 0, 0),
            ("1:30", nil, nil, 90), ("1_000", nil, nil, 1000), ("0x10", nil, 16, 16), ("0o17", nil, nil, 15),
            ("1e3", nil, nil, nil), ("2.0", nil, nil, nil),
            ("99999999999999999999", nil, nil, nil), ("1 0", nil, nil, nil), ("", nil, nil, nil), ("-", nil, nil, nil),
            ("１０", nil, nil, nil),
        ] as [(String, Int?, Int?, Int?)])
    func wholeNumbers(text: String, commandLine: Int?, file: Int?, stored: Int?) {
        #expect(integer(text, .commandLine) == commandLine)
        #expect(integer(text, .file) == file)
        // What was read once is not refused now; what was not, may be.
        if let stored { #expect(integer(text, .stored) == stored) }
        #expect(integer(text, .file, style: .singleQuoted) == nil)
    }

    @Test(
        arguments: [
            ("1e-4", 1e-4), ("1E5", 1e5), (".5", 0.5), ("1.", 1), ("+.5", 0.5), ("2.E-4", 2e-4), ("1.0e+3", 1000),
            ("-3", -3), ("010.5", 10.5),
            (".inf", nil), ("nan", nil), ("inf", nil), ("1e999", nil), ("1e-999", nil), ("0e-999", 0), ("1:30.5", nil),
            ("1_0.5", nil), ("0x1p3", nil), ("1e", nil), (".", nil), ("1.2.3", nil),
        ] as [(String, Double?)])
    func numbers(text: String, value: Double?) {
        #expect(number(text, .commandLine) == value)
        #expect(number(text, .file) == value)
    }

    @Test func aRefusalSaysWhatToWrite() {
        func remedy(_ text: String, _ notation: Notation) -> String? {
            do throws(Misreading) {
                _ = try Numeral.integer(Node.Scalar(text, .implicit, .plain), notation, allowed: "0 … 9"); return nil
            } catch { return error.problem + " " + error.remedy }
        }
        #expect(
            remedy("010", .file)?.contains("is 8 by YAML 1.1") == true
                && remedy("010", .file)?.contains("Write 10 or 8") == true)
        #expect(
            remedy("1e3", .commandLine)?.contains("1000") == true
                && remedy("0x10", .commandLine)?.contains("16") == true)
        #expect(remedy("99999999999999999999", .file)?.contains("outside 0 … 9") == true)
    }

    @Test(
        arguments: [
            ("90:00", 5400), ("30:00", 1800), ("1:30:00", 5400), ("1-02:00:00", 93_600), ("2-3", 183_600),
            ("0-1:30", 5400), ("00:90:61", 5461), ("00:00:06", 6),
            ("99999999999999999999:00:00", 3600e20 - 3600),
            ("90", nil), ("0", nil), ("0:00", nil), ("-5", nil), ("1:-5", nil), ("1-", nil), ("-1:00", nil),
            ("1:2:3:4", nil), ("1.5:00", nil), ("", nil), (":", nil), ("1-2-3", nil), ("1h", nil),
        ] as [(String, Double?)])
    func walltimes(text: String, seconds: Double?) {
        let found = try? Walltime.seconds(text)
        #expect(seconds == nil ? found == nil : abs((found ?? 0) / seconds! - 1) < 1e-12)
    }

    @Test func aBareWalltimeIsSpelledOutBothWays() {
        #expect { _ = try Walltime.seconds("90") } throws: {
            "\($0)".contains("01:30:00") && "\($0)".contains("00:01:30")
        }
    }

    /// What is written is read back as it was, whatever a text looks like.
    @Test(arguments: [
        "on", "1e5", "null", "~", "12:30:45", "2026-01-01", "=", "0o7", "0x1", "<<", "a: b", "a #b", " a", "a ", "a\nb",
        "a\n", "\t", "ü", "\u{85}\u{2028}\u{FEFF}", "'", "\"", "\\", "- a", "[", "*a", "&a", "!a", "%a", "@a", "`a",
        ".5", "/", "🎲", "it's",
    ])
    func textsAreReadBack(text: String) throws {
        var tree = try ConfigurationTree(yaml: ConfigurationTests.small, source: "test")
        try tree.apply(Setting("--data", "data.dataset", text, isText: true))
        let first = try Configuration(tree: tree)
        #expect(first.data.dataset == text)
        for second in [
            try Configuration(stored: first.yaml, source: "printed"),
            try Configuration(yaml: first.yaml, source: "printed"),
        ] {
            #expect(second.data.dataset == text && second.yaml == first.yaml)
        }
    }

    /// Depth is refused before the parser goes down it; an alias that multiplies costs nothing that is not asked for.
    @Test func noTextOverflowsTheStack() {
        let laughs =
            "a: &a [x]\n"
            + (0 ..< 30).map {
                "b\($0): &b\($0) [" + Array(repeating: $0 == 0 ? "*a" : "*b\($0 - 1)", count: 10).joined(separator: ",")
                    + "]\n"
            }.joined()
        for yaml in [
            String(repeating: "[", count: 1_000_000), String(repeating: "{a: ", count: 300_000),
            String(repeating: "- ", count: 300_000), laughs,
            (0 ..< 2000).map { String(repeating: " ", count: $0) + "a:\n" }.joined(),
        ] {
            #expect(throws: Failure.self) { try Configuration(yaml: yaml, source: "test") }
        }
    }
}
