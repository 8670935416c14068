import Kernels
import Runs
import Storage
import Support

/// What measures make of the real examples alone, by name: it is made once, and all evaluations of a run share it.
///
/// All ranks hold the same.
final class RealStatistics {
    /// An array of more values is made anew every time: each rank holds what is kept.
    static let mostValues = 1 << 23

    private var floats: [String: FloatBuffer] = [:]
    private var numbers: [String: [Double]] = [:]
    /// Whether there is something that ``write(to:key:)`` has not written.
    private(set) var isNew = false

    func values(_ name: String, _ make: () throws -> [Float]) rethrows -> FloatBuffer {
        if let known = floats[name] { return known }
        let made = FloatBuffer(try make())
        if made.count <= Self.mostValues { (floats[name], isNew) = (made, true) }
        return made
    }

    /// The same of `count` values that can be made in parts as well: nil, and nothing made, where they are too many.
    func valuesIfKept(_ name: String, count: Int, _ make: () throws -> [Float]) rethrows -> FloatBuffer? {
        count <= Self.mostValues ? try values(name, make) : nil
    }

    func numbers(_ name: String, _ make: () throws -> [Double]) rethrows -> [Double] {
        if let known = numbers[name] { return known }
        let made = try make()
        if made.count <= Self.mostValues { (numbers[name], isNew) = (made, true) }
        return made
    }

    /// What the classifier says of the real examples.
    func answers(_ classifier: Classifier, _ make: () throws -> Classifier.Answers) rethrows -> Classifier.Answers {
        var made: Classifier.Answers?
        func found() throws -> Classifier.Answers {
            if made == nil { made = try make() }
            return made!
        }
        return Classifier.Answers(
            features: Examples(
                try values("features") { try found().features.values.array }, shape: .vector(Classifier.features)),
            logProbabilities: try numbers("log_probabilities") { try found().logProbabilities },
            classes: classifier.classes)
    }

    // MARK: - The file

    /// Takes over what a file holds. False where it is not there, is damaged or follows from something else.
    func read(_ path: String, key: [(name: String, value: AttributeValue)]) -> Bool {
        guard let contents = try? CheckpointFile.read(path),
            key.allSatisfy({ contents.attribute($0.name)?.description == $0.value.description })
        else { return false }
        for array in contents.arrays {
            if let doubles = array.doubles {
                numbers[array.path] = doubles
            } else {
                let values = FloatBuffer(count: array.count)
                array.copy(to: values.values)
                floats[array.path] = values
            }
        }
        return true
    }

    /// `key`: what all of it follows from.
    func write(to path: String, key: [(name: String, value: AttributeValue)]) throws(Failure) {
        let arrays =
            floats.map {
                CheckpointArray(path: $0.key, dimensions: [$0.value.count], layout: "C", values: $0.value.array)
            }
            + numbers.map {
                CheckpointArray(path: $0.key, dimensions: [$0.value.count], layout: "C", doubles: $0.value)
            }
        let contents = CheckpointContents(
            attributes: [("step", .integer(0))] + key, arrays: arrays.sorted { $0.path < $1.path })
        try CheckpointImage(contents).write(to: path)
        isNew = false
    }

    /// Empty again.
    func clear() { (floats, numbers, isNew) = ([:], [:], false) }
}
