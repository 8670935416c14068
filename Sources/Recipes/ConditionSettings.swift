import Adversarial
import Kernels
import Nets
import Support
import Yams

/// What the examples are conditioned on: the key `condition`.
public struct ConditionSettings: Sendable {
    /// How the classes of generated examples are drawn.
    public enum Draws: String, CaseIterable, Sendable {
        /// As often as they are in the dataset.
        case frequencies
        case uniform
    }

    /// Where the vectors lie in the data's file; nil: the condition is the class, by `data.labels`.
    public let dataset: String?
    public let draws: Draws
    /// What a new run settles by its data: the number of classes, the label of each in their order, and how many
    /// examples have it; the numbers of a vector.
    public let classes: Int?
    public let labels: [Int]
    public let counts: [Int]
    public let size: Int?

    /// Of nothing as long as that is not known.
    public var condition: Condition { dataset == nil ? .classes(classes ?? 0) : .vector(size ?? 0) }

    public var isSettled: Bool { condition.inputs > 0 }

    /// `rows`: vectors to draw from, where the conditions are vectors. Nil where nothing can be drawn yet.
    public func conditioning(rows: FloatBuffer? = nil) -> Conditioning? {
        guard isSettled else { return nil }
        guard dataset == nil else { return rows.map { Conditioning(vectors: $0, numbers: condition.width) } }
        let isByCount = draws == .frequencies && !counts.isEmpty
        return Conditioning(classCounts: isByCount ? counts : Array(repeating: 1, count: condition.inputs))
    }

    /// More would hardly be classes, but numbers of examples.
    public static let mostClasses = 4096
}

extension ConditionSettings {
    init(_ section: Section) throws(Failure) {
        dataset = try section.optionalString(
            "dataset",
            meaning: "the path of vectors [N, numbers] beside the examples; null: the condition is the class")
        draws = try section.choice(
            "draws", default: .frequencies,
            meaning: "classes of generated examples: as often as in the dataset, or all equally often")
        let known = "; null: found when a run starts"
        classes = try section.optionalInteger(
            "classes", 2 ... Self.mostClasses, meaning: "how many classes the data have" + known)
        labels = try section.integers(
            "labels", .min ... .max, meaning: "the label of each class in the data" + known)
        counts = try section.integers("counts", 1 ... 1 << 32, meaning: "how many examples have each" + known)
        size = try section.optionalInteger(
            "size", 1 ... Self.mostClasses, meaning: "numbers of a vector of `dataset`" + known)
        for (key, list) in [("labels", labels), ("counts", counts)] where !list.isEmpty && list.count != classes {
            throw .configuration(
                section.name(key), "\(list.count) numbers for \(classes.map(String.init) ?? "unknown") classes",
                remedy: "Leave it out: a run finds it in its data.")
        }
        guard counts.reduce(0, +) <= 1 << 32 else {
            throw .configuration(
                section.name("counts"), "they are of more than 2^32 examples",
                remedy: "Leave it out: a run finds it in its data.")
        }
        let ofClasses = [("draws", draws == .uniform), ("classes", classes != nil)]
        for (key, isGiven) in ofClasses where isGiven && dataset != nil {
            throw .configuration(
                section.name(key), "it is of classes, and \(section.name("dataset")) names vectors",
                remedy: "Take one of the two out.")
        }
    }
}

extension Section {
    /// `condition: {draws: frequencies}`. Absent: nothing stands beside the examples.
    func condition(_ key: String) throws(Failure) -> ConditionSettings? {
        guard node(key) != nil else {
            allow(
                key, "a group", meaning: "both networks are told the class of each example, or a vector",
                form: "{draws: frequencies}")
            return nil
        }
        return try section(key, ConditionSettings.init)
    }

    func condition(classesOnly: Bool) throws(Failure) -> Condition {
        guard let condition = origins.condition else {
            throw .configuration(
                path, "it looks at what stands beside each example, and the key `condition` is not given",
                remedy: "Add condition: {draws: frequencies}, for the labels of the data, or take the layer out.")
        }
        if classesOnly, case .vector = condition {
            throw .configuration(
                path, "it wants classes, and `condition.dataset` names vectors",
                remedy: "Use embedding or join_condition in its place, or take condition.dataset out.")
        }
        return condition
    }

    /// A list of whole numbers; null: none.
    fileprivate func integers(
        _ key: String, _ allowed: ClosedRange<Int>, meaning: String
    ) throws(Failure) -> [Int] {
        note(key, "a list of whole numbers", default: Section.nothing, meaning: meaning)
        guard let node = node(key) else {
            record(key, Section.nothing)
            return []
        }
        guard case .sequence(let sequence) = node else { throw wrong(key, node, "a list of whole numbers") }
        return try integers(sequence, key, allowed)
    }
}

extension ConfigurationTree {
    public mutating func set(_ key: String, to numbers: [Int]) throws(Failure) {
        try set(key, to: Node(numbers.map(Node.integer), .implicit, .flow))
    }
}

extension Configuration {
    /// That both networks look at a condition that is given, and that the rest of the game can.
    func checkCondition() throws(Failure) {
        guard condition != nil else {
            guard data.labels != nil else { return }
            throw .configuration(
                "data.labels", "labels are read for `condition` alone, which is not given",
                remedy: "Add condition: {draws: frequencies}, or take data.labels out.")
        }
        for (name, layers) in [("generator", generator), ("discriminator", discriminator)]
        where layers.conditions.isEmpty {
            let layers =
                name == "generator" ? "embedding or conditional_batch_normalisation" : "projection or embedding"
            throw .configuration(
                "condition", "no layer of the \(name) looks at it",
                remedy: "Give `\(name)` one, such as \(layers), or take `condition` out.")
        }
        guard training.packing == 1 else {
            throw .configuration(
                "condition", "the examples of a pack (training.packing: \(training.packing)) have no one condition",
                remedy: "Set training.packing: 1, or take `condition` out.")
        }
    }
}
