import Adversarial
import Autoencoders
import Collectives
import Foundation
import Kernels
import Nets
import Recipes
import Runs
import Storage
import Support

/// What `evaluate` and `nearest` are asked for.
public struct EvaluationRequest: Sendable {
    /// A checkpoint, or the folder of a run for its newest; or nil with ``samples``.
    public var checkpoint: String?
    /// With the generator's parameters of the last step, where an average of them was kept.
    public var live = false
    /// How a checkpoint's samples are made.
    public var sampling = SamplingMethod()
    /// A dataset of examples that are judged in place of a generator's.
    public var samples: String?
    /// The training data; nil: what the checkpoint's configuration names.
    public var data: String?
    /// Examples of the same kind that the generator was not trained on.
    public var heldOut: String?
    /// The path of the examples in ``data`` and ``heldOut``; nil: what the configuration names, else /images or
    /// /samples.
    public var dataset: String?
    /// A classifier file, for the measures made of its answers.
    public var classifier: String?
    /// Nil: all that fit.
    public var metrics: [Metric]?
    /// Examples to judge; nil: as the protocols have it.
    public var count: Int?
    public var seed: UInt64 = 1
    /// Where to draw the optimal discriminator of one-dimensional data, or the correlations of pixels.
    public var figure: String?
    /// Whether the networks are asked for gradients.
    public var needsBackward = false

    public init() {}
}

/// What the measures work on: a generator, or a file of samples, with the data it is judged by.
final class EvaluationInputs {
    static let standardCount = 10_000

    let model: GeneratorModel?
    let discriminator: DiscriminatorModel?
    /// Of which the generator is the decoder.
    let autoencoder: TrainedAutoencoder?
    /// What samples and data have in common.
    let shape: Shape
    let data: SampleSource
    let dataName: String
    let heldOut: SampleSource?
    let mixture: Mixture?
    let classifier: Classifier?
    /// Where the classifier is one of single channels of the images.
    var stacked: StackedClasses? { classifier.flatMap { StackedClasses($0, of: shape) } }
    /// Of ``data``, where the generator is conditioned on them.
    let labels: [Int]?
    /// What the generator is conditioned on.
    let condition: ConditionSettings?
    /// The discriminator, where it is one of single examples alone, and was read with memory for gradients.
    let judge: Judge?
    private let request: EvaluationRequest
    private let sampleFile: SampleSource?
    /// Whose parameters ``autoencoder`` computes with.
    private let autoencoderModel: AutoencoderModel?
    let sampler: Sampler?
    /// What makes the samples, where that is not the sampler alone.
    private let maker: (any ExampleMaker)?

    /// Samples that there will be.
    var sampleCount: Int { min(request.count ?? Self.standardCount, sampleFile?.count ?? maker?.most ?? .max) }
    var isImages: Bool { if case .image = shape { true } else { false } }

    /// Opens all files; throws alike on every rank. `heldOut`: those of the run, where the request names none, too.
    /// Collective.
    convenience init(_ request: EvaluationRequest, _ context: EvaluationContext, heldOut: Bool = true) throws {
        // What a checkpoint was trained on is named in it.
        let trained = try context.communicator.decidedByRoot {
            guard let checkpoint = request.checkpoint,
                let data = try? GeneratorModel(Checkpoint.read(checkpoint) { _ in }).configuration.data
            else { return "\u{1F}\u{1F}" }
            return [data.file ?? "", data.dataset ?? "", heldOut ? data.heldOut ?? "" : ""].joined(separator: "\u{1F}")
        }.components(separatedBy: "\u{1F}")
        var files: [(String, String?)] = [request.samples].compactMap { $0.map { ($0, nil) } }
        // Files that may have the run's name for their examples, or the usual one, are looked at when that is known.
        if request.dataset != nil || trained[1].isEmpty {
            files += [request.data, request.heldOut].compactMap { $0.map { ($0, request.dataset) } }
        }
        let name = request.dataset ?? (trained[1].isEmpty ? nil : trained[1])
        for (given, ofRun) in [(request.data, trained[0]), (request.heldOut, trained[2])]
        where given == nil && !ofRun.isEmpty { files.append((ofRun, name)) }
        try context.communicator.inspect(files)
        let opened = try context.communicator.agreed { try Files(request, heldOut: heldOut, context.console) }
        let maker = try opened.checkpoint.flatMap {
            try opened.model?.maker(by: request.sampling, $0, seed: request.seed, .usual, context.communicator)
        }
        self.init(opened, request, maker)
    }

    private init(_ files: Files, _ request: EvaluationRequest, _ maker: (any ExampleMaker)?) {
        (model, discriminator, shape, data, dataName) = (
            files.model, files.discriminator, files.shape, files.data, files.dataName
        )
        (autoencoderModel, autoencoder) = (files.autoencoder, files.autoencoder?.autoencoder)
        (heldOut, mixture, sampleFile, classifier, labels, self.request) = (
            files.heldOut, files.mixture, files.sampleFile, files.classifier, files.labels, request
        )
        (sampler, condition, self.maker) = (model?.sampler, model?.configuration.condition, maker)
        judge = discriminator.flatMap(Judge.init)
    }

    /// Of a run under way: its generator as samples are made with it, its data in the memory that it has them in.
    init(_ run: MeasuredRun, _ request: EvaluationRequest, heldOut: SampleSource?, _ classifier: Classifier?) {
        (model, discriminator, sampleFile, autoencoderModel) = (nil, nil, nil, nil)
        maker = run.trainer.maker
        (shape, mixture, self.classifier, self.request) = (run.data.shape, run.data.mixture, classifier, request)
        let isImages = if case .image = run.data.shape { true } else { false }
        let inUnitRange = { (source: SampleSource) in isImages ? source.scaled(to: 0 ... 1) : source }
        (data, dataName) = (inUnitRange(run.data.examples), run.configuration.data.file ?? run.configuration.name)
        self.heldOut = heldOut.map(inUnitRange)
        sampler = run.trainer.sampler
        autoencoder = run.trainer.autoencoder
        judge = (run.trainer as? Trainer).flatMap(Judge.init)
        (labels, condition) = (run.data.labels, run.configuration.condition)
    }

    /// The examples that are judged: `request.count` of them, else the usual number; a file of samples has no more
    /// than it has. Of a generator those that `gan-dist sample` with the same seed makes. Collective.
    func samples(_ context: EvaluationContext) throws -> Examples {
        let wanted = sampleCount
        if let sampleFile {
            return try context.communicator.agreed {
                try Examples(sampleFile, drawn(wanted, of: sampleFile, number: 5), shape: shape)
            }
        }
        let sampler = sampler!
        let low = sampler.range.lowerBound, width = sampler.range.upperBound - low
        let maker = maker ?? sampler
        let values = try context.map(wanted, block: 256, width: shape.count, "sampling") { [isImages, request] rows in
            let made = try maker.samples(
                count: rows.count, Draws(seed: request.seed, purpose: .sample, step: 0, firstSample: rows.lowerBound),
                conditions: nil)
            return isImages ? made.array.map { ($0 - low) / width } : made.array
        }
        return Examples(FloatBuffer(values), shape: shape)
    }

    /// The labels that the samples of a conditional generator were asked for.
    func askedLabels(_ count: Int) -> [Int]? {
        guard let sampler, let condition else { return nil }
        let conditions = sampler.conditions(count: count, Draws(seed: request.seed, purpose: .sample, step: 0))
        return conditions?.array.map { condition.labels[Int($0)] }
    }

    /// As many examples of the data, drawn without repetition.
    func reference(_ count: Int) throws -> Examples { try Examples(data, drawn(count), shape: shape) }

    /// Which examples of the data are drawn.
    func drawn(_ count: Int) -> [Int] { drawn(count, of: data, number: 1) }

    /// Examples in the range that the generator makes, of those that measures have within 0 … 1.
    func asMade(_ examples: Examples, _ rows: Range<Int>) -> FloatBuffer {
        let range = sampler!.range, width = range.upperBound - range.lowerBound
        let values = examples[rows].array
        return FloatBuffer(isImages ? values.map { range.lowerBound + $0 * width } : values)
    }

    /// Held-out examples, at most as many.
    func heldOut(_ count: Int) throws -> Examples? {
        try heldOut.map { try Examples($0, drawn(count, ofHeldOut: $0), shape: shape) }
    }

    /// Which examples of a file of held-out ones are taken.
    func drawn(_ count: Int, ofHeldOut source: SampleSource) -> [Int] { drawn(count, of: source, number: 4) }

    /// At most `count` examples of a file, drawn without repetition: it may be sorted by class, and some measures look
    /// at blocks of neighbours.
    private func drawn(_ count: Int, of source: SampleSource, number: Int) -> [Int] {
        let order = Draws(seed: request.seed, purpose: .evaluation, step: number).permutation(count: source.count)
        return order.prefix(count).map(Int.init)
    }
}

/// Finds and opens what a request names.
private struct Files {
    var model: GeneratorModel?
    var checkpoint: Checkpoint?
    var discriminator: DiscriminatorModel?
    var autoencoder: AutoencoderModel?
    var sampleFile: SampleSource?
    var heldOut: SampleSource?
    var mixture: Mixture?
    var classifier: Classifier?
    var labels: [Int]?
    let shape: Shape
    let data: SampleSource
    let dataName: String

    init(_ request: EvaluationRequest, heldOut usesHeldOut: Bool, _ console: Console) throws {
        var judging = Judging(console: console, dataset: request.dataset), seed = request.seed
        var configured: Configuration.DataSettings?
        if let path = request.samples {
            let dataset = try Dataset(path)
            shape = Self.shape(dataset.shape)
            sampleFile = try judging.open(dataset, shape)
        } else {
            let checkpoint = try Checkpoint.read(request.checkpoint ?? "") { console.warn($0) }
            let model = try GeneratorModel(
                checkpoint, live: request.live, backward: request.sampling.needsBackward || request.needsBackward)
            (self.model, shape) = (model, model.network.outputShape)
            autoencoder = try AutoencoderModel(checkpoint, live: request.live)
            if autoencoder == nil, model.configuration is Configuration {
                discriminator = try DiscriminatorModel(checkpoint, backward: request.needsBackward)
            }
            self.checkpoint = checkpoint
            (configured, seed) = (model.configuration.data, model.configuration.seed)
            judging.checkpoint = checkpoint
            judging.configuration = model.configuration
        }
        if let path = request.data ?? configured?.file {
            let dataset = try judging.dataset(path, isConfigured: request.data == nil)
            (data, dataName, mixture) = (try judging.open(dataset, shape), path, dataset.mixture)
            if let configuration = judging.configuration, let condition = configuration.condition,
                case .classes = condition.condition
            {
                labels = try dataset.labels(named: configuration.data.labels)
            }
        } else if let kind = configured?.synthetic, let count = configured?.count {
            let points = kind.points(count: count, seed: seed).samples,
                fresh = kind.points(count: EvaluationInputs.standardCount, seed: seed &+ 1).samples
            data = SampleSource(vectors: points, dimension: kind.dimension)
            heldOut = SampleSource(vectors: fresh, dimension: kind.dimension)
            (dataName, mixture) = ("the built-in \(kind.rawValue)", kind.mixture)
        } else {
            throw Failure(
                .usage, "no data are named to judge by", remedy: "Name the training data with --data FILE.h5.")
        }
        if let path = request.heldOut ?? (usesHeldOut ? configured?.heldOut : nil) {
            heldOut = try judging.open(judging.dataset(path, isConfigured: false), shape)
        }
        if let path = request.classifier {
            let classifier = try Classifier(path)
            let isSuited =
                classifier.shape == shape || classifier.isOfFramed(data, configured)
                || StackedClasses(classifier, of: shape) != nil
            guard isSuited else {
                throw Failure(
                    .badConfiguration, "\(path) classifies images of \(classifier.shape), the samples are of \(shape)",
                    remedy: "Train a classifier on images of that size (gan-dist data import … --size makes them).")
            }
            self.classifier = classifier
        }
    }

    private static func shape(_ dimensions: [Int]) -> Shape {
        dimensions.count == 3
            ? .image(height: dimensions[0], width: dimensions[1], channels: dimensions[2]) : .vector(dimensions[0])
    }
}
