import Adversarial
import Collectives
import Foundation
import Recipes
import Support

/// What one evaluation found.
struct EvaluationOutcome {
    let figures: [Figure]
    /// ``RunEvaluator/settings``.
    let settings: UInt32
    let isBest: Bool
    let seconds: Double

    /// What metrics.jsonl says of it.
    var logged: [Figure] { figures + [(Evaluations.settingsName, Double(settings))] }

    /// For people.
    var summary: String {
        figures.map { "\($0.name.dropFirst("evaluation_".count)) " + String(format: "%.4g", $0.value) }
            .joined(separator: ", ") + String(format: " (%.1f s)", seconds) + (isBest ? "; the best so far" : "")
    }
}

/// When a run is measured, what was found so far, and whether a better state is still waited for. The same on every
/// rank.
final class Evaluations {
    /// Of the number of what it was measured with, in metrics.jsonl.
    static let settingsName = "evaluation_settings"

    private let settings: EvaluationSettings
    private let evaluator: any RunEvaluator
    /// The last step that was measured, and the first one with the settings of now.
    private var last: Int?
    private var first: Int?
    private var best: (step: Int, value: Double)?

    init(_ settings: EvaluationSettings, _ evaluator: any RunEvaluator) {
        (self.settings, self.evaluator) = (settings, evaluator)
    }

    /// Takes up what a job before has logged, of which rank 0 knows: the figures by their steps, in order. `kept`: the
    /// steps of the checkpoints that are there. Returns the step of the best one, and whether others were measured with
    /// other settings, with which none is compared. Collective.
    func resume(
        _ logged: [(step: Int, figures: [String: Double])], kept: [Int], _ communicator: any Communicator
    ) throws -> (best: Int?, othersDiffer: Bool) {
        var othersDiffer = false
        for (step, figures) in logged {
            last = step
            // Before 0.5 nothing was said of the settings.
            let isComparable = figures[Self.settingsName].map { $0 == Double(evaluator.settings) } ?? true
            if isComparable { first = first ?? step }
            // A checkpoint that is gone is none to compare with.
            guard let figure = evaluator.best?.figure, let value = figures[figure], kept.contains(step) else {
                continue
            }
            if isComparable { _ = take(value, step) } else { othersDiffer = true }
        }
        let known = try communicator.broadcast(
            coded: Known(
                first: first, last: last, best: best?.step, value: best?.value ?? 0, othersDiffer: othersDiffer))
        (first, last) = (known.first, known.last)
        best = known.best.map { ($0, known.value) }
        return (best?.step, known.othersDiffer)
    }

    private struct Known: Codable {
        let first, last, best: Int?
        let value: Double
        let othersDiffer: Bool
    }

    /// Collective.
    func prepare() throws { try evaluator.prepare() }

    /// Every so many steps and at the last one, unless that was done.
    func isDue(after step: Int, of steps: Int) -> Bool {
        step > 0 && step != last && (step % settings.every == 0 || step == steps)
    }

    /// Nil where it was interrupted: it is as if it had not begun. Collective.
    func measure(step: Int, isInterrupted: @escaping () -> Bool) throws -> EvaluationOutcome? {
        let start = monotonicSeconds()
        let figures: [Figure]
        do {
            figures = try evaluator.measure(isInterrupted: isInterrupted)
        } catch let agreed as AgreedFailure where agreed.failure.code == .stoppedOnRequest {
            return nil
        }
        first = first ?? step
        last = step
        let value = evaluator.best.flatMap { best in figures.first { $0.name == best.figure }?.value }
        let isBest = value.map { take($0, step) } ?? false
        return EvaluationOutcome(
            figures: figures, settings: evaluator.settings, isBest: isBest, seconds: monotonicSeconds() - start)
    }

    /// Whether `value` is the best so far, which it is from now on.
    private func take(_ value: Double, _ step: Int) -> Bool {
        guard value.isFinite, let isLowest = evaluator.best?.isLowest else { return false }
        if let best, isLowest ? value >= best.value : value <= best.value { return false }
        best = (step, value)
        return true
    }

    /// Why the run ends before its last step, where it does: nothing better was found for `patience` steps.
    var end: String? {
        guard let patience = settings.patience, let first, let last, let figure = settings.best else { return nil }
        let steps = last - (best?.step ?? first)
        guard steps >= patience else { return nil }
        let found =
            best.map { String(format: "no better %@ than %.4g of step %d", figure as NSString, $0.value, $0.step) }
            ?? "no \(figure) that is a number"
        return "\(found) in \(steps) steps (output.evaluate.patience: \(patience))"
    }
}
