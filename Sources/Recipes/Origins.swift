import Foundation
import Nets
import Support
import Yams

/// A value of the command line that takes the place of one in a configuration.
public struct Setting: Sendable {
    public let key: String
    /// As it was typed: `--batch 0`, `--set training.batch=0`.
    public let option: String
    private let value: String
    private let form: Form

    private enum Form { case yaml, scalar, text }

    /// `key.path=value`, as given to `--set`: a text or a number as it stands, or YAML of more than one value.
    public init(_ assignment: String) throws(Failure) {
        guard let sign = assignment.firstIndex(of: "=") else { throw Self.noAssignment(assignment) }
        key = assignment[..<sign].trimmingCharacters(in: .whitespaces)
        value = assignment[assignment.index(after: sign)...].trimmingCharacters(in: .whitespacesAndNewlines)
        let parts = key.split(separator: ".", omittingEmptySubsequences: false)
        guard !parts.contains(where: \.isEmpty) else { throw Self.noAssignment(assignment) }
        (option, form) = ("--set \(assignment)", .yaml)
    }

    /// `option`, such as `--batch`, is another name for `--set key=…`. `isText`: the value is no number, whatever it
    /// looks like.
    public init(_ option: String, _ key: String, _ value: String, isText: Bool = false) {
        (self.key, self.option, self.value, form) = (key, "\(option) \(value)", value, isText ? .text : .scalar)
    }

    private static func noAssignment(_ text: String) -> Failure {
        Failure(
            .badConfiguration, "configuration: --set \(text): it is not of the form key.path=value",
            remedy: "For example: --set optimizer.generator.rate=0.0001")
    }

    func node() throws(Failure) -> Node {
        guard !value.isEmpty else {
            throw Failure(
                .badConfiguration, "configuration: \(option): there is no value",
                remedy: form == .yaml
                    ? "Give one; null is a key's default, and '' in quotes an empty text."
                    : "Give one, or leave the option out.")
        }
        switch form {
        case .text: return .text(value)
        case .scalar: return Node(value, .implicit, .plain)
        case .yaml:
            do {
                let node = try YAMLText.compose(value, .commandLine)
                // A '#' after a blank begins a comment in a file only.
                guard let node, node.scalar?.style != .plain else { return Node(value, .implicit, .plain) }
                return node
            } catch {
                // An option has one line.
                let words = error.problem.components(separatedBy: "; what is open began on")[0]
                let problem =
                    words.hasPrefix("line ") ? String(words.split(separator: ": ", maxSplits: 1).last ?? "") : words
                throw Failure(.badConfiguration, "configuration: \(option): \(problem)", remedy: error.remedy)
            }
        }
    }
}

/// Where the values of a configuration were written.
struct Origins {
    /// A file, a preset or a checkpoint.
    let source: String
    let notation: Notation
    /// What the command line has replaced since, the last one last.
    var settings: [Setting] = []
    /// Notes every key that is asked for; only where the page of all keys is made.
    var keys: KeyNotes?
    /// What the layers that are read look at beside the examples.
    var condition: Condition?

    init(source: String, notation: Notation) { (self.source, self.notation) = (source, notation) }

    private func setting(of key: String) -> Setting? { settings.last { key == $0.key || key.hasPrefix($0.key + ".") } }

    func notation(of key: String) -> Notation { setting(of: key) == nil ? notation : .commandLine }

    /// `mine.yaml, line 3`, or the option that gave the value.
    func place(of key: String, in root: Node) -> String {
        if let setting = setting(of: key) {
            return setting.option.count > 100 ? setting.option.prefix(100) + "…" : setting.option
        }
        guard notation == .file, let line = line(of: key, in: root) else { return source }
        return "\(source), line \(line)"
    }

    /// Of the key, or of the group that it is missing in.
    private func line(of key: String, in root: Node) -> Int? {
        var (node, line) = (root, Int?.none)
        for part in key.split(separator: ".") {
            switch node {
            case .mapping(let mapping):
                guard let pair = mapping.first(where: { $0.key.string == String(part) }) else { return line }
                (node, line) = (pair.value, pair.key.mark?.line ?? line)
            case .sequence(let sequence):
                guard let index = Int(part), sequence.indices.contains(index) else { return line }
                (node, line) = (sequence[index], sequence[index].mark?.line ?? line)
            default: return line
            }
        }
        return line
    }
}
