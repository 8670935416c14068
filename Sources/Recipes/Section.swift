import Support
import Yams

/// One mapping of the configuration, read strictly: every key is asked for by name with its default, and `finish`
/// refuses those nobody asked for, naming the nearest right one.
///
/// While it is read it also records what each key came to, so that the whole configuration, defaults included, can be
/// printed and stored without being written down a second time.
final class Section {
    /// `optimizer.generator`; empty for the whole file.
    let path: String
    /// Where the values stand, on which it depends what their numbers mean.
    let origins: Origins
    private let given: Node.Mapping
    private(set) var resolved: [(String, Node)] = []
    private var allowed: [String] = []

    init(_ node: Node?, path: String, _ origins: Origins) throws(Failure) {
        (self.path, self.origins) = (path, origins)
        switch node {
        case nil: given = Node.Mapping([])
        case .some(let node) where node.null != nil: given = Node.Mapping([])
        case .mapping(let mapping): given = mapping
        case .some(let node):
            throw .configuration(
                path.isEmpty ? "the whole" : path, "it is \(Section.text(node)), not a group of keys",
                remedy: "Write its keys indented below it, or as {key: value, …}.")
        }
    }

    func name(_ key: String) -> String { path.isEmpty ? key : "\(path).\(key)" }

    /// The node at `key` as it was given; nil where absent or null.
    func node(_ key: String) -> Node? {
        guard let node = given[key], node.null == nil else { return nil }
        return node
    }

    var keys: [String] { given.keys.compactMap(\.string) }

    func record(_ key: String, _ node: Node) { resolved.append((key, node)) }

    /// The key may be given, but where nobody does it stays out of the whole: configurations that do without it are
    /// printed as they were before there was one.
    func allow(_ key: String) { allowed.append(key) }

    func integer(_ key: String, default standard: Int? = nil, _ allowed: ClosedRange<Int>) throws(Failure) -> Int {
        guard let node = node(key) else {
            guard let standard else { throw missing(key) }
            record(key, .integer(standard))
            return standard
        }
        let value = try integer(node, name(key), allowed)
        record(key, .integer(value))
        return value
    }

    func integer(_ node: Node, _ name: String, _ allowed: ClosedRange<Int>) throws(Failure) -> Int {
        let range = Section.text(allowed)
        guard case .scalar(let scalar) = node else {
            throw .configuration(name, "\(Section.text(node)) is not a whole number", remedy: "Give a whole number.")
        }
        let value: Int
        do {
            value = try Numeral.integer(scalar, origins.notation(of: name), allowed: range)
        } catch {
            throw .configuration(name, error.problem, remedy: error.remedy)
        }
        guard allowed.contains(value) else {
            throw .configuration(name, "\(value) is outside \(range)", remedy: "Give a whole number within that range.")
        }
        return value
    }

    func optionalInteger(_ key: String, _ allowed: ClosedRange<Int>) throws(Failure) -> Int? {
        if node(key) == nil {
            record(key, Section.nothing)
            return nil
        }
        return try integer(key, allowed)
    }

    func number(
        _ key: String, default standard: Double? = nil, _ allowed: ClosedRange<Double>
    ) throws(Failure) -> Double {
        guard let node = node(key) else {
            guard let standard else { throw missing(key) }
            record(key, .number(standard))
            return standard
        }
        let value = try number(node, name(key), allowed)
        record(key, .number(value))
        return value
    }

    func number(_ node: Node, _ name: String, _ allowed: ClosedRange<Double>) throws(Failure) -> Double {
        guard case .scalar(let scalar) = node else {
            throw .configuration(name, "\(Section.text(node)) is not a number", remedy: "Give a number such as 0.0002.")
        }
        let value: Double
        do {
            value = try Numeral.number(scalar, origins.notation(of: name))
        } catch {
            throw .configuration(name, error.problem, remedy: error.remedy)
        }
        guard allowed.contains(value) else {
            throw .configuration(
                name, "\(value) is outside \(Section.text(allowed))",
                remedy: "Give a number within that range.")
        }
        return value
    }

    func optionalNumber(_ key: String, _ allowed: ClosedRange<Double>) throws(Failure) -> Double? {
        if node(key) == nil {
            record(key, Section.nothing)
            return nil
        }
        return try number(key, allowed)
    }

    func string(_ key: String, default standard: String? = nil) throws(Failure) -> String {
        guard let value = try optionalString(key, recording: false) ?? standard else { throw missing(key) }
        record(key, .text(value))
        return value
    }

    func optionalString(_ key: String, recording: Bool = true) throws(Failure) -> String? {
        guard let node = node(key) else {
            if recording { record(key, Section.nothing) }
            return nil
        }
        guard case .scalar = node, let value = node.string else { throw wrong(key, node, "a text") }
        guard !value.unicodeScalars.contains("\0") else { throw wrong(key, node, "a text without the character NUL") }
        if recording { record(key, .text(value)) }
        return value
    }

    /// False where nothing is said: ``allow(_:)``.
    func flag(_ key: String) throws(Failure) -> Bool {
        guard let node = node(key) else {
            allow(key)
            return false
        }
        guard let value = node.bool else { throw wrong(key, node, "true or false") }
        record(key, Node(String(value), Tag(.bool)))
        return value
    }

    func choice<Choice: RawRepresentable & CaseIterable>(
        _ key: String, default standard: Choice
    ) throws(Failure) -> Choice
    where Choice.RawValue == String {
        let word = try string(key, default: standard.rawValue)
        guard let choice = Choice(rawValue: word) else {
            let known = Choice.allCases.map(\.rawValue)
            let nearest = Spelling.suggestion(for: word, among: known)
            throw .configuration(
                name(key), "'\(word)' is not one of its values",
                remedy: nearest + "It may be: \(known.joined(separator: ", ")).")
        }
        return choice
    }

    /// Reads the group at `key` by `read` and records what it came to.
    func section<Value>(_ key: String, _ read: (Section) throws(Failure) -> Value) throws(Failure) -> Value {
        let section = try Section(node(key), path: name(key), origins)
        let value = try read(section)
        record(key, try section.finish())
        return value
    }

    /// The whole of what was read; throws for a key that nobody asked for.
    func finish() throws(Failure) -> Node {
        let known = resolved.map(\.0) + allowed
        for (key, _) in given {
            let word = key.string ?? Section.text(key)
            if !known.contains(word) {
                let nearest = Spelling.suggestion(for: word, among: known)
                throw .configuration(
                    name(word), "there is no such key",
                    remedy: nearest
                        + "Keys of \(path.isEmpty ? "a configuration" : "'\(path)'"): \(known.joined(separator: ", "))."
                )
            }
        }
        return Node(resolved.map { (Node($0.0), $0.1) })
    }

    /// Where a required key is absent it may stand there misspelt.
    func missing(
        _ key: String, remedy: String = "Add it, or start from a preset (gan-dist presets)."
    ) -> Failure {
        if let misspelt = keys.first(where: { Spelling.nearest(to: $0, among: [key]) != nil }) {
            return .configuration(name(misspelt), "there is no such key", remedy: "Did you mean '\(key)'?")
        }
        return .configuration(name(key), "it is missing", remedy: remedy)
    }

    func wrong(_ key: String, _ node: Node, _ wanted: String) -> Failure {
        .configuration(name(key), "\(Section.text(node)) is not \(wanted)", remedy: "Give \(wanted).")
    }

    static var nothing: Node { Node("null", Tag(.null), .plain) }

    static func text(_ range: ClosedRange<Int>) -> String { "\(range.lowerBound) … \(range.upperBound)" }

    static func text(_ range: ClosedRange<Double>) -> String {
        range.upperBound == .infinity ? "\(range.lowerBound) …" : "\(range.lowerBound) … \(range.upperBound)"
    }

    /// A node as the user wrote it, in one line.
    static func text(_ node: Node) -> String {
        switch node {
        case .scalar(let scalar): return "'\(scalar.string)'"
        case .mapping: return "a group of keys"
        case .sequence: return "a list"
        case .alias: return "an alias"
        }
    }
}
