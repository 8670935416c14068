import Adversarial
import Collectives
import Foundation
import Kernels
import Nets
import Recipes
import Runs
import Storage
import Support

/// A small convolutional classifier of images. Its last hidden layer gives the features by which samples are
/// compared: distances in them follow what the classes are told apart by, where distances of pixels do not.
///
/// No network of another's making is downloaded, so its scores compare with those of the same classifier file alone,
/// and bear names of their own: they are not the Inception Score or FID.
public final class Classifier {
    /// Values of the last hidden layer.
    public static let features = 128

    public let shape: Shape
    public let classes: Int
    /// Of the classifier as it was stored, on the images it was tested on; nil where it was not.
    public let accuracy: Double?
    public let name: String
    private let body: Network
    private let head: Network

    /// Image → features, all layers but the last.
    static var bodyLayers: [any Layer] {
        [
            Convolution2D(channels: 64, kernel: 4, stride: 2, weights: .he), ReLU(),
            Convolution2D(channels: 96, kernel: 4, stride: 2, weights: .he), ReLU(),
            Flatten(), Dropout(keepProbability: 0.6), Dense(units: features, weights: .he), ReLU(),
        ]
    }

    /// Features → logits. For training they follow the others in one network.
    static func headLayers(classes: Int) -> [any Layer] {
        [Dropout(keepProbability: 0.5), Dense(units: classes, weights: .glorot)]
    }

    static func trainingNetwork(_ shape: Shape, classes: Int, capacity: Int) throws(Failure) -> Network {
        do {
            return try Network(
                bodyLayers + headLayers(classes: classes), input: shape, capacity: capacity, name: "classifier")
        } catch {
            throw Failure(
                .badConfiguration, "images of \(shape) cannot be classified: \(error)", remedy: "Use larger images.")
        }
    }

    // MARK: - The file

    /// What a trained network is stored as: a file with a checkpoint's form and care.
    static func contents(
        _ network: Network, classes: Int, step: Int, attributes: [(name: String, value: AttributeValue)]
    ) -> CheckpointContents {
        CheckpointContents(
            attributes: [
                ("step", .integer(step)), ("kind", .string("classifier")), ("classes", .integer(classes)),
                ("shape", .doubles(network.inputShape.dimensions.map(Double.init))),
                ("program_version", .string(Program.version)), ("created", .string(Date().formatted(.iso8601))),
            ] + attributes,
            arrays: network.store.entries.map { entry in
                CheckpointArray(
                    path: "classifier/\(entry.name)", dimensions: entry.specification.dimensions,
                    layout: entry.specification.layout, values: entry.values(in: network.store.values.values).array)
            })
    }

    /// Reads a file that `gan-dist classifier train` wrote; throws 65 or 66.
    public convenience init(_ path: String) throws {
        try self.init(Checkpoint(path: path, contents: CheckpointFile.read(path)))
    }

    init(_ file: Checkpoint) throws {
        let contents = file.contents
        guard contents.string("kind") == "classifier", let classes = contents.integer("classes"),
            (2 ... 1000).contains(classes),
            case .doubles(let sizes)? = contents.attribute("shape"), sizes.count == 3,
            sizes.allSatisfy({ $0 >= 1 && $0 < 1e5 })
        else {
            throw Failure(
                .badData, "\(file.path) is not a classifier",
                remedy: "Make one with gan-dist classifier train --data FILE.h5 --out \(file.path).")
        }
        (self.classes, name) = (classes, file.path)
        shape = .image(height: Int(sizes[0]), width: Int(sizes[1]), channels: Int(sizes[2]))
        if case .double(let value)? = contents.attribute("accuracy") { accuracy = value } else { accuracy = nil }
        let whole = try file.network(
            Self.bodyLayers + Self.headLayers(classes: classes), input: shape, capacity: 1, name: "classifier")
        body = try Network(Self.bodyLayers, input: shape, capacity: 256, name: "classifier", isTrained: false)
        head = try Network(
            Self.headLayers(classes: classes), input: body.outputShape, capacity: 256, name: "classifier",
            isTrained: false)
        // The same arrays in the same order, but each part lays out its own memory.
        let places = [body, head].flatMap { part in part.store.entries.map { part.store.values.values[$0.range] } }
        for (place, entry) in zip(places, whole.store.entries) {
            place.copy(from: whole.store.values.values[entry.range])
        }
    }

    // MARK: - Its answers

    /// What the classifier says of examples.
    struct Answers {
        /// [N, ``Classifier/features``].
        let features: Examples
        /// log p(class | example), [N, classes].
        let logProbabilities: [Double]
        let classes: Int

        var count: Int { features.count }

        /// The likeliest class of each example.
        var labels: [Int] {
            (0 ..< count).map { row in
                let mine = logProbabilities[row * classes ..< (row + 1) * classes]
                return mine.firstIndex(of: mine.max()!)! - mine.startIndex
            }
        }

        var histogram: [Int] {
            var counts = [Int](repeating: 0, count: classes)
            for label in labels { counts[label] += 1 }
            return counts
        }
    }

    /// Whether the classified images are those of `data`, around which `data.fit: pad` has put a frame.
    func isOfFramed(_ data: SampleSource, _ settings: Configuration.DataSettings?) -> Bool {
        settings?.fit == .pad && shape.dimensions == data.storedShape
    }

    /// Of examples of the classifier's shape, or framed: what they have within the frame is judged. Collective.
    func answers(_ framed: Examples, _ context: EvaluationContext, _ title: String) throws -> Answers {
        let examples = framed.shape == shape ? framed : framed.middle(of: shape)
        let width = Self.features + classes
        let rows = try context.map(examples.count, block: 256, width: width, title) { rows in
            let features = try body.forward(
                Batch(examples[rows], count: rows.count, shape: shape), parameters: body.store.values.values,
                mode: .sampling)
            let logits = try head.forward(features, parameters: head.store.values.values, mode: .sampling)
            return (0 ..< rows.count).flatMap { row -> [Float] in
                let mine = features.values[row * Self.features ..< (row + 1) * Self.features].array
                return mine + logits.values[row * classes ..< (row + 1) * classes].array
            }
        }
        let features = FloatBuffer(count: examples.count * Self.features)
        var logProbabilities: [Double] = []
        for row in 0 ..< examples.count {
            for index in 0 ..< Self.features {
                features.values[row * Self.features + index] = rows[row * width + index]
            }
            logProbabilities += logSoftmax(rows[row * width + Self.features ..< (row + 1) * width].map(Double.init))
        }
        return Answers(
            features: Examples(features, shape: .vector(Self.features)), logProbabilities: logProbabilities,
            classes: classes)
    }
}

/// sᵢ − log Σ exp(sⱼ), without overflow.
func logSoftmax(_ logits: [Double]) -> [Double] {
    let largest = logits.max()!
    let sum = largest + log(logits.reduce(0) { $0 + exp($1 - largest) })
    return logits.map { $0 - sum }
}
