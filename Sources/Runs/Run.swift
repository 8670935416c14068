import Adversarial
import Autoencoders
import Collectives
import Foundation
import Kernels
import Nets
import Recipes
import Storage
import Support

/// A training run: the loop around the step of a trainer, that of a game or of an autoencoder, with what happens
/// between steps (logs, samples, checkpoints, stops).
///
/// Rank 0 alone prints and writes. Whatever ends the loop early has been agreed by all ranks at a step boundary.
public final class Run {
    private let options: TrainOptions
    let communicator: any Communicator
    let console: Console
    let configuration: any GeneratorConfiguration
    let lifecycle: RunLifecycle
    let trainer: any NetworkTrainer
    private let images: MinibatchReader
    let dataset: TrainingData
    /// Why every rank of a node holds the dataset for itself, in a sentence; nil where they hold it together.
    private let privateData: [String]
    /// Whether all ranks give the same bits for the same sums.
    private let computesAlike: Bool
    /// Nil on ranks other than the first.
    var metrics: MetricsLog?
    var events: EventFile?
    private var samples: SampleSheet?
    private var reconstructions: ReconstructionSheet?
    /// Nil where nothing is measured.
    var evaluations: Evaluations?

    var folder: RunFolder { lifecycle.folder }
    var watchdog: Watchdog? { lifecycle.watchdog }

    /// Trains as `options` say; returns the exit code, 0 or 75. `evaluator`: makes what measures a run that is to be
    /// measured (`output.evaluate`). Collective.
    public static func train(
        _ options: TrainOptions, _ communicator: any Communicator, evaluator: RunEvaluatorMaker? = nil
    ) throws -> Int32 {
        let console = Console(speaks: communicator.rank == 0, quiet: options.quiet)
        let session = try RunSession(options, communicator, console)
        defer { session.end() }
        let train: () throws -> Int32
        do {
            switch session.configuration {
            case .gan(let configuration):
                train = try Run(configuration, options, session, communicator, console, evaluator).train
            case .autoencoder(let configuration):
                train = try Run(configuration, options, session, communicator, console, evaluator).train
            case .discriminator(let configuration):
                train = try Run(configuration, options, session, communicator, console, evaluator).train
            case .mixture(let configuration) where options.dryRun:
                try MixtureRun.describe(configuration, options, session, communicator)
                return 0
            case .mixture(let configuration):
                train = try MixtureRun(configuration, options, session, communicator, console).train
            }
        } catch let agreed as AgreedFailure {
            throw AgreedFailure(agreed.failure.placed(in: session.configuration.source))
        } catch let failure as Failure {
            throw failure.placed(in: session.configuration.source)
        }
        return try train()
    }

    private func train() throws -> Int32 {
        if options.dryRun {
            describe()
            return 0
        }
        defer { lifecycle.finishWriting() }
        return try loop()
    }

    // MARK: - Setting up

    private init(
        _ given: any GeneratorConfiguration, _ options: TrainOptions, _ session: RunSession,
        _ communicator: any Communicator, _ console: Console, _ makeEvaluator: RunEvaluatorMaker?
    ) throws {
        self.options = options
        self.communicator = communicator
        self.console = console
        lifecycle = RunLifecycle(options, session, communicator, console)

        let shards = try communicator.agreed {
            let table = try ShardTable(
                shards: given.exchange.shards ?? communicator.size, communicator: communicator)
            try table.check(batch: given.batch)
            return table
        }
        if let file = given.data.file {
            try communicator.inspect(file, of: given)
        }
        var file = try communicator.agreed { try DataFile(given, checkpoint: session.checkpoint) }
        let resident = try file?.shareValues(shards: shards, communicator) ?? (values: nil, sentences: [])
        let data = try communicator.agreed { [file] in
            try TrainingData(given, file, resident: resident.values, checkpoint: session.checkpoint)
        }
        dataset = data
        privateData = resident.sentences
        try communicator.requireEqual(Program.version, "the program versions")
        try communicator.requireEqual(dataset.fingerprint, "the datasets \(dataset.name)")
        configuration = try Self.settle(given, isNew: session.checkpoint == nil, data, communicator)
        images = try communicator.agreed { [configuration, dataset] in
            try dataset.reader(
                batch: configuration.batch, rows: shards.rows(batch: configuration.batch),
                seed: configuration.seed, shuffle: configuration.data.shuffle)
        }
        // What one rank alone may fail at comes before what all do together.
        let settings = try communicator.agreed { [configuration, dataset] in try configuration.trained(on: dataset) }
        trainer = try communicator.agreed { [images] in
            try settings.trainer(data, reals: images, shards: shards, communicator)
        }
        if session.checkpoint != nil {
            try communicator.agreed { [trainer, dataset] in
                try session.plan?.checkpoint.map { try trainer.restore($0, dataset) }
            }
            try trainer.share(from: 0, step: session.plan?.checkpoint?.contents.step ?? 0)
        } else {
            if trainer.startsFromMarginals {
                let means = try communicator.agreed { [trainer, dataset] in
                    let means = try dataset.means()
                    try trainer.requireMarginals(means)
                    return means
                }
                try trainer.fillMarginals(means)
            }
            if let file = options.initialValues {
                try communicator.agreed { [trainer, communicator] in
                    if communicator.rank == 0 { console.say(try trainer.start(from: file)) }
                }
                try trainer.share(from: 0, step: 0)
                try trainer.parametersWereGiven()
            }
        }
        try trainer.requireEqualReplicas()
        computesAlike = try NumericEnvironment.compare(communicator, session.plan?.checkpoint, console)
        trainer.watchdog = lifecycle.watchdog
        if let file = options.traceFile, !options.dryRun {
            trainer.trace = try communicator.agreed { [trainer, configuration, options, dataset] in
                try TraceRecorder(
                    file: file, steps: options.traceSteps, examples: dataset.count, trainer, configuration, communicator
                )
            }
        }
        try prepareEvaluations(makeEvaluator)
        if communicator.rank == 0, !options.dryRun { try openFiles() }
    }

    /// The configuration with what a new run finds and keeps settled for good: the order of its examples and the range
    /// of their values, so that it never trains on others. Rank 0 decides, for another rank's copy of the file may be
    /// cut into other chunks.
    private static func settle(
        _ given: any GeneratorConfiguration, isNew: Bool, _ data: TrainingData, _ communicator: any Communicator
    ) throws -> any GeneratorConfiguration {
        guard isNew else { return given }
        let configuration = try data.conditions.map(given.settled) ?? given
        guard configuration.data.file != nil else { return configuration }
        let decided = try communicator.decidedByRoot {
            let shuffle = data.shuffle(given.data)
            var tree = try ConfigurationTree(
                yaml: configuration.yaml, source: "rank 0's configuration", .stored)
            try tree.set("data.shuffle.block", to: shuffle.block)
            try tree.set("data.shuffle.window", to: shuffle.window)
            if let range = data.settledRange, given.data.range == nil {
                try tree.set("data.range", to: range)
            }
            return try ModelConfiguration(tree: tree).yaml
        }
        return try ModelConfiguration(stored: decided, source: "rank 0's configuration").generator!
    }

    private func openFiles() throws {
        console.copyLines(to: folder.log)
        try WholeFile.write(Array(configuration.yaml.utf8), to: folder.configuration, replacing: true)
        metrics = try MetricsLog(path: folder.metrics, keepingThrough: trainer.stepsDone)
        events = try EventFile(folder: folder.path, keepingThrough: trainer.stepsDone)
        samples = try SampleSheet(trainer, configuration, dataset, folder)
        reconstructions = try ReconstructionSheet(trainer, dataset, folder)
        if samples == nil { console.say("no pictures: examples of shape \(dataset.shape) cannot be drawn") }
        lifecycle.open(checkpoints)
    }

    /// What `--dry-run` prints.
    private func describe() {
        guard communicator.rank == 0, !options.quiet else { return }
        print(configuration.yaml)
        for player in trainer.players { print(player.network.memoryPlan) }
        if let alone = (configuration as? DiscriminatorConfiguration)?.training {
            let megabytes = 4e-6 * Double(alone.negatives * alone.example.count)
            print(String(format: "%d negatives on every rank: %.1f MB", alone.negatives, megabytes))
        }
        if let line = dataset.conditions?.line { print(line) }
        if let line = rangeLine { print(line) }
        for warning in dataset.rangeWarnings { console.warn(warning) }
        print("shards of a minibatch of \(configuration.batch) on \(communicator.size) ranks:")
        print(trainer.shards.description(batch: configuration.batch))
    }

    // MARK: - The loop

    private func loop() throws -> Int32 {
        announce()
        try resumeEvaluations()  // all ranks
        // all ranks
        if let warning = SharedCores.warning(try SharedCores.find(communicator)) { console.warn(warning) }
        StopRequest.begin()
        let steps = configuration.steps
        let output = configuration.output
        guard try evaluateWhatWasMissed() else { return try leaveEarly() }  // all ranks
        var throughput = Throughput()
        while trainer.stepsDone < steps, evaluations?.end == nil {
            // all ranks
            let report = try trainer.step(stopVote: wantsToStop, checkpointVote: lifecycle.hasWritten)
            try check(report)  // all ranks
            throughput.count(samples: samplesPerStep, clock: trainer.clock)
            let evaluation = report.stopRequested ? nil : try evaluate()  // all ranks
            try lifecycle.writing { try log(report, evaluation, &throughput) }  // rank 0
            if report.checkpointFinished { try lifecycle.settle(step: trainer.stepsDone) }  // all ranks
            let done = trainer.stepsDone, isLast = done == steps || evaluations?.end != nil
            if done % output.sampleEvery == 0 || isLast { try lifecycle.writing(drawSamples) }  // rank 0
            let isMissed = evaluations?.isDue(after: done, of: steps) ?? false
            if isMissed || report.stopRequested && !isLast { return try leaveEarly() }  // all ranks
            let isBest = evaluation?.isBest ?? false, isChecked = done % configuration.exchange.checkEvery == 0
            if isChecked, computesAlike { try trainer.requireEqualArithmetic() }  // all ranks
            if done % output.checkpointEvery == 0 || isLast || isBest {
                try save(isBest: isBest)  // all ranks
            } else if isChecked {
                try trainer.requireEqualReplicas()  // all ranks
            }
        }
        StopRequest.finish()
        try lifecycle.settle(step: trainer.stepsDone)
        try lifecycle.writing(animate)  // rank 0
        finish()
        return 0
    }

    private var samplesPerStep: Int { trainer.batch * trainer.minibatchesOfStep }

    private func announce() {
        let data = dataset.name
        let start =
            trainer.stepsDone == 0
            ? "from the start" : "from step \(trainer.stepsDone) (\(lifecycle.lastCheckpoint ?? ""))"
        let preset =
            options.preset == nil && options.configurationFile == nil && trainer.stepsDone == 0
            ? " (the built-in ring; gan-dist presets lists more)" : ""
        console.say(
            "gan-dist \(Program.version): \(configuration.name)\(preset) on \(communicator.size) "
                + "rank\(communicator.size == 1 ? "" : "s"), \(trainer.shards.shards) shards of a batch of "
                + "\(configuration.batch), with \(InstructionSet.current.name) and OpenBLAS's \(BLAS.kernels)"
        )
        let sizes = trainer.players.map { "\($0.role.name) \($0.network.store.parameterCount)" }
        console.say("data \(data); \(sizes.joined(separator: " and ")) parameters")
        let shuffle = configuration.data.shuffle
        if shuffle.block > 1 {
            console.say(
                "examples are mixed within windows of \(shuffle.window) blocks of \(shuffle.block) (data.shuffle)")
        }
        if let warning = dataset.warning(shuffle, memoryLimit: configuration.data.memoryLimit) { console.warn(warning) }
        sayRange()
        if let warning = trainer.players.lazy.compactMap(\.warning).first { console.warn(warning) }
        for sentence in privateData + [trainer.lackOfRoom].compactMap({ $0 }) { console.warn(sentence) }
        if let copies = trainer.copiesOfDomains {
            console.say("a copy of the networks for each of \(copies) NUMA domains, within which the ranks are bound")
        }
        console.say("training \(start) to step \(configuration.steps); run folder \(folder.path)")
        if trainer.stepsDone >= configuration.steps {
            console.say("the run is finished already: give a larger --steps to go on")
        }
    }

    private func sayRange() {
        if let conditions = dataset.conditions {
            console.say(conditions.line)
            if let warning = conditions.warning { console.warn(warning) }
        }
        if let line = rangeLine { console.say(line) }
        for warning in dataset.rangeWarnings { console.warn(warning) }
    }

    private var rangeLine: String? {
        let judge = configuration.encoderLayers == nil ? "D" : "the encoder"
        return dataset.rangeLine?.replacing("D sees", with: "\(judge) sees")
    }

    private func finish() {
        console.clearBar()
        if let end = evaluations?.end { console.say("the run ends early: \(end)") }
        console.say(
            "done: \(trainer.stepsDone) steps in \(durationText(lifecycle.seconds)); checkpoint "
                + "\(lifecycle.lastCheckpoint ?? "none")\(samples == nil ? "" : ", samples in \(folder.samples)")"
        )
    }

    var wantsToStop: Bool { lifecycle.wantsToStop(secondsOfStep: trainer.clock.total) }

    private func leaveEarly() throws -> Int32 {
        try save()
        try lifecycle.settle(step: trainer.stepsDone)
        try lifecycle.writing(animate)
        return lifecycle.stopped(after: trainer.stepsDone)
    }

    /// All ranks have the same report, and so the same verdict.
    private func check(_ report: any TrainingReport) throws {
        guard let bad = report.notFinite else { return }
        try lifecycle.settle(step: trainer.stepsDone)
        throw AgreedFailure(
            Failure(
                .diverged,
                "training diverged: \(bad.name) is \(bad.value) at step \(report.step). \(lifecycle.lastGood)",
                remedy: (bad.name == "ascent_rise"
                    ? "Lower model.step_size" : "Lower the learning rates (optimizer.….rate)")
                    + ", or resume from an earlier checkpoint with another seed."
            ))
    }

    private func log(
        _ report: any TrainingReport, _ evaluation: EvaluationOutcome?, _ throughput: inout Throughput
    ) throws {
        guard communicator.rank == 0 else { return }
        try lifecycle.refuseIfLost()
        let steps = configuration.steps
        if report.step % configuration.output.logEvery == 0 || report.step == steps || evaluation != nil {
            let line = MetricsLine(
                report: report, epoch: images.epochs(minibatch: trainer.minibatchesDone),
                samplesSeen: trainer.stepsDone * samplesPerStep, throughput: throughput,
                spectralNorms: trainer.spectralNorms, evaluation: evaluation?.logged ?? [])
            try metrics?.append(line)
            try events?.append(
                step: report.step,
                scalars: line.figures.compactMap { name, value in
                    name == Evaluations.settingsName ? nil : value.map { (name, $0) }
                })
            if !console.drawsBar { console.say("step \(report.step)/\(steps)  " + summary(report, throughput)) }
            if let evaluation { console.say("evaluation of step \(report.step): \(evaluation.summary)") }
            throughput.restart()
        }
        if console.drawsBar { console.progress(report.step, of: steps, summary(report, throughput)) }
    }

    private func summary(_ report: any TrainingReport, _ throughput: Throughput) -> String {
        let left = Double(configuration.steps - report.step) * throughput.secondsPerStep
        return report.summary + String(format: "  %.0f samples/s  ", throughput.samplesPerSecond) + durationText(left)
            + " left"
    }

    private func drawSamples() throws {
        watchdog?.enter(.samples, step: trainer.stepsDone)
        let step = trainer.stepsDone
        if let picture = try samples?.draw(step: step) {
            try events?.append(step: step, name: "samples", picture: picture)
        }
        if let picture = try reconstructions?.draw(step: step) {
            try events?.append(step: step, name: "reconstructions", picture: picture)
        }
    }

    /// The pictures so far as an animation: what the run leaves when it ends or stops. Rank 0.
    private func animate() throws {
        watchdog?.enter(.samples, step: trainer.stepsDone)
        if samples != nil { try SampleSheet.animate(folder, through: trainer.stepsDone) }
    }

    // MARK: - Checkpoints

    /// Rank 0's.
    lazy var checkpoints = CheckpointFolder(folder.checkpoints, keep: configuration.output.keep)

    /// Rank 0 begins to write a checkpoint of a state that all ranks have; training may go on.
    func save(isBest: Bool = false) throws {
        try trainer.requireEqualReplicas()
        try lifecycle.save(step: trainer.stepsDone, isBest: isBest) {
            trainer.checkpoint(configuration, dataset, ranks: communicator.size)
        }
    }
}
