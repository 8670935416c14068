import Collectives
import Foundation
import Kernels
import Mixtures
import Nets
import Recipes
import Storage
import Support

/// A run that fits a mixture of Gaussians: the loop around ``ExpectationMaximisation/step()``, with the logs, samples,
/// checkpoints and stops of any run. All ranks have the same mixture; rank 0 alone prints and writes.
final class MixtureRun {
    private let configuration: MixtureConfiguration
    private let options: TrainOptions
    private let communicator: any Communicator
    private let console: Console
    private let lifecycle: RunLifecycle
    private let data: MixtureData
    private let principal: PrincipalComponents?
    private let fit: ExpectationMaximisation
    private let heldOut: ShardedRows?
    private var stepsDone = 0
    /// Of the step before, in nats an example; −∞ before there is one.
    private var logLikelihood = -Double.infinity
    /// By how much the last step raised ``logLikelihood``.
    private var gain = Double.infinity
    private var secondsOfStep = 0.0
    private var metrics: MetricsLog?
    private var events: EventFile?

    /// Collective.
    init(
        _ given: MixtureConfiguration, _ options: TrainOptions, _ session: RunSession,
        _ communicator: any Communicator, _ console: Console
    ) throws {
        (configuration, self.options, self.communicator, self.console) = (given, options, communicator, console)
        lifecycle = RunLifecycle(options, session, communicator, console)
        let settings = given.data
        let (found, table, kept) = try Self.open(given, options, session, communicator)
        data = found
        let all = try communicator.agreed { try found.rows(table, limit: settings.memoryLimit) }
        if kept == nil { console.say("the start: principal components, k-means++ and a covariance of each component") }
        principal =
            try kept?.principal
            ?? given.mixture.principal.map { try PrincipalComponents(of: all, count: $0, communicator: communicator) }
        let rows = principal?.project(all) ?? all
        let projection = principal
        heldOut = try communicator.agreed {
            try found.heldOut(settings, table).map { projection?.project($0) ?? $0 }
        }
        let start =
            try kept?.mixture
            ?? GaussianMixture.start(
                given.mixture.covariance, components: given.mixture.components, rows, seed: given.seed,
                floor: given.mixture.floor, communicator: communicator)
        fit = ExpectationMaximisation(start, rows, floor: given.mixture.floor, communicator: communicator)
        if let kept { (stepsDone, logLikelihood, gain) = (kept.step, kept.logLikelihood, kept.gain) }
        try requireEqualReplicas()
        try NumericEnvironment.compare(communicator, session.plan?.checkpoint, console)
        if communicator.rank == 0 { try openFiles() }
    }

    /// The data, the shards, and what the checkpoint keeps. Throws what does not fit each other. Collective.
    private static func open(
        _ given: MixtureConfiguration, _ options: TrainOptions, _ session: RunSession, _ communicator: any Communicator
    ) throws -> (MixtureData, ShardTable, Kept?) {
        try refuse(options)
        let settings = given.data
        try communicator.inspect(
            [settings.file, settings.heldOut].compactMap { $0.map { ($0, settings.dataset) } }, options: .configuration)
        let table = try communicator.agreed {
            try ShardTable(shards: given.exchange.shards ?? communicator.size, communicator: communicator)
        }
        let found = try communicator.agreed { try MixtureData(settings, seed: given.seed) }
        try communicator.requireEqual(Program.version, "the program versions")
        try communicator.requireEqual(found.fingerprint, "the datasets \(found.name)")
        let checkpoint = try session.checkpoint.map { path in
            try communicator.agreed { try session.plan?.checkpoint ?? Checkpoint.read(path) }
        }
        let kept = try communicator.agreed { try checkpoint.map { try Kept($0, given, found) } }
        try communicator.agreed { try check(given.mixture, found) }
        return (found, table, kept)
    }

    /// What `--dry-run` checks and prints. Collective.
    static func describe(
        _ given: MixtureConfiguration, _ options: TrainOptions, _ session: RunSession, _ communicator: any Communicator
    ) throws {
        let (data, table, _) = try open(given, options, session, communicator)
        guard communicator.rank == 0, !options.quiet else { return }
        print(given.yaml)
        let settings = given.mixture, values = settings.principal ?? data.shape.count
        let component = 1 + values + settings.covariance.count(values)
        let rows = table.rows(batch: data.count).count
        func megabytes(_ doubles: Int) -> String { String(format: "%.1f MB", 8e-6 * Double(doubles)) }
        print(
            "\(data.count) examples of \(data.shape)"
                + (settings.principal.map { ", of which \($0) principal components" } ?? "")
                + "; a rank holds \(rows) of them, \(megabytes(rows * values))")
        print(
            "\(settings.components) components: \(megabytes(settings.components * component)), and for each of "
                + "\(table.mine.count) shards of a rank as much again")
        print("shards of the examples on \(communicator.size) ranks:")
        print(table.description(batch: data.count))
    }

    /// What a checkpoint keeps of a run, checked to be of this one.
    private struct Kept {
        let step: Int
        let logLikelihood: Double
        let gain: Double
        let mixture: GaussianMixture
        let principal: PrincipalComponents?

        init(_ checkpoint: Checkpoint, _ configuration: MixtureConfiguration, _ data: MixtureData) throws(Failure) {
            if let stored = checkpoint.contents.string("dataset"), stored != data.fingerprint {
                throw Failure(
                    .badData,
                    "\(data.name) is not the dataset that \(checkpoint.path) was fitted to (\(stored), not "
                        + "\(data.fingerprint))",
                    remedy: "Give the original file with --data, or start a new run with another --run.")
            }
            step = checkpoint.contents.step
            principal = try checkpoint.principalComponents(configuration)
            mixture = try checkpoint.mixture(configuration, dimension: principal?.count ?? data.shape.count)
            func figure(_ name: String) -> Double? {
                if case .double(let value)? = checkpoint.contents.attribute(name) { value } else { nil }
            }
            logLikelihood = figure("log_likelihood") ?? -.infinity
            gain = figure("log_likelihood_gain") ?? .infinity
        }
    }

    /// What belongs to a game of two networks.
    private static func refuse(_ options: TrainOptions) throws {
        for (option, isGiven) in [("--initial", options.initialValues != nil), ("--trace", options.traceFile != nil)]
        where isGiven {
            throw AgreedFailure(
                Failure(
                    .badConfiguration, "\(option) is of networks, and a mixture (model.kind) has none",
                    remedy: "Leave it out."))
        }
    }

    private static func check(_ settings: MixtureSettings, _ data: MixtureData) throws(Failure) {
        if data.count < settings.components {
            throw .configuration(
                "model.components", "\(settings.components) components of \(data.count) examples",
                remedy: "Use at most \(data.count) components, or more data.")
        }
        if let principal = settings.principal, principal > min(data.shape.count, data.count) {
            throw .configuration(
                "model.principal",
                "\(principal) principal components of \(data.count) examples of \(data.shape.count) values",
                remedy: "Use at most \(min(data.shape.count, data.count)), or null.")
        }
    }

    private func openFiles() throws {
        console.copyLines(to: lifecycle.folder.log)
        try WholeFile.write(
            Array(configuration.yaml.utf8), to: lifecycle.folder.configuration, replacing: true)
        metrics = try MetricsLog(path: lifecycle.folder.metrics, keepingThrough: stepsDone)
        events = try EventFile(folder: lifecycle.folder.path, keepingThrough: stepsDone)
        lifecycle.open(CheckpointFolder(lifecycle.folder.checkpoints, keep: configuration.output.keep))
    }

    // MARK: - The loop

    func train() throws -> Int32 {
        defer { lifecycle.finishWriting() }
        announce()
        if let warning = SharedCores.warning(try SharedCores.find(communicator)) { console.warn(warning) }
        StopRequest.begin()
        let output = configuration.output
        // With a tolerance of 0 rounding, which may make the likelihood smaller, ends nothing.
        let tolerance = configuration.mixture.tolerance
        var isConverged: Bool { tolerance > 0 && gain < tolerance }
        var floored = 0
        while stepsDone < configuration.steps, !isConverged {
            let report = try step()  // all ranks
            (gain, logLikelihood) = (report.logLikelihood - logLikelihood, report.logLikelihood)
            floored = report.floored.count
            let isLast = stepsDone == configuration.steps || isConverged
            // all ranks
            let stops = try communicator.any(lifecycle.wantsToStop(secondsOfStep: secondsOfStep))
            let isLogged = stepsDone % output.logEvery == 0 || isLast
            let ofHeldOut = try isLogged ? heldOut.map { try fit.mixture.meanLogLikelihood(of: $0, communicator) } : nil
            if isLogged { try lifecycle.writing { try log(report, ofHeldOut) } }  // rank 0
            if stepsDone % output.sampleEvery == 0 || isLast { try lifecycle.writing(draw) }  // rank 0
            if stops, !isLast {
                try save()
                try lifecycle.settle(step: stepsDone)
                return lifecycle.stopped(after: stepsDone)
            }
            if stepsDone % output.checkpointEvery == 0 || isLast {
                try save()  // all ranks
            } else if stepsDone % configuration.exchange.checkEvery == 0 {
                try requireEqualReplicas()  // all ranks
            }
        }
        StopRequest.finish()
        try lifecycle.settle(step: stepsDone)
        if canDraw, communicator.rank == 0 {
            try lifecycle.writing { try SampleSheet.animate(lifecycle.folder, through: stepsDone) }
        }
        if floored > 0 {
            console.warn(
                "\(floored) component\(floored == 1 ? "" : "s") would have a singular covariance, or nearly: the floor "
                    + "(model.floor, \(configuration.mixture.floor)) acts, and the likelihood follows from it. Fewer "
                    + "components, or model.principal, need none")
        }
        finish(isConverged)
        return 0
    }

    private func step() throws -> ExpectationMaximisation.Report {
        let start = monotonicSeconds(), number = stepsDone + 1
        let report = try fit.step { [lifecycle] in lifecycle.watchdog?.enter(.mixture, step: number) }
        secondsOfStep = monotonicSeconds() - start
        guard report.logLikelihood.isFinite else {
            try lifecycle.settle(step: stepsDone)
            throw AgreedFailure(
                Failure(
                    .diverged,
                    "the fit diverged: the log-likelihood is \(report.logLikelihood) at step \(stepsDone + 1). "
                        + lifecycle.lastGood,
                    remedy: "Raise model.floor, or use fewer components."))
        }
        stepsDone += 1
        return report
    }

    private func announce() {
        let settings = configuration.mixture
        console.say(
            "gan-dist \(Program.version): \(configuration.name), \(settings.components) Gaussians of "
                + "\(settings.covariance.rawValue) covariance, on \(communicator.size) "
                + "rank\(communicator.size == 1 ? "" : "s"), "
                + "\(configuration.exchange.shards ?? communicator.size) shards of \(data.count) examples, with "
                + InstructionSet.current.name
        )
        console.say("data \(data.name)")
        if let line = data.rangeLine { console.say(line.replacing("D sees", with: "the mixture sees")) }
        if let principal {
            console.say(
                "the density is that of \(principal.count) principal components, which hold "
                    + String(format: "%.1f", 100 * principal.explained) + " % of the variance of "
                    + "\(principal.dimension) values")
        }
        console.say(
            "fitting "
                + (stepsDone == 0 ? "from the start" : "from step \(stepsDone) (\(lifecycle.lastCheckpoint ?? ""))")
                + " to step \(configuration.steps); run folder \(lifecycle.folder.path)")
        if stepsDone >= configuration.steps {
            console.say("the run is finished already: give a larger --steps to go on")
        }
    }

    private func finish(_ isConverged: Bool) {
        if isConverged {
            console.say(
                "the run ends: step \(stepsDone) gained less than model.tolerance, "
                    + "\(configuration.mixture.tolerance) nats an example")
        }
        console.say(
            "done: \(stepsDone) steps in \(durationText(lifecycle.seconds)); checkpoint "
                + "\(lifecycle.lastCheckpoint ?? "none")")
    }

    private func log(_ report: ExpectationMaximisation.Report, _ ofHeldOut: Double?) throws {
        guard communicator.rank == 0 else { return }
        try lifecycle.refuseIfLost()
        let ofFile = ofHeldOut.map { [("log_likelihood_held_out", $0)] } ?? []
        let figures: [(name: String, value: Double?)] =
            [("log_likelihood", report.logLikelihood)] + ofFile + [
                ("components_floored", Double(report.floored.count)), ("components_empty", Double(report.empty.count)),
                ("seconds_step", secondsOfStep), ("time", Date().timeIntervalSince1970),
            ]
        try metrics?.append(step: stepsDone, figures)
        try events?.append(
            step: stepsDone, scalars: figures.compactMap { name, value in value.map { (name, $0) } })
        console.say(
            "step \(stepsDone)/\(configuration.steps)  log-likelihood "
                + String(format: "%.4f", report.logLikelihood) + " nats"
                + (ofHeldOut.map { String(format: ", held out %.4f", $0) } ?? "")
                + (report.floored.isEmpty ? "" : "; the floor acts on \(report.floored.count) components")
                + (report.empty.isEmpty ? "" : "; \(report.empty.count) components have no examples"))
    }

    private var canDraw: Bool { Picture.canDraw(data.shape) }

    private func draw() throws {
        guard communicator.rank == 0, canDraw else { return }
        lifecycle.watchdog?.enter(.samples, step: stepsDone)
        let model = MixtureModel(configuration, step: stepsDone, shape: data.shape, fit.mixture, principal)
        let picture = try model.picture(
            count: data.shape.isImage ? 64 : 2048, seed: configuration.seed, synthetic: data.synthetic,
            around: data.firstValues(count: Scene.enough / data.shape.count + 1))
        try picture.write(to: lifecycle.folder.sample(step: stepsDone))
        try events?.append(step: stepsDone, name: "samples", picture: picture)
    }

    // MARK: - State

    private func save() throws {
        try requireEqualReplicas()
        try lifecycle.save(step: stepsDone) { contents }
    }

    private func requireEqualReplicas() throws {
        let mixture = fit.mixture
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for value in mixture.weights + mixture.means + mixture.covariances + (principal?.directions ?? []) {
            // FNV-1a over whole words.
            hash = (hash ^ value.bitPattern) &* 0x100_0000_01B3
        }
        try communicator.requireEqual(hash, "the mixtures after step \(stepsDone)")
    }

    private var contents: CheckpointContents {
        let mixture = fit.mixture, components = mixture.components, dimension = mixture.dimension
        let isFull = mixture.covariance == .full
        var arrays = [
            CheckpointArray(
                path: "mixture/weights", dimensions: [components], layout: "component", doubles: mixture.weights),
            CheckpointArray(
                path: "mixture/means", dimensions: [components, dimension], layout: "component,value",
                doubles: mixture.means),
            CheckpointArray(
                path: "mixture/covariances",
                dimensions: [components, dimension] + (isFull ? [dimension] : []),
                layout: isFull ? "component,value,value" : "component,value", doubles: mixture.covariances),
        ]
        var attributes: [(name: String, value: AttributeValue)] = [
            ("step", .integer(stepsDone)), ("seed", .integer(Int(configuration.seed))),
            ("samples_seen", .integer(stepsDone * data.count)),
            ("epoch", .double(Double(stepsDone))),
            ("shards", .integer(configuration.exchange.shards ?? communicator.size)),
            ("ranks", .integer(communicator.size)), ("config", .string(configuration.yaml)),
            ("dataset", .string(data.fingerprint)), ("program_version", .string(Program.version)),
            ("example_shape", .string(data.shape.dimensions.map(String.init).joined(separator: " "))),
            ("log_likelihood", .double(logLikelihood)), ("log_likelihood_gain", .double(gain)),
            ("created", .string(Date().formatted(.iso8601))),
        ]
        if let principal {
            attributes.append(("explained_variance", .double(principal.explained)))
            arrays += [
                CheckpointArray(
                    path: "principal/mean", dimensions: [principal.dimension], layout: "value",
                    doubles: principal.mean),
                CheckpointArray(
                    path: "principal/directions", dimensions: [principal.count, principal.dimension],
                    layout: "direction,value", doubles: principal.directions),
            ]
        }
        return CheckpointContents(
            attributes: attributes + NumericEnvironment().parts.map { ($0.name, .string($0.value)) }, arrays: arrays)
    }
}
