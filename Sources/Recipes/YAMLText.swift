import Yams

/// Text in YAML as a tree of nodes, or why it is none, in words that name the line.
enum YAMLText {
    /// Brackets within brackets, and indented lines within indented lines: the parser goes down by calling itself.
    private static let deepest = 200

    /// Nil for a text of nothing but comments. `problem` of what is thrown begins with the line where there is one.
    static func compose(_ text: String, _ notation: Notation) throws(Misreading) -> Node? {
        try refuseDepth(text)
        let root: Node?
        do {
            root = try Yams.compose(yaml: text)
        } catch let error as YamlError {
            throw misreading(error, text)
        } catch {
            throw Misreading(problem: "it is not YAML: \(error)", remedy: "Mend it.")
        }
        if let root, notation != .stored { try refuseTags(root) }
        return root
    }

    private static func refuseDepth(_ text: String) throws(Misreading) {
        var brackets = 0, line = 1, indentation = 0, isBegun = false
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\n"), UInt8(ascii: "\r"):
                if byte == UInt8(ascii: "\n") { line += 1 }
                (indentation, isBegun) = (0, false)
            case UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "-"), UInt8(ascii: "?"), UInt8(ascii: ":"):
                if !isBegun { indentation += 1 }
            default:
                isBegun = true
                if byte == UInt8(ascii: "[") || byte == UInt8(ascii: "{") { brackets += 1 }
                if byte == UInt8(ascii: "]") || byte == UInt8(ascii: "}") { brackets = max(0, brackets - 1) }
            }
            // A list of lists takes two columns a level.
            guard brackets <= deepest, indentation <= 2 * deepest else {
                throw Misreading(
                    problem: "line \(line): it is nested more than \(deepest) deep",
                    remedy: "A configuration has a handful of levels: check the brackets and the indentation.")
            }
        }
    }

    /// What `!!int` or `!Thing` would make of a value, no key wants.
    private static func refuseTags(_ root: Node) throws(Misreading) {
        // An alias is a copy of its anchor's node: of a few lines they make any number.
        var left = [root], seen = 0
        while let node = left.popLast(), seen < 100_000 {
            seen += 1
            switch node {
            case .scalar(let scalar):
                try refuse(scalar.style == .plain ? scalar.tag : Tag(.implicit), scalar.mark)
            case .sequence(let sequence):
                try refuse(sequence.tag, sequence.mark)
                left += sequence
            case .mapping(let mapping):
                try refuse(mapping.tag, mapping.mark)
                for (key, value) in mapping {
                    if key.string == "<<" {
                        throw Misreading(
                            problem: "\(place(key.mark))'<<' is not of YAML 1.2",
                            remedy: "Write out the keys that it would merge in.")
                    }
                    left.append(value)
                }
            case .alias: break
            }
        }
    }

    private static func refuse(_ tag: Tag, _ mark: Mark?) throws(Misreading) {
        guard !["", Tag.Name.str.rawValue].contains(tag.rawValue) else { return }
        let name = tag.rawValue.replacing("tag:yaml.org,2002:", with: "!!")
        throw Misreading(
            problem: "\(place(mark))the tag \(name) is not read here",
            remedy: "Remove it: each key knows what its value is.")
    }

    private static func place(_ mark: Mark?) -> String { mark.map { "line \($0.line): " } ?? "" }

    // MARK: - The parser's errors

    private static func misreading(_ error: YamlError, _ text: String) -> Misreading {
        switch error {
        case .scanner(let context, let problem, let mark, _), .parser(let context, let problem, let mark, _),
            .composer(let context, let problem, let mark, _):
            let (words, remedy) = explain(problem, at: character(mark, text))
            // Of a quote or a bracket that nothing closes the end of the file says little.
            let start =
                context.map { words.contains("not closed") ? "; what is open began on line \($0.mark.line)" : "" } ?? ""
            return Misreading(problem: "line \(mark.line), column \(mark.column): \(words)\(start)", remedy: remedy)
        case .duplicatedKeysInMapping(let keys, let context):
            let key = keys.first ?? ""
            let again = line(of: key, after: context.mark, in: text).map { " and again on line \($0)" } ?? ""
            return Misreading(
                problem:
                    "line \(context.mark.line): the key '\(key)' is there twice: on line "
                    + "\(context.mark.line)\(again.isEmpty ? ", and again" : again)",
                remedy: "Keep one of the two.")
        case .reader(let problem, let offset, _, _):
            let line = offset.map { 1 + text.prefix($0).count(where: \.isNewline) }
            let words =
                problem.hasPrefix("control characters") ? "there is a control character, which no text has" : problem
            return Misreading(
                problem: (line.map { "line \($0): " } ?? "") + words,
                remedy: "Name a text file in YAML, encoded in UTF-8.")
        default:
            return Misreading(problem: "\(error)", remedy: "Mend it.")
        }
    }

    /// libyaml's sentence in the words of a user.
    private static func explain(_ problem: String, at character: Character?) -> (words: String, remedy: String) {
        let brackets = (
            "a bracket is not closed, or a comma is missing", "Close it with ] or }, with commas between the values."
        )
        let indentation = (
            "it is not indented as the lines before it are",
            "Give the keys of one group the same number of blanks before them."
        )
        return switch problem {
        case "found character that cannot start any token" where character == "\t":
            ("a tab stands where YAML wants blanks", "Indent with blanks.")
        case "found character that cannot start any token":
            ("no value begins with '\(character.map(String.init) ?? "")'", "Put the text in quotes.")
        case "mapping values are not allowed in this context":
            (
                "a second ': ' on the line, or a line that is indented too far",
                "Put a text with ': ' in quotes, and keys of one group below each other."
            )
        case "could not find expected ':'": ("a key without ': ' after it", "Write it as 'key: value'.")
        case "found unexpected end of stream": ("a quote is not closed", "Close it.")
        case "found undefined alias":
            (
                "there is no anchor of this alias before it",
                "Write the value out, or put a text that begins with * in quotes."
            )
        case "found unknown escape character":
            ("no such escape after a backslash", "Use single quotes, in which a backslash is a backslash.")
        case "but found another document":
            ("a second document begins", "Keep one: a configuration is all before the second '---'.")
        case "did not find expected ',' or ']'", "did not find expected ',' or '}'": brackets
        case "did not find expected node content": ("a value is missing, or a bracket is not closed", brackets.1)
        case "did not find expected key", "did not find expected '-' indicator",
            "did not find expected <document start>":
            indentation
        default: (problem, "Mend that line.")
        }
    }

    private static func lines(_ text: String) -> [Substring] {
        text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
    }

    private static func character(_ mark: Mark, _ text: String) -> Character? {
        let lines = lines(text)
        guard lines.indices.contains(mark.line - 1) else { return nil }
        return lines[mark.line - 1].dropFirst(mark.column - 1).first
    }

    /// The next line below `mark` on which `key` stands in the same column.
    private static func line(of key: String, after mark: Mark, in text: String) -> Int? {
        let lines = lines(text)
        return lines.indices.first { number in
            guard number >= mark.line else { return false }
            let rest = lines[number].dropFirst(mark.column - 1).drop { $0 == "'" || $0 == "\"" }
            let before = lines[number].prefix(mark.column - 1)
            guard before.allSatisfy({ $0 == " " || $0 == "-" }), rest.hasPrefix(key) else { return false }
            return rest.dropFirst(key.count).drop { "'\" ".contains($0) }.first == ":"
        }.map { $0 + 1 }
    }
}
