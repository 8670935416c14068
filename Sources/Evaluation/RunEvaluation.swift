import Adversarial
import Collectives
import Kernels
import Nets
import Recipes
import Runs
import Storage
import Support

/// Measures a run while it trains: `output.evaluate`. It computes with the run's own networks, as sampling does, from
/// draws of its own, so that no bit of the training depends on it.
///
/// The figures are those of `gan-dist evaluate` with the same count and its standard seed, of the generator's average
/// where one is kept. With `data.held_out` there are, of a game, D's mean logits too, of training and of held-out
/// examples: their gap grows as D learns the training data by heart.
public final class RunEvaluation: RunEvaluator {
    public let best: (figure: String, isLowest: Bool)?
    public let settings: UInt32

    private let run: MeasuredRun
    private let request: EvaluationRequest
    private let inputs: EvaluationInputs
    /// As D is shown them.
    private let heldOut: HeldOutExamples?
    /// What is made of the real data, and what that follows from.
    private let real = RealStatistics()
    private let key: [(name: String, value: AttributeValue)]

    /// Throws 65, 66 or 78, with the key, for what cannot be measured. Collective.
    public init(_ run: MeasuredRun) throws {
        self.run = run
        let communicator = run.communicator, data = run.configuration.data
        let settings = run.configuration.output.evaluate!
        if let file = data.heldOut {
            try communicator.inspect(file, of: run.configuration)
        }
        var request = EvaluationRequest()
        (request.count, request.classifier) = (min(settings.count, run.data.examples.count), settings.classifier)
        request.metrics = try communicator.agreed { try Self.metrics(settings.metrics) }
        let trainer = run.trainer as? Trainer, packing = trainer?.game.packing ?? 1
        let heldOut = try HeldOutExamples(
            run.configuration, beside: run.data, conditioned: trainer?.discriminator.network.condition != nil,
            communicator)
        self.heldOut = heldOut
        let measured: [(name: String, value: AttributeValue)]
        (request, inputs, best, measured) = try communicator.agreed {
            if let count = heldOut?.source.count, count < packing {
                throw Failure.badData(
                    "data.held_out: \(data.heldOut!) has \(count) examples, and D judges packs of \(packing)",
                    remedy: "Hold out more.")
            }
            let inputs = EvaluationInputs(
                run, request, heldOut: heldOut?.source,
                try Self.classifier(settings, data, run.data.examples, run.data.shape))
            guard heldOut != nil && trainer?.game.encoder == nil && trainer != nil || request.metrics?.isEmpty == false
            else {
                throw Failure.configuration(
                    "output.evaluate.metrics", "there is nothing to measure",
                    remedy: "Name measures, or examples that are not trained on (data.held_out).")
            }
            let key = try Self.key(run, inputs, seed: request.seed)
            return (request, inputs, try Self.best(settings, request.metrics ?? []), key)
        }
        self.settings = SHA256.number(
            of: measured.map { "\($0.name)=\($0.value.description)\n" }.joined() + (data.heldOut ?? ""))
        let environment = try communicator.decidedByRoot { NumericEnvironment().description }
        key =
            measured + [
                ("held_out", .string(heldOut?.fingerprint ?? "none")), ("program_version", .string(Program.version)),
                ("environment", .string(environment)),
            ]
        self.request = request
        for warning in heldOut?.warnings ?? [] { run.console.warn(warning) }
        if settings.count > run.data.examples.count {
            run.console.say(
                "output.evaluate.count: \(settings.count) samples are more than there are examples to compare with: "
                    + "\(run.data.examples.count) are measured")
        }
        let evaluator = Evaluator(inputs, request, silent())
        for metric in request.metrics ?? [] {
            if let obstacle = evaluator.obstacle(to: metric) {
                throw AgreedFailure(explained(obstacle, metric))
            }
        }
    }

    private static func key(
        _ run: MeasuredRun, _ inputs: EvaluationInputs, seed: UInt64
    ) throws -> [(name: String, value: AttributeValue)] {
        [
            ("kind", .string("real-features")), ("dataset", .string(run.data.fingerprint)),
            ("fit", .string(run.configuration.data.fit.rawValue)),
            ("range", .string(inputs.data.valueRange.map { ValueRange.text($0.bounds) } ?? "none")),
            ("classifier", .string(try inputs.classifier.map { try CheckpointFile.verify($0.name).sha256 } ?? "none")),
            ("count", .integer(min(inputs.sampleCount, inputs.data.count))), ("seed", .integer(Int(seed))),
        ]
    }

    // MARK: - What is asked for

    private static func metrics(_ names: [String]) throws(Failure) -> [Metric] {
        let known = (Metric.ofSamples + [.elbo] + Metric.ofTheory).filter { $0 != .parzen && $0 != .game }.map(
            \.rawValue)
        var metrics: [Metric] = []
        for (number, name) in names.enumerated() {
            guard let metric = Metric(rawValue: name), known.contains(name) else {
                throw .configuration(
                    "output.evaluate.metrics.\(number)", "'\(name)' is not measured while a run trains",
                    remedy: Spelling.suggestion(for: name, among: known)
                        + "Measures: \(known.joined(separator: ", ")).")
            }
            if !metrics.contains(metric) { metrics.append(metric) }
        }
        return metrics
    }

    private static func classifier(
        _ settings: EvaluationSettings, _ data: Configuration.DataSettings, _ examples: SampleSource, _ shape: Shape
    ) throws(Failure) -> Classifier? {
        guard let path = settings.classifier else { return nil }
        let classifier: Classifier
        do { classifier = try Classifier(path) } catch {
            let failure = Failure.of(error)
            throw Failure(failure.code, "output.evaluate.classifier: \(failure.message)", remedy: failure.remedy)
        }
        let isSuited =
            classifier.shape == shape || classifier.isOfFramed(examples, data)
            || StackedClasses(classifier, of: shape) != nil
        guard isSuited else {
            throw .configuration(
                "output.evaluate.classifier",
                "\(path) classifies images of \(classifier.shape), the generator makes examples of \(shape)",
                remedy: "Train a classifier on images of that size (gan-dist data import … --size makes them).")
        }
        return classifier
    }

    private static func best(
        _ settings: EvaluationSettings, _ metrics: [Metric]
    ) throws(Failure) -> (figure: String, isLowest: Bool)? {
        guard let name = settings.best else { return nil }
        let figures = metrics.flatMap(\.figures).filter { $0.isLowest != nil }
        guard let figure = figures.first(where: { $0.name == name }), let isLowest = figure.isLowest else {
            let known = figures.map(\.name)
            throw .configuration(
                "output.evaluate.best", "'\(name)' is no figure of output.evaluate.metrics that gets better",
                remedy: Spelling.suggestion(for: name, among: known)
                    + (known.isEmpty ? "Name measures first." : "It may be: \(known.joined(separator: ", "))."))
        }
        return (Self.logged(name), isLowest)
    }

    /// The key whose value is missing, or that of the measures.
    private func explained(_ obstacle: Failure, _ metric: Metric) -> Failure {
        if inputs.classifier == nil, inputs.isImages, metric.needsClassifier || metric == .modes {
            return .configuration(
                "output.evaluate.classifier", "it is missing: \(obstacle.message)",
                remedy: "Name one (gan-dist classifier train makes it), or leave \(metric.rawValue) out.")
        }
        if metric == .memorisation || metric == .elbo && inputs.autoencoder?.hasBound == true {
            return .configuration(
                "data.held_out", "it is missing: \(obstacle.message)",
                remedy: "Name such, or leave \(metric.rawValue) out.")
        }
        return .configuration(
            "output.evaluate.metrics", obstacle.message, remedy: obstacle.remedy)
    }

    // MARK: - Measuring

    public func prepare() throws {
        let isKnown = real.read(run.folder.realFeatures, key: key)
        // What one rank does not find all of them make.
        if try run.communicator.any(!isKnown) { real.clear() }
        if request.metrics?.contains(.frechetClassifierDistance) == true {
            FrechetDistance.warn(Classifier.features, of: min(inputs.sampleCount, inputs.data.count), run.console)
        }
    }

    public func measure(isInterrupted: @escaping () -> Bool) throws -> [Figure] {
        let context = silent(isInterrupted)
        let figures = try results(context).flatMap { result -> [Figure] in
            [(Self.logged(result.name), result.value)]
                + result.more.compactMap { entry in
                    guard case .number(let value) = entry.quantity else { return nil }
                    return (Self.logged("\(result.name)_\(entry.name)"), value)
                }
        }
        return try figures + gap(context)
    }

    private func results(_ context: EvaluationContext) throws -> [MetricResult] {
        guard !request.metrics!.isEmpty else { return [] }
        let samples = try inputs.samples(context)
        // Of a generator that has just diverged, as the next step will say, nothing is measured.
        guard Reductions.squaredNorm(of: samples.values).isFinite else { return [] }
        let results = try Evaluator(inputs, request, context, samples: samples, real).run()
        if real.isNew, run.communicator.rank == 0 {
            do { try real.write(to: run.folder.realFeatures, key: key) } catch {
                // The run can do without: it costs the next job some time.
                run.console.warn("what evaluations share is not kept: \(error.message)")
            }
        }
        return results
    }

    /// What a figure is called in metrics.jsonl.
    private static func logged(_ name: String) -> String {
        "evaluation_" + name.map { $0 == "-" ? "_" : String($0) }.joined()
    }

    /// The measures' own words are for `gan-dist evaluate`.
    private func silent(_ isInterrupted: @escaping () -> Bool = { false }) -> EvaluationContext {
        EvaluationContext(run.communicator, Console(speaks: false), isInterrupted: isInterrupted)
    }

    /// D's mean logits of as many training and held-out examples, each with what stands beside it where D judges both,
    /// in packs where it judges packs, without dropout and with running statistics.
    private func gap(_ context: EvaluationContext) throws -> [Figure] {
        guard let heldOut, let trainer = run.trainer as? Trainer, trainer.game.encoder == nil else { return [] }
        let packing = trainer.game.packing
        let count = min(request.count!, heldOut.source.count) / packing * packing
        let training = try mean(
            trainer, of: inputs.drawn(count), in: run.data.examples, run.data.conditionTable, context)
        let chosen = inputs.drawn(count, ofHeldOut: heldOut.source)
        let others = try mean(trainer, of: chosen, in: heldOut.source, heldOut.conditions, context)
        return [
            ("evaluation_logit_training", training), ("evaluation_logit_held_out", others),
            ("evaluation_logit_gap", training - others),
        ]
    }

    private func mean(
        _ trainer: Trainer, of examples: [Int], in source: SampleSource, _ conditions: ConditionTable?,
        _ context: EvaluationContext
    ) throws -> Double {
        let player = trainer.discriminator, packing = trainer.game.packing, block = 256
        let packs = Packing(size: packing, example: run.data.shape, capacity: block * packing)
        let values = FloatBuffer(count: block * packing * run.data.shape.count)
        let judged = player.network.condition == nil ? nil : conditions
        let logits = try context.map(examples.count / packing, block: block, "D's logits") { rows in
            let chosen = examples[rows.lowerBound * packing ..< rows.upperBound * packing]
            let part = values.values[0 ..< chosen.count * run.data.shape.count]
            try source.read(Array(chosen), into: part)
            let joined = packs.join(Batch(part, count: chosen.count, shape: run.data.shape))
            return try player.network.answers(
                count: joined.count, player.parameters, judged?.rows(Array(chosen))
            ) { start, size in joined[start ..< start + size] }.array
        }
        return logits.map(Double.init).mean
    }
}
