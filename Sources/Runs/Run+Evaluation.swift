import Adversarial
import Collectives
import Recipes
import Storage
import Support

/// How a run is measured while it trains.
///
/// A state is measured before its checkpoint is written: a job that is killed meanwhile goes on from an earlier step
/// and measures it again. One that is to stop leaves it to the next job.
extension Run {
    func prepareEvaluations(_ makeEvaluator: RunEvaluatorMaker?) throws {
        guard let settings = configuration.output.evaluate else {
            // `gan-dist evaluate` will look at it: that it is not there is better known now.
            try communicator.agreed { [configuration] in _ = try HeldOutExamples.open(configuration.data) }
            return
        }
        guard let makeEvaluator else {
            throw AgreedFailure(
                .configuration("output.evaluate", "this program measures no runs", remedy: "Take it out."))
        }
        let run = MeasuredRun(
            configuration: configuration, trainer: trainer, data: dataset, folder: folder, communicator: communicator,
            console: console)
        evaluations = try Evaluations(settings, makeEvaluator(run))
    }

    /// Takes up what the jobs before have found. Collective.
    func resumeEvaluations() throws {
        guard let evaluations else { return }
        let steps = try communicator.agreed { communicator.rank == 0 ? try checkpoints.steps() : [] }
        let found = try evaluations.resume(
            communicator.rank == 0 ? MetricsLog.evaluations(path: folder.metrics, through: trainer.stepsDone) : [],
            kept: steps, communicator)
        if let best = found.best, communicator.rank == 0 { checkpoints.keepBest(step: best) }
        if found.othersDiffer {
            console.say(
                "checkpoints that were measured otherwise before (count, classifier or data) are not compared with "
                    + "those to come: the best is looked for anew")
        }
        watchdog?.enter(.evaluation, step: trainer.stepsDone)
        try evaluations.prepare()
        watchdog?.enter(.exchange, step: trainer.stepsDone)
    }

    /// Measures the state at hand, where that is due; nil where it is not, or was interrupted. Collective.
    func evaluate() throws -> EvaluationOutcome? {
        let step = trainer.stepsDone
        guard let evaluations, evaluations.isDue(after: step, of: configuration.steps) else { return nil }
        watchdog?.enter(.evaluation, step: step)
        defer { watchdog?.enter(.exchange, step: step) }
        do {
            return try evaluations.measure(step: step) { [unowned self] in wantsToStop }
        } catch let agreed as AgreedFailure where agreed.failure.code == .inputOutput {
            throw AgreedFailure(
                Failure(.inputOutput, "\(agreed.failure.message) \(lifecycle.lastGood)", remedy: agreed.failure.remedy))
        }
    }

    /// A job that was stopped at a step to be measured has left that to this one; false where this one is to stop, too.
    /// Collective.
    func evaluateWhatWasMissed() throws -> Bool {
        let step = trainer.stepsDone
        guard let evaluations, evaluations.isDue(after: step, of: configuration.steps) else { return true }
        guard let evaluation = try evaluate() else { return false }
        try lifecycle.writing {
            guard communicator.rank == 0 else { return }
            try metrics?.amend(step: step, evaluation.logged)
            try events?.append(step: step, scalars: evaluation.figures)
            console.say("evaluation of step \(step): \(evaluation.summary)")
        }
        if evaluation.isBest { try save(isBest: true) }
        return true
    }
}
