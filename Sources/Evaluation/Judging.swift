import Adversarial
import Collectives
import Nets
import Recipes
import Runs
import Storage
import Support

/// How the files of an evaluation are read: as the run has read its dataset.
struct Judging {
    let console: Console
    /// What the user calls the examples in the files.
    let dataset: String?
    /// The run's; nil where a file of samples is judged.
    var checkpoint: Checkpoint?
    var configuration: (any GeneratorConfiguration)?
    /// The type of the run's own dataset, once it was opened: others of that type have its range.
    private var runType: String?

    init(console: Console, dataset: String?) { (self.console, self.dataset) = (console, dataset) }

    /// Opens a file; `isConfigured`: its path is the configuration's.
    func dataset(_ path: String, isConfigured: Bool) throws -> Dataset {
        let configured = configuration?.data.dataset
        guard isConfigured else {
            // A file of other examples may have the run's name for them, or the usual one.
            let known = dataset == nil && configured.map { Dataset.holds($0, in: path) } == true
            return try Dataset(path, dataset: dataset ?? (known ? configured : nil))
        }
        do {
            return try Dataset(path, dataset: dataset ?? configured)
        } catch {
            guard error.code == .missingInput else { throw error }
            throw Failure(
                .missingInput,
                "\(error.message.dropLast()). That path is the data.file of \(checkpoint?.path ?? "the checkpoint")",
                remedy: "Name the dataset's new place with --data FILE.h5.")
        }
    }

    /// Its examples: images in [0, 1]; vectors as the discriminator has seen them.
    mutating func open(_ dataset: Dataset, _ shape: Shape) throws -> SampleSource {
        let range = try configuredRange(dataset)
        let asBefore = configuration != nil && configuration?.data.range == nil
        var target: ClosedRange<Float>?
        if case .image = shape {
            target = 0 ... 1
        } else if let configuration {
            target = range == nil ? nil : try configuration.targetRange(of: dataset, asBefore: asBefore)
        } else if dataset.isBytes {
            target = 0 ... 1
        }
        let source = try SampleSource(
            dataset, shape: shape.dimensions, fit: configuration?.data.fit ?? .refuse, range: target, given: range,
            asBefore: asBefore)
        if let line = TrainingData.rangeLine(source) {
            console.say("\(dataset.path): \(line.replacing("D sees", with: "the measures see"))")
        }
        for warning in TrainingData.rangeWarnings(source, dataset.path, bounds: nil) { console.warn(warning) }
        return source
    }

    /// The run's `data.range`, for the run's own dataset and for others that may be of its kind: files that do not
    /// say their range.
    private mutating func configuredRange(_ dataset: Dataset) throws -> ClosedRange<Double>? {
        guard let range = configuration?.data.range else { return nil }
        if checkpoint?.contents.string("dataset") == (try TrainingData.fingerprint(of: dataset)) {
            runType = dataset.storedType
            return range
        }
        return !dataset.statesRange && (!dataset.isBytes || runType == dataset.storedType) ? range : nil
    }
}
