import Storage
import Support
import Yams

/// A configuration before it is read: YAML as a tree, in which single values can be replaced (`--set key.path=value`).
public struct ConfigurationTree {
    private(set) var root: Node
    var origins: Origins

    /// Throws 78 for text that is not YAML; `source` (a file, a preset) stands in the messages.
    public init(yaml: String, source: String, _ notation: Notation = .file) throws(Failure) {
        origins = Origins(source: source, notation: notation)
        do throws(Misreading) {
            guard let node = try YAMLText.compose(yaml, notation) else {
                throw Misreading(
                    problem: "there is nothing in it",
                    remedy: "A generator and a discriminator are the least; start from a preset: "
                        + "gan-dist presets NAME > FILE.yaml.")
            }
            root = node
        } catch {
            let separator = error.problem.hasPrefix("line ") ? ", " : ": "
            throw Failure(
                .badConfiguration, "configuration: \(source)\(separator)\(error.problem)",
                remedy: error.remedy)
        }
    }

    /// A configuration file of a user with some of its values replaced. Throws 66, 74 or 78.
    public init(file: String, _ settings: [Setting]) throws(Failure) {
        let text: String
        do {
            text = try TextFile.read(file, limit: 1 << 20)
        } catch {
            let code = error.code == .badData ? .badConfiguration : error.code
            throw Failure(code, "configuration: \(error.message)", remedy: error.remedy)
        }
        try self.init(yaml: text, source: file)
        for setting in settings { try apply(setting) }
    }

    public init(preset: String, _ settings: [Setting]) throws(Failure) {
        try self.init(yaml: Preset.named(preset).yaml, source: "preset \(preset)")
        for setting in settings { try apply(setting) }
    }

    /// Replaces the value at the setting's key, such as `optimizer.generator.kind` or `generator.0.dense.units`.
    ///
    /// Where a `kind` changes, its neighbours but `rate` and `clip` go: they belong to the old kind.
    public mutating func apply(_ setting: Setting) throws(Failure) {
        let value = try setting.node()
        origins.settings.append(setting)
        do { try set(setting.key, to: value) } catch { throw placed(error) }
    }

    public mutating func set(_ key: String, to number: Int) throws(Failure) {
        try set(key, to: .integer(number))
    }

    /// Replaces the value at `key` by YAML.
    mutating func set(_ key: String, toYAML text: String) throws(Failure) {
        try set(key, to: Setting("\(key)=\(text)").node())
    }

    /// Takes over the value at `key` of another configuration, where it has one.
    public mutating func copy(_ key: String, from other: ConfigurationTree) throws(Failure) {
        if let node = other.node(at: key) { try set(key, to: node) }
    }

    /// Has at `key` what another configuration has there, or nothing.
    public mutating func adopt(_ key: String, from other: ConfigurationTree) throws(Failure) {
        let theirs = other.node(at: key)
        if theirs != nil || node(at: key) != nil { try set(key, to: theirs ?? Section.nothing) }
    }

    mutating func set(_ key: String, to value: Node) throws(Failure) {
        root = try Self.replacing(
            key.split(separator: ".", omittingEmptySubsequences: false).map(String.init)[...], in: root, by: value,
            key: key)
    }

    private static func replacing(
        _ path: ArraySlice<String>, in node: Node?, by value: Node, key: String
    ) throws(Failure) -> Node {
        guard let first = path.first else { return value }
        switch node {
        case .sequence(var sequence):
            guard let index = Int(first), sequence.indices.contains(index) else {
                let items = sequence.isEmpty ? "it is empty" : "it has 0 … \(sequence.count - 1)"
                throw .configuration(
                    key, "the list has no '\(first)': \(items)",
                    remedy: "Count what it lists (layers, penalties) from 0, or give the whole list.")
            }
            sequence[index] = try replacing(path.dropFirst(), in: sequence[index], by: value, key: key)
            return .sequence(sequence)
        case .mapping(let mapping):
            var mapping = mapping
            if first == "kind", path.count == 1, mapping["kind"] != nil, mapping["kind"]?.string != value.string {
                mapping = Node.Mapping(
                    mapping.filter { ["rate", "clip"].contains($0.key.string) }.map { ($0.key, $0.value) })
            }
            mapping[Node(first)] = try replacing(path.dropFirst(), in: mapping[first], by: value, key: key)
            return .mapping(mapping)
        case nil:
            return Node([(Node(first), try replacing(path.dropFirst(), in: nil, by: value, key: key))])
        case .some(let scalar):
            if scalar.null != nil { return try replacing(path, in: nil, by: value, key: key) }
            if path.count == 1 || scalar.string != nil {
                return Node([(Node(first), try replacing(path.dropFirst(), in: nil, by: value, key: key))])
            }
            throw .configuration(key, "'\(first)' has no keys below it", remedy: "Check the key's path.")
        }
    }

    static func text(of node: Node) -> String {
        // A tree made of scalars, lists and mappings that were read from YAML always has a form in YAML.
        // No line is broken: not all readers join those of a text as they were.
        try! Yams.serialize(node: node, width: -1, sortKeys: false)
    }

    /// What stands at `key`; nil where nothing does.
    func node(at key: String) -> Node? {
        key.split(separator: ".").reduce(root) { (node: Node?, part) in
            switch node {
            case .mapping(let mapping): mapping.first { $0.key.string == String(part) }?.value
            case .sequence(let sequence): Int(part).flatMap { sequence.indices.contains($0) ? sequence[$0] : nil }
            default: nil
            }
        }
    }

    /// The failure with the file and the line, or the option of the command line, where its key stands.
    public func placed(_ failure: Failure) -> Failure { failure.placed { origins.place(of: $0, in: root) } }

    /// Every leaf of the tree as `path: value`, for comparing two configurations.
    static func leaves(of node: Node, path: String = "") -> [(path: String, value: String)] {
        switch node {
        case .mapping(let mapping):
            mapping.flatMap {
                leaves(of: $0.value, path: path.isEmpty ? $0.key.string ?? "" : "\(path).\($0.key.string ?? "")")
            }
        case .sequence(let sequence):
            sequence.enumerated().flatMap { leaves(of: $0.element, path: "\(path).\($0.offset)") }
        default:
            [(path, canonical(node))]
        }
    }

    private static func canonical(_ node: Node) -> String {
        if node.null != nil { return "null" }
        if let whole = node.int { return String(whole) }
        if let number = node.float { return String(number) }
        return node.string ?? ""
    }
}
