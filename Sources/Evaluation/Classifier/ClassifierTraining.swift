import Adversarial
import Collectives
import Foundation
import Kernels
import Nets
import Runs
import Storage
import Support

/// Trains a ``Classifier`` on a labelled dataset: softmax cross-entropy, Adam with a rate that falls to zero in a
/// straight line, dropout. Data-parallel as the players of a GAN are: a minibatch has always eight shards, so the
/// file has the same values on 1 to 8 ranks.
public struct ClassifierTraining: Sendable {
    static let shards = 8
    static let batch = 128
    static let rate = 1e-3

    /// A dataset with /labels, and images of the same kind that the accuracy is counted on.
    let data: String
    let heldOut: String?
    /// The images' path in both files; nil: /images.
    let dataset: String?
    let epochs: Int
    let seed: UInt64

    public init(data: String, heldOut: String?, dataset: String? = nil, epochs: Int, seed: UInt64) {
        (self.data, self.heldOut, self.dataset, self.epochs, self.seed) = (data, heldOut, dataset, epochs, seed)
    }

    /// Trains and writes `path`. Collective; throws alike on every rank.
    public func run(to path: String, _ context: EvaluationContext) throws {
        let communicator = context.communicator
        let table = try communicator.agreed { try ShardTable(shards: Self.shards, communicator: communicator) }
        _ = try communicator.decidedByRoot {
            if FileManager.default.fileExists(atPath: path) {
                throw Failure(.cannotCreate, "\(path) exists already", remedy: "Name another file, or remove this one.")
            }
            return ""
        }
        try communicator.inspect(([data] + [heldOut].compactMap(\.self)).map { ($0, dataset) })
        let training = try communicator.agreed { try LabelledImages(data, dataset: dataset) }
        let test = try communicator.agreed {
            try heldOut.map { try LabelledImages($0, dataset: dataset, like: training) }
        }
        for images in [training] + (test.map { [$0] } ?? []) {
            if let line = TrainingData.rangeLine(images.source) { context.console.say("\(images.path): \(line)") }
            for warning in TrainingData.rangeWarnings(images.source, images.path, bounds: nil) {
                context.console.warn(warning)
            }
        }
        let network = try communicator.agreed {
            try Classifier.trainingNetwork(
                training.shape, classes: training.classes, capacity: table.mostRowsOfAShard(batch: Self.batch))
        }
        network.store.initialise(seed: seed, role: 2)
        let steps = (epochs * training.labels.count + Self.batch - 1) / Self.batch
        try train(network, training, table, steps: steps, context)

        var attributes: [(name: String, value: AttributeValue)] = [
            ("data", .string(data)), ("epochs", .integer(epochs)), ("seed", .integer(Int(clamping: seed))),
        ]
        let file = Checkpoint(
            path: path,
            contents: Classifier.contents(network, classes: training.classes, step: steps, attributes: attributes))
        if let test {
            let accuracy = try accuracy(of: Classifier(file), test, context)
            context.console.say(
                String(
                    format: "%.2f %% of the %d images of %@ are classified rightly", 100 * accuracy, test.labels.count,
                    heldOut! as NSString))
            attributes.append(("accuracy", .double(accuracy)))
        }
        _ = try communicator.decidedByRoot {
            try CheckpointImage(
                Classifier.contents(network, classes: training.classes, step: steps, attributes: attributes)
            ).write(to: path)
            return ""
        }
        context.console.say("classifier in \(path)")
    }

    private func train(
        _ network: Network, _ images: LabelledImages, _ table: ShardTable, steps: Int, _ context: EvaluationContext
    ) throws {
        let communicator = context.communicator
        let reader = try communicator.agreed {
            try MinibatchReader(
                images.source, batch: Self.batch, seed: seed, rows: table.rows(batch: Self.batch),
                shuffle: images.source.shuffle)
        }
        let gradients = try GradientSum(
            count: network.store.count, scale: 1 / Float(Self.batch), table: table, communicator: communicator)
        let losses = ShardSums(count: 2, table: table, communicator: communicator)
        let settings = OptimiserSettings(
            .adam(beta1: 0.9, beta2: 0.999, epsilon: 1e-8),
            rate: Schedule(.linear(from: Self.rate, to: 0, over: steps)))
        let optimiser = Optimiser(settings, count: network.store.count)
        let logitGradient = FloatBuffer(count: network.capacity * images.classes)
        let firstRow = table.rows(batch: Self.batch).lowerBound
        for step in 0 ..< steps {
            let minibatch = try communicator.agreed { try reader.minibatch(step) }
            let labels = reader.indices(minibatch: step).map { images.labels[$0] }
            for shard in table.mine {
                let rows = table.rows(of: shard, batch: Self.batch)
                gradients.beginShard()
                let mine = minibatch[
                    (rows.lowerBound - firstRow) * images.shape.count ..< (rows.upperBound - firstRow)
                        * images.shape.count]
                let draws = Draws(seed: seed, purpose: .dropoutReal, step: step, firstSample: rows.lowerBound)
                let logits = try network.forward(
                    Batch(mine, count: rows.count, shape: images.shape), parameters: network.store.values.values,
                    mode: .training(draws))
                let (loss, right) = Self.crossEntropy(logits, Array(labels[rows]), gradient: logitGradient.values)
                losses[shard: shard, 0] += loss
                losses[shard: shard, 1] += Double(right)
                _ = try network.backward(
                    from: Batch(logitGradient.values, count: rows.count, shape: logits.shape),
                    parameters: network.store.values.values, into: gradients.slot,
                    adding: gradients.addsToSlot, inputGradient: false
                ) { gradients.settle(from: $0.lowerBound) }
                gradients.endShard()
            }
            _ = optimiser.update(
                network.store.values.values, gradients: try gradients.finish(),
                at: Progress(steps: step, epochs: 0, examples: Double(step * Self.batch), update: step + 1))
            try losses.sum()
            try report(
                step + 1, of: steps, loss: losses.totals[0] / Double(Self.batch),
                right: losses.totals[1] / Double(Self.batch), context.console)
        }
    }

    /// −Σ log p(label) over a shard, how many examples are classified rightly, and the gradient with respect to the
    /// logits, p − 1 at the label and p elsewhere.
    static func crossEntropy(_ logits: Batch, _ labels: [Int], gradient: Floats) -> (loss: Double, right: Int) {
        let classes = logits.shape.count
        var loss = 0.0, right = 0
        for (row, label) in labels.enumerated() {
            let logProbabilities = logSoftmax((0 ..< classes).map { Double(logits.values[row * classes + $0]) })
            loss -= logProbabilities[label]
            if logProbabilities[label] == logProbabilities.max() { right += 1 }
            for index in 0 ..< classes {
                gradient[row * classes + index] = Float(exp(logProbabilities[index]) - (index == label ? 1 : 0))
            }
        }
        return (loss, right)
    }

    private func report(_ step: Int, of steps: Int, loss: Double, right: Double, _ console: Console) throws {
        guard loss.isFinite else {
            throw AgreedFailure(
                Failure(
                    .diverged, "training diverged: the classifier's loss is \(loss) at step \(step)",
                    remedy: "Check the images and labels."))
        }
        let text = String(format: "loss %.3f, %.0f %% right", loss, 100 * right)
        if console.drawsBar {
            console.progress(step, of: steps, text)
        } else if step % 200 == 0 || step == steps {
            console.say("step \(step)/\(steps)  \(text)")
        }
    }

    private func accuracy(
        of classifier: Classifier, _ test: LabelledImages, _ context: EvaluationContext
    ) throws -> Double {
        let examples = try context.communicator.agreed {
            try Examples(test.source, Array(0 ..< test.labels.count), shape: test.shape)
        }
        let answers = try classifier.answers(examples, context, "testing")
        return Double(zip(answers.labels, test.labels).count { $0 == $1 }) / Double(test.labels.count)
    }
}

/// Images in [0, 1] with a class 0 ..< K for each.
struct LabelledImages {
    let path: String
    let source: SampleSource
    let labels: [Int]
    let shape: Shape
    let classes: Int

    /// Throws 65 where the file has no such labels, or images of another shape than `other`.
    init(_ path: String, dataset name: String? = nil, like other: LabelledImages? = nil) throws {
        let dataset = try Dataset(path, dataset: name, labelled: true)
        guard dataset.shape.count == 3 else {
            throw Failure(
                .badData, "\(path) holds vectors of \(dataset.shape), not images",
                remedy: "Name a file with /images and /labels.")
        }
        guard let labels = try dataset.labels else {
            throw Failure(
                .badData, "\(path) has no /labels",
                remedy: "Import it with them (gan-dist data import … --labels), or name another file.")
        }
        let most = other?.classes ?? 1000
        if let row = labels.firstIndex(where: { $0 < 0 || $0 >= most }) {
            throw Failure(
                .badData,
                "row \(row) of /labels in \(path) is \(labels[row]); classes are numbered from "
                    + "0\(other == nil ? ", 2 to 1000 of them" : " to \(most - 1)")",
                remedy: "Number the labels anew.")
        }
        let classes = other?.classes ?? labels.max()! + 1
        guard classes > 1 else {
            throw Failure(
                .badData, "/labels in \(path) are all 0: there is nothing to tell apart",
                remedy: "Use images of at least two classes.")
        }
        shape = .image(height: dataset.shape[0], width: dataset.shape[1], channels: dataset.shape[2])
        if let other, shape != other.shape {
            throw Failure(
                .badData, "the images of \(path) have the shape \(shape), those trained on \(other.shape)",
                remedy: "Import both with the same --size.")
        }
        (self.path, self.labels, self.classes) = (path, labels, classes)
        source = try SampleSource(dataset, range: 0 ... 1)
    }
}
