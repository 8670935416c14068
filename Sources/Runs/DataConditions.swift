import Adversarial
import Collectives
import Kernels
import Nets
import Recipes
import Storage
import Support

/// What stands beside the examples of a dataset: their classes, numbered by their labels in order, or their vectors.
struct DataConditions: Sendable {
    private(set) var table: ConditionTable
    let condition: Condition
    /// Of classes: the label of each, and how many examples have it.
    let labels: [Int]
    let counts: [Int]
    /// The file's names of the labels 0, 1, …, a line a name.
    let names: String?
    /// Equal for equal conditions of all examples.
    let fingerprint: String

    /// Of a file. Throws 65 for a file without, or with what cannot be learned from.
    init(_ settings: ConditionSettings, _ dataset: Dataset, labels name: String?) throws(Failure) {
        if let vectors = settings.dataset {
            try Self.require(vectors, "condition.dataset", in: dataset.path)
            self = try Self.vectors(settings, vectors, beside: dataset)
        } else {
            if let name { try Self.require(name, "data.labels", in: dataset.path) }
            guard let labels = try dataset.labels(named: name) else {
                throw .badData(
                    "\(dataset.path) has no /labels, which `condition` is to be.",
                    remedy: "Import it with its labels, name them with data.labels, or take `condition` out.")
            }
            try self.init(settings, labels: labels, of: dataset.path, names: dataset.labelNames)
        }
    }

    private static func require(_ name: String, _ key: String, in file: String) throws(Failure) {
        guard !Dataset.holds(name, in: file) else { return }
        throw .badData(
            "\(file) has no dataset \(name), which \(key) names.",
            remedy: "Correct \(key); gan-dist data info \(file) says what is in the file.")
    }

    private static func vectors(
        _ settings: ConditionSettings, _ vectors: String, beside dataset: Dataset
    ) throws(Failure) -> DataConditions {
        let rows = try Dataset(dataset.path, dataset: vectors, options: .conditions)
        guard rows.layout == .vector, rows.count == dataset.count else {
            throw .badData(
                "\(vectors) in \(dataset.path) has the shape \([rows.count] + rows.shape): vectors beside "
                    + "\(dataset.count) examples are [\(dataset.count), numbers].",
                remedy: "Name another dataset with condition.dataset.")
        }
        guard rows.elements <= ConditionSettings.mostClasses else {
            throw .badData(
                "\(vectors) in \(dataset.path) has vectors of \(rows.elements) numbers; at most "
                    + "\(ConditionSettings.mostClasses) are read.",
                remedy: "Name another dataset with condition.dataset.")
        }
        if let size = settings.size, size != rows.elements {
            throw .configuration(
                "condition.size", "\(size), but \(vectors) in \(dataset.path) has vectors of \(rows.elements) numbers",
                remedy: "Leave it out, or give the file that it is of.")
        }
        let values = FloatBuffer(count: rows.count * rows.elements)
        try SampleSource(rows, range: nil, memoryLimit: .max).read(Array(0 ..< rows.count), into: values.values)
        return DataConditions(ConditionTable(values, width: rows.elements), .vector(rows.elements))
    }

    /// The conditions of other examples, numbered as these are, and a warning of classes that have none. Throws 65.
    func rows(
        beside dataset: Dataset, _ settings: ConditionSettings, labels name: String?
    ) throws(Failure) -> (rows: ConditionTable, warning: String?) {
        let judged = "this discriminator judges an example together with its condition"
        if let vectors = settings.dataset {
            try Self.require(vectors, "condition.dataset", in: dataset.path)
            let numbers = try Dataset(dataset.path, dataset: vectors, options: .conditions).elements
            guard numbers == condition.width else {
                throw .badData(
                    "\(vectors) in \(dataset.path) has vectors of \(numbers) numbers where the training data have "
                        + "\(condition.width), and \(judged).",
                    remedy: "Hold out examples with vectors of \(condition.width) numbers, or leave data.held_out out.")
            }
            return (try Self.vectors(settings, vectors, beside: dataset).table, nil)
        }
        if let name { try Self.require(name, "data.labels", in: dataset.path) }
        guard let all = try dataset.labels(named: name) else {
            throw .badData(
                "\(dataset.path) has no /labels, and \(judged).",
                remedy: "Import it with its labels, name them with data.labels, or leave data.held_out out.")
        }
        let numbers = Dictionary(uniqueKeysWithValues: labels.enumerated().map { ($1, Float($0)) })
        let seen = Set(all), strange = seen.filter { numbers[$0] == nil }.sorted()
        guard strange.isEmpty else {
            throw .badData(
                "\(dataset.path) has examples of label\(strange.count == 1 ? "" : "s") \(Self.text(strange)), "
                    + "which the training data have not (\(Self.text(labels))), and \(judged).",
                remedy: "Hold out examples of these classes alone, or leave data.held_out out.")
        }
        let missing = labels.filter { !seen.contains($0) }
        return (
            ConditionTable(FloatBuffer(all.map { numbers[$0]! }), width: 1),
            missing.isEmpty
                ? nil
                : "\(dataset.path) has no example of label\(missing.count == 1 ? "" : "s") \(Self.text(missing)): "
                    + "D's gap compares it with examples of all classes"
        )
    }

    private init(
        _ table: ConditionTable, _ condition: Condition, labels: [Int] = [], counts: [Int] = [], names: String? = nil
    ) {
        (self.table, self.condition, self.labels, self.counts, self.names) = (table, condition, labels, counts, names)
        fingerprint = "conditions " + table.fingerprint
    }

    /// The same, of which the ranks of a node have the table once; `leaving`: see ``NodeCopy``. Collective.
    func onceANode(
        leaving others: Int, _ communicator: any Communicator
    ) throws -> (conditions: DataConditions, sentence: String?) {
        var shared = self, sentence: String?
        (shared.table, sentence) = try table.onceANode("conditions", leaving: others, communicator)
        return (shared, sentence)
    }

    /// Of labels, one an example.
    init(
        _ settings: ConditionSettings, labels all: [Int], of file: String, names: String? = nil
    ) throws(Failure) {
        let counted = Dictionary(all.map { ($0, 1) }, uniquingKeysWith: +).sorted { $0.key < $1.key }
        let labels = counted.map(\.key), shown = Self.text(labels)
        guard labels.count > 1, labels.count <= ConditionSettings.mostClasses else {
            throw .badData(
                "The labels of \(file) are of \(labels.count) kind\(labels.count == 1 ? "" : "s") (\(shown)); "
                    + "`condition` wants 2 … \(ConditionSettings.mostClasses) classes.",
                remedy: "Take `condition` out, or number the classes anew; "
                    + "numbers that are no classes may be vectors (condition.dataset).")
        }
        if let classes = settings.classes, classes != labels.count {
            throw .configuration(
                "condition.classes", "\(classes), but the labels of \(file) are of \(labels.count) kinds: \(shown)",
                remedy: "Leave it out, or give the file that it is of.")
        }
        guard settings.labels.isEmpty || settings.labels == labels else {
            throw .badData(
                "The labels of \(file) are \(shown), and condition.labels has \(Self.text(settings.labels)).",
                remedy: "Give the file that it is of, or start a new run.")
        }
        let numbers = Dictionary(uniqueKeysWithValues: labels.enumerated().map { ($1, Float($0)) })
        self.init(
            ConditionTable(FloatBuffer(all.map { numbers[$0]! }), width: 1), .classes(labels.count), labels: labels,
            counts: counted.map(\.value), names: names)
    }

    /// Random ones, for benchmarks.
    init(random count: Int, _ condition: Condition, seed: UInt64) {
        let values = FloatBuffer(count: count * condition.width)
        switch condition {
        case .classes(let classes): for index in 0 ..< count { values.values[index] = Float(index % classes) }
        case .vector:
            Draws(seed: seed, purpose: .synthetic, step: 1).fillNormal(values.values, samples: count)
        }
        self.init(ConditionTable(values, width: condition.width), condition)
    }

    /// What `train` says of them.
    var line: String {
        guard case .classes = condition else { return "condition: vectors of \(condition.width) numbers" }
        let (fewest, most) = (counts.min() ?? 0, counts.max() ?? 0)
        return "condition: \(labels.count) classes, labels \(Self.text(labels)), of "
            + (fewest == most ? "\(most)" : "\(fewest) … \(most)") + " example\(most == 1 ? "" : "s") each"
    }

    /// A warning of classes that can only be repeated.
    var warning: String? {
        let single = labels.indices.filter { counts[$0] == 1 }.map { labels[$0] }
        guard !single.isEmpty else { return nil }
        return "of label\(single.count == 1 ? "" : "s") \(Self.text(single)) there is a single example"
            + "\(single.count == 1 ? "" : " each"): the networks can learn it by heart, and nothing more of its class"
    }

    /// `0, 1, 2`, or `0 … 9`; of many that are not neighbours the first.
    static func text(_ labels: [Int]) -> String {
        if labels.count > 3, labels.last! - labels[0] == labels.count - 1 { return "\(labels[0]) … \(labels.last!)" }
        return labels.prefix(12).map(String.init).joined(separator: ", ") + (labels.count > 12 ? ", …" : "")
    }

    /// Some of the vectors, evenly apart: what a checkpoint keeps to sample with where there is no dataset. Nil for
    /// classes, whose counts the configuration has.
    func keptRows() -> FloatBuffer? {
        guard case .vector(let size) = condition else { return nil }
        let count = min(table.count, Self.mostKeptRows)
        let kept = FloatBuffer(count: count * size)
        for row in 0 ..< count {
            let source = row * table.count / count
            kept.values[row * size ..< (row + 1) * size].copy(
                from: table.values.values[source * size ..< (source + 1) * size])
        }
        return kept
    }

    private static let mostKeptRows = 1024
}

extension GeneratorConfiguration {
    /// The same with what `conditions` settle.
    func settled(_ conditions: DataConditions) throws(Failure) -> any GeneratorConfiguration {
        var tree = try ConfigurationTree(yaml: yaml, source: source, .stored)
        switch conditions.condition {
        case .classes(let classes):
            try tree.set("condition.classes", to: classes)
            try tree.set("condition.labels", to: conditions.labels)
            try tree.set("condition.counts", to: conditions.counts)
        case .vector(let size): try tree.set("condition.size", to: size)
        }
        return try Configuration(tree: tree)
    }
}

extension ConditionTable {
    var fingerprint: String { String(Collectives.fingerprint(of: values.values, seed: 0), radix: 16) }

    /// The same, held once by the ranks of a node, and what is to be said where there is no room. Tables that differ,
    /// an error that is found later, are shared by nobody. `leaving`: see ``NodeCopy``. Collective.
    func onceANode(
        _ name: String, leaving others: Int = 0, _ communicator: any Communicator
    ) throws -> (table: ConditionTable, sentence: String?) {
        let all = try communicator.gather(fingerprint), isSame = all.allSatisfy { $0 == all[0] }
        let bytes = isSame ? values.count * MemoryLayout<Float>.stride : 0
        let copy = try NodeCopy(of: name, bytes: bytes, leaving: others, communicator) {
            $0[0 ..< values.count].copy(from: values.values)
        }
        return (copy.values.map { ConditionTable($0, width: width) } ?? self, copy.sentence)
    }
}
