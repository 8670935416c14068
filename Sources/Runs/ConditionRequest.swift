import Adversarial
import Kernels
import Nets
import Recipes
import Support

/// Of which condition samples are asked for.
public enum ConditionRequest: Equatable, Sendable {
    /// Drawn as in training; in a picture, a row a class.
    case usual
    /// A class by its label, or by its name.
    case named(String)
    case vector([Float])
}

/// A row a class: the picture at place i is of class ⌊i / columns⌋.
struct ClassGrid {
    let columns: Int
    let conditions: FloatBuffer

    /// `count` pictures of the first classes, or of as many as there are.
    init(count: Int, classes: Int) {
        let columns = (count + classes - 1) / classes
        self.columns = columns
        conditions = FloatBuffer((0 ..< count).map { Float($0 / columns) })
    }
}

extension GeneratorModel {
    /// The grid of pictures of all classes; nil where there are none, or where one is asked for.
    func classGrid(count: Int, _ request: ConditionRequest) throws(Failure) -> ClassGrid? {
        guard request == .usual, case .classes(let classes) = configuration.condition?.condition,
            sampler.shape.isImage
        else { return nil }
        return ClassGrid(count: count, classes: classes)
    }

    /// The conditions of `count` samples; nil where the generator has none. Throws 64 where it has no such class.
    func conditions(count: Int, _ draws: Draws, _ request: ConditionRequest) throws(Failure) -> FloatBuffer? {
        let row: [Float]
        switch request {
        case .usual: return sampler.conditions(count: count, draws)
        case .named(let name): row = [Float(try classNumber(name))]
        case .vector(let numbers):
            guard case .vector(numbers.count) = configuration.condition?.condition else {
                throw wrong("--condition: \(numbers.count) numbers")
            }
            row = numbers
        }
        return FloatBuffer((0 ..< count).flatMap { _ in row })
    }

    private func classNumber(_ name: String) throws(Failure) -> Int {
        guard let settings = configuration.condition, case .classes = settings.condition else {
            throw wrong("--class \(name)")
        }
        let label = Int(name) ?? labelNames.firstIndex(of: name)
        if let label, let number = settings.labels.firstIndex(of: label) { return number }
        let nearest = Spelling.suggestion(for: name, among: labelNames)
        throw Failure(
            .usage, "--class: there is no class '\(name)'",
            remedy: nearest + "Labels: \(DataConditions.text(settings.labels))"
                + (labelNames.isEmpty ? "." : ", names: \(labelNames.prefix(20).joined(separator: ", "))."))
    }

    private func wrong(_ what: String) -> Failure {
        let has =
            switch configuration.condition?.condition {
            case nil: "it was trained without `condition`"
            case .classes: "its condition is a class"
            case .vector(let size): "its condition is a vector of \(size) numbers"
            }
        let remedy =
            switch configuration.condition?.condition {
            case nil: "Leave it out."
            case .classes: "Use --class."
            case .vector(let size): "Use --condition with \(size) numbers, commas between."
            }
        return Failure(.usage, "\(what) cannot be asked of this generator: \(has)", remedy: remedy)
    }
}
