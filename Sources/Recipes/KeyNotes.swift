import Yams

/// The keys that one reading of a configuration asked for, in their order, and what the value of each may be.
final class KeyNotes {
    struct Note {
        /// `optimizer.generator.rate`.
        let path: String
        /// What its value may be, as Markdown.
        let type: String
        /// What it is where it is not given; nil where it has to be.
        let standard: Node?
        let meaning: String
        /// A value, in YAML, where there is no default.
        let example: String?
        /// Values, in YAML, that other keys may come with.
        let alternatives: [String]
    }

    private(set) var notes: [Note] = []

    /// Stands for a whole number that has to be given: one for each, and above all defaults of the layers.
    func wholeNumber(_ allowed: ClosedRange<Int>) -> String {
        String(min(allowed.upperBound, max(allowed.lowerBound, 200 + notes.count)))
    }

    func add(_ note: Note) {
        if !notes.contains(where: { $0.path == note.path }) { notes.append(note) }
    }

    static func type(_ allowed: ClosedRange<Int>) -> String {
        "whole number, "
            + (allowed.upperBound == .max
                ? "\(allowed.lowerBound) or more" : "\(allowed.lowerBound) to \(allowed.upperBound)")
    }

    static func type(_ allowed: ClosedRange<Double>, or alternatives: [String]) -> String {
        let number = "number, \(text(allowed.lowerBound)) to \(text(allowed.upperBound))"
        return ([number] + alternatives.map { "`\($0)`" }).joined(separator: "; or ")
    }

    /// `1`, `0.999`, `1.0e-12`.
    static func text(_ value: Double) -> String {
        value == value.rounded() && abs(value) < 1e15 ? String(Int(value)) : Numeral.text(value)
    }

    /// A value in one line of YAML.
    static func text(_ node: Node) -> String {
        switch node {
        case .scalar(let scalar): node.float.map(text) ?? scalar.string
        case .mapping(let mapping):
            "{" + mapping.map { "\(text($0.key)): \(text($0.value))" }.joined(separator: ", ") + "}"
        case .sequence(let sequence): "[" + sequence.map(text).joined(separator: ", ") + "]"
        case .alias: ""
        }
    }
}
