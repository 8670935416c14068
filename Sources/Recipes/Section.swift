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
    var origins: Origins
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
    /// printed as they were before there was one. `form`: a value of it, in YAML, that brings other keys.
    func allow(_ key: String) { allowed.append(key) }

    /// The same, with its place on the page of all keys.
    func allow(_ key: String, _ type: String, meaning: String, form: String? = nil) {
        note(
            key, type, default: Section.nothing, meaning: meaning, alternatives: form.map { [$0] } ?? [])
        allowed.append(key)
    }

    /// Puts what the value of `key` may be on the page of all keys, where that is being made.
    ///
    /// `default`: nil where the key has to be given; then `example`, in YAML, is a value for it. `alternatives`, in
    /// YAML too: values that bring other keys with them.
    func note(
        _ key: String, _ type: String, default standard: Node?, meaning: String, example: String? = nil,
        alternatives: [String] = []
    ) {
        origins.keys?.add(
            KeyNotes.Note(
                path: name(key), type: type, standard: standard, meaning: meaning, example: example,
                alternatives: alternatives))
    }

    func integer(
        _ key: String, default standard: Int? = nil, _ allowed: ClosedRange<Int>, meaning: String
    ) throws(Failure) -> Int {
        note(
            key, KeyNotes.type(allowed), default: standard.map(Node.integer), meaning: meaning,
            example: origins.keys?.wholeNumber(allowed))
        return try value(key, default: standard, Node.integer) { (node) throws(Failure) in
            try integer(node, name(key), allowed)
        }
    }

    /// What `read` makes of the node at `key`, or what stands for it, recorded as `written`.
    private func value<Value>(
        _ key: String, default standard: Value?, _ written: (Value) -> Node, _ read: (Node) throws(Failure) -> Value
    ) throws(Failure) -> Value {
        let value: Value
        if let node = node(key) {
            value = try read(node)
        } else {
            guard let standard else { throw missing(key) }
            value = standard
        }
        record(key, written(value))
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

    /// Where absent it stays out of the whole: see ``allow(_:)``.
    func integerIfGiven(
        _ key: String, otherwise standard: Int, _ allowed: ClosedRange<Int>, meaning: String
    ) throws(Failure) -> Int {
        guard node(key) == nil else { return try integer(key, allowed, meaning: meaning) }
        note(key, KeyNotes.type(allowed), default: .integer(standard), meaning: meaning)
        allow(key)
        return standard
    }

    func optionalInteger(_ key: String, _ allowed: ClosedRange<Int>, meaning: String) throws(Failure) -> Int? {
        if node(key) == nil {
            note(key, KeyNotes.type(allowed), default: Section.nothing, meaning: meaning)
            record(key, Section.nothing)
            return nil
        }
        return try integer(key, allowed, meaning: meaning)
    }

    func number(
        _ key: String, default standard: Double? = nil, _ allowed: ClosedRange<Double>, meaning: String
    ) throws(Failure) -> Double {
        try number(key, default: standard, allowed, meaning: meaning, alternatives: [])
    }

    /// `alternatives`: other forms of the value, in YAML, which the caller reads.
    func number(
        _ key: String, default standard: Double?, _ allowed: ClosedRange<Double>, meaning: String,
        alternatives: [String]
    ) throws(Failure) -> Double {
        note(
            key, KeyNotes.type(allowed, or: alternatives), default: standard.map(Node.number), meaning: meaning,
            example: Numeral.text(allowed.lowerBound), alternatives: alternatives)
        return try value(key, default: standard, Node.number) { (node) throws(Failure) in
            try number(node, name(key), allowed)
        }
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

    func optionalNumber(_ key: String, _ allowed: ClosedRange<Double>, meaning: String) throws(Failure) -> Double? {
        if node(key) == nil {
            note(key, KeyNotes.type(allowed, or: []), default: Section.nothing, meaning: meaning)
            record(key, Section.nothing)
            return nil
        }
        return try number(key, allowed, meaning: meaning)
    }

    func string(_ key: String, default standard: String, meaning: String) throws(Failure) -> String {
        note(key, "text", default: .text(standard), meaning: meaning)
        let value = try text(key) ?? standard
        record(key, .text(value))
        return value
    }

    func optionalString(_ key: String, meaning: String) throws(Failure) -> String? {
        note(key, "text", default: Section.nothing, meaning: meaning)
        let value = try text(key)
        record(key, value.map(Node.text) ?? Section.nothing)
        return value
    }

    /// Nil where nothing is said, and then it stays out of the whole, as ``allow(_:_:meaning:form:)`` has it.
    func givenString(_ key: String, meaning: String) throws(Failure) -> String? {
        guard node(key) != nil else {
            allow(key, "text", meaning: meaning)
            return nil
        }
        return try optionalString(key, meaning: meaning)
    }

    /// A list of texts; empty where nothing is said.
    func strings(_ key: String, meaning: String) throws(Failure) -> [String] {
        note(key, "a list of texts", default: Node([Node]()), meaning: meaning)
        let items: [Node]
        switch node(key) {
        case nil: items = []
        case .sequence(let sequence): items = Array(sequence)
        case .some(let other): throw wrong(key, other, "a list, such as [a, b]")
        }
        var texts: [String] = []
        for item in items {
            guard case .scalar = item, let text = item.string else { throw wrong(key, item, "a text of a list") }
            texts.append(text)
        }
        record(key, Node(texts.map(Node.text)))
        return texts
    }

    private func text(_ key: String) throws(Failure) -> String? {
        guard let node = node(key) else { return nil }
        guard case .scalar = node, let value = node.string else { throw wrong(key, node, "a text") }
        guard !value.unicodeScalars.contains("\0") else { throw wrong(key, node, "a text without the character NUL") }
        return value
    }

    /// False where nothing is said, and then it stays out of the whole, as ``allow(_:_:meaning:form:)`` has it.
    func flag(_ key: String, meaning: String) throws(Failure) -> Bool {
        guard let node = node(key) else {
            allow(key, "true or false", meaning: meaning)
            return false
        }
        note(key, "true or false", default: Section.nothing, meaning: meaning)
        guard let value = node.bool else { throw wrong(key, node, "true or false") }
        record(key, Node(String(value), Tag(.bool)))
        return value
    }

    func choice<Choice: RawRepresentable & CaseIterable>(
        _ key: String, default standard: Choice, meaning: String
    ) throws(Failure) -> Choice
    where Choice.RawValue == String {
        let choice = try given(key, default: standard, meaning: meaning) ?? standard
        record(key, .text(choice.rawValue))
        return choice
    }

    func optionalChoice<Choice: RawRepresentable & CaseIterable>(
        _ key: String, of type: Choice.Type, meaning: String
    ) throws(Failure) -> Choice?
    where Choice.RawValue == String {
        let choice: Choice? = try given(key, default: nil, meaning: meaning)
        record(key, choice.map { .text($0.rawValue) } ?? Section.nothing)
        return choice
    }

    private func given<Choice: RawRepresentable & CaseIterable>(
        _ key: String, default standard: Choice?, meaning: String
    ) throws(Failure) -> Choice?
    where Choice.RawValue == String {
        let known = Choice.allCases.map(\.rawValue)
        note(
            key, known.map { "`\($0)`" }.joined(separator: ", "),
            default: standard.map { .text($0.rawValue) } ?? Section.nothing, meaning: meaning, alternatives: known)
        guard let word = try text(key) else { return nil }
        guard let choice = Choice(rawValue: word) else {
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
                let place = path.isEmpty ? "a configuration" : "'\(path)'"
                throw .configuration(
                    name(word), "there is no such key",
                    remedy: known.isEmpty
                        ? "Take it out: \(place) has no keys."
                        : nearest + "Keys of \(place): \(known.joined(separator: ", ")).")
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
