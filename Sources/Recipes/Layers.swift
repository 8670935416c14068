import Adversarial
import Kernels
import Nets
import Support
import Yams

/// The layers of a network as the configuration gives them: `relu`, or `dense: {units: 1200, weights: {uniform:
/// 0.05}}`.
enum Layers {
    /// Reads the list of layers at `key` and records it.
    static func list(_ section: Section, _ key: String) throws(Failure) -> [any Layer] {
        guard let node = section.node(key) else { throw section.missing(key) }
        guard case .sequence(let sequence) = node else { throw section.wrong(key, node, "a list of layers") }
        guard !sequence.isEmpty else {
            throw .configuration(
                section.name(key), "it has no layers",
                remedy: "Give at least one layer, such as '- dense: {units: 1}'.")
        }
        var layers: [any Layer] = []
        var resolved: [Node] = []
        for (index, item) in sequence.enumerated() {
            let (layer, node) = try read(item, path: "\(section.name(key)).\(index)", section.origins)
            layers.append(layer)
            resolved.append(node)
        }
        section.record(key, Node(resolved))
        return layers
    }

    private static func read(_ item: Node, path: String, _ origins: Origins) throws(Failure) -> (any Layer, Node) {
        let word: String
        var details: Node?
        switch item {
        case .scalar(let scalar): word = scalar.string
        case .mapping(let mapping) where mapping.count == 1:
            word = mapping[mapping.startIndex].key.string ?? ""
            details = mapping[mapping.startIndex].value
        default:
            throw .configuration(
                path, "a layer is a name, or one name with its settings",
                remedy: "Write '- relu' or '- dense: {units: 100}'.")
        }
        guard let kind = LayerKind.all.first(where: { $0.name == word }) else {
            let known = LayerKind.all.map(\.name)
            let nearest = Spelling.suggestion(for: word, among: known)
            throw .configuration(
                path, "there is no layer '\(word)'", remedy: nearest + "Layers: \(known.joined(separator: ", ")).")
        }
        let section = try Section(details, path: "\(path).\(word)", origins)
        let layer = try kind.make(section)
        let resolved = try section.finish()
        return (layer, section.resolved.isEmpty ? Node(word) : Node([(Node(word), resolved)]))
    }
}

extension Section: LayerSettings {
    func layers(_ key: String, meaning: String) throws(Failure) -> [any Layer] {
        note(key, "list of layers", default: nil, meaning: meaning, example: "[relu]")
        return try Layers.list(self, key)
    }

    func optionalLayers(_ key: String, meaning: String) throws(Failure) -> [any Layer] {
        allow(key, "list of layers", meaning: meaning)
        return node(key) == nil ? [] : try Layers.list(self, key)
    }

    /// `{uniform: 0.05}`, `{normal: 0.02}`, `{constant: 1}`, `{orthogonal: 1.4}`, `{he: 1.1}`, `he`, `glorot`, `zero`.
    func initialiser(_ key: String, default standard: Initialiser, meaning: String) throws(Failure) -> Initialiser {
        note(key, "initialiser", default: Self.node(of: standard), meaning: meaning)
        guard let node = node(key) else {
            record(key, Self.node(of: standard))
            return standard
        }
        let known = "he, glorot, zero, {normal: σ}, {uniform: r}, {constant: c}, {he: gain} or {orthogonal: gain}"
        switch node.string {
        case "he": record(key, Self.node(of: .he)); return .he
        case "glorot": record(key, Self.node(of: .glorot)); return .glorot
        case "zero": record(key, Self.node(of: .zero)); return .zero
        default: break
        }
        guard case .mapping(let mapping) = node, mapping.count == 1, let word = mapping[mapping.startIndex].key.string
        else {
            throw wrong(key, node, known)
        }
        let given = try number(mapping[mapping.startIndex].value, "\(name(key)).\(word)", -1e6 ... 1e6),
            value = Float(given)
        let initialiser: Initialiser
        switch word {
        case "normal" where value >= 0: initialiser = .normal(value)
        case "uniform" where value >= 0: initialiser = .uniform(value)
        case "constant": initialiser = .constant(value)
        case "he" where value >= 0: initialiser = .scaledHe(gain: value)
        case "orthogonal": initialiser = .orthogonal(gain: value)
        default: throw wrong(key, node, known)
        }
        record(key, Node([(Node(word), .number(given))]))
        return initialiser
    }

    /// `none` for no bias, `marginals` from the data, or an initialiser; zero where absent.
    func bias() throws(Failure) -> Initialiser? {
        let meaning = "how the biases start"
        note(
            "bias", "`none`, `marginals` or an initialiser", default: Self.node(of: .zero),
            meaning: meaning
                + "; `none`: there are none; `marginals`: so that the first outputs have the mean of the data")
        switch node("bias")?.string {
        case "none": record("bias", Node("none")); return nil
        case "marginals":
            record("bias", Node("marginals"))
            return .marginals
        default: return try initialiser("bias", default: .zero, meaning: meaning)
        }
    }

    /// `4` for a square, or `[height, width]`.
    func extent(
        _ key: String, default standard: Int?, _ allowed: ClosedRange<Int>, meaning: String
    ) throws(Failure) -> Extent {
        note(
            key, KeyNotes.type(allowed) + ", or `[height, width]` of such", default: standard.map(Node.integer),
            meaning: meaning, example: origins.keys?.wholeNumber(allowed))
        guard let node = node(key), case .sequence(let sequence) = node else {
            let size = try integer(key, default: standard, allowed, meaning: meaning)
            return Extent(height: size, width: size)
        }
        guard sequence.count == 2 else {
            throw .configuration(
                name(key), "'[\(sequence.map { $0.string ?? "…" }.joined(separator: ", "))]' is no height and width",
                remedy: "Give one whole number within \(Section.text(allowed)), or [height, width] of such.")
        }
        let sizes = try integers(sequence, key, allowed)
        return Extent(height: sizes[0], width: sizes[1])
    }

    /// `[units]` or `[height, width, channels]`.
    func shape(_ key: String, meaning: String) throws(Failure) -> Shape {
        note(
            key, "`[units]` or `[height, width, channels]`", default: nil, meaning: meaning,
            example: "[1]")
        guard let node = node(key) else { throw missing(key) }
        guard case .sequence(let sequence) = node, sequence.count == 1 || sequence.count == 3 else {
            throw wrong(key, node, "[units] or [height, width, channels]")
        }
        let sizes = try integers(sequence, key, 1 ... 1 << 24 - 1)
        return sizes.count == 1 ? .vector(sizes[0]) : .image(height: sizes[0], width: sizes[1], channels: sizes[2])
    }

    /// Reads a list of whole numbers, which `key` asks for, and records it.
    func integers(
        _ sequence: Node.Sequence, _ key: String, _ allowed: ClosedRange<Int>
    ) throws(Failure) -> [Int] {
        var values: [Int] = []
        for (index, node) in sequence.enumerated() {
            values.append(try integer(node, "\(name(key)).\(index)", allowed))
        }
        record(key, Node(values.map(Node.integer), .implicit, .flow))
        return values
    }

    private static func node(of initialiser: Initialiser) -> Node {
        func pair(_ word: String, _ value: Float) -> Node { Node([(Node(word), .number(Double(value)))]) }
        switch initialiser {
        case .zero: return Node("zero")
        case .he: return Node("he")
        case .glorot: return Node("glorot")
        case .marginals: return Node("marginals")
        case .constant(let value): return pair("constant", value)
        case .normal(let value): return pair("normal", value)
        case .uniform(let value): return pair("uniform", value)
        case .scaledHe(let gain): return pair("he", gain)
        case .orthogonal(let gain): return pair("orthogonal", gain)
        }
    }
}
