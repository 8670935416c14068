import Yams

/// A configuration before it is read: YAML as a tree, in which single values can be replaced (`--set key.path=value`).
public struct ConfigurationTree {
    var root: Node

    /// Throws 78 for text that is not YAML; `source` (a file, a preset) stands in the message.
    public init(yaml: String, source: String) throws(Failure) {
        do {
            root = try Yams.compose(yaml: yaml) ?? Node([(Node, Node)]())
        } catch {
            throw Failure(.badConfiguration, "\(source): not valid YAML: \(error)", remedy: "Mend the line that it names.")
        }
    }

    init(root: Node) { self.root = root }

    /// Replaces the value at `key`, such as `optimizer.generator.kind` or `generator.0.dense.units`.
    ///
    /// Where a `kind` changes, its neighbours but `rate` go: they belong to the old kind.
    public mutating func set(_ key: String, to text: String) throws(Failure) {
        let value: Node
        do {
            value = try Yams.compose(yaml: text) ?? Section.nothing
        } catch {
            throw .configuration(key, "'\(text)' is not a YAML value", remedy: "Quote it, or check its brackets.")
        }
        try set(key, to: value)
    }

    public mutating func set(_ key: String, to number: Int) throws(Failure) {
        try set(key, to: Node(String(number), Tag(.int)))
    }

    /// `key.path=value`, as given to `--set`, as key and value.
    public static func assignment(_ text: String) throws(Failure) -> (key: String, value: String) {
        guard let sign = text.firstIndex(of: "="), sign != text.startIndex else {
            throw Failure(.badConfiguration, "--set \(text): not of the form key.path=value",
                          remedy: "For example: --set optimizer.generator.rate=0.0001")
        }
        return (String(text[..<sign]), String(text[text.index(after: sign)...]))
    }

    mutating func set(_ key: String, to value: Node) throws(Failure) {
        root = try Self.replacing(key.split(separator: ".", omittingEmptySubsequences: false).map(String.init)[...], in: root, by: value, key: key)
    }

    private static func replacing(_ path: ArraySlice<String>, in node: Node?, by value: Node, key: String) throws(Failure) -> Node {
        guard let first = path.first else { return value }
        switch node {
        case .sequence(var sequence):
            guard let index = Int(first), sequence.indices.contains(index) else {
                throw .configuration(key, "'\(first)' is not the number of a layer, 0 … \(sequence.count - 1)", remedy: "Count the layers from 0.")
            }
            sequence[index] = try replacing(path.dropFirst(), in: sequence[index], by: value, key: key)
            return .sequence(sequence)
        case .mapping(let mapping):
            var mapping = mapping
            if first == "kind", path.count == 1, mapping["kind"] != nil, mapping["kind"]?.string != value.string {
                mapping = Node.Mapping(mapping.filter { $0.key.string == "rate" }.map { ($0.key, $0.value) })
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
        try! Yams.serialize(node: node, width: 120, sortKeys: false)
    }

    /// Every leaf of the tree as `path: value`, for comparing two configurations.
    static func leaves(of node: Node, path: String = "") -> [(path: String, value: String)] {
        switch node {
        case .mapping(let mapping):
            mapping.flatMap { leaves(of: $0.value, path: path.isEmpty ? $0.key.string ?? "" : "\(path).\($0.key.string ?? "")") }
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
