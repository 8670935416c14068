import Support

/// `output.evaluate`: what is measured of a run while it trains.
public struct EvaluationSettings: Sendable {
    /// Steps between two evaluations.
    public let every: Int
    /// By the names of `gan-dist evaluate`.
    public let metrics: [String]
    /// The file of a classifier, for the measures made of its answers.
    public let classifier: String?
    /// Samples, and real examples, that are measured.
    public let count: Int
    /// The figure by which the best checkpoint is known.
    public let best: String?
    /// Steps without a better one after which the run ends.
    public let patience: Int?
}

extension Section {
    /// `evaluate: {every: 1000, metrics: [swd]}`. Absent: nil, and it stays out of the whole.
    func evaluation(_ key: String) throws(Failure) -> EvaluationSettings? {
        guard node(key) != nil else {
            allow(key, "a group", meaning: "measures of the generator while it trains", form: "{every: 1000}")
            return nil
        }
        return try section(key) { (section) throws(Failure) in
            let every = try section.integer("every", 1 ... .max, meaning: "steps between two evaluations")
            let metrics = try section.strings(
                "metrics",
                meaning: "measures by the names of `gan-dist evaluate`, but `parzen`, `game` and `log-likelihood`")
            let classifier = try section.optionalString(
                "classifier", meaning: "what `gan-dist classifier train` made, for measures made of its answers")
            let count = try section.integer(
                "count", default: 10_000, 16 ... 10_000_000, meaning: "samples that are measured, by as many real ones")
            let best = try section.optionalString(
                "best", meaning: "the figure of these by which `checkpoints/best` is kept, such as `precision`")
            let patience = try section.optionalInteger(
                "patience", 1 ... .max, meaning: "steps without a better `best` after which the run ends, with code 0")
            if patience != nil, best == nil {
                throw .configuration(
                    section.name("patience"), "there is no figure to get better", remedy: "Name one: \(name(key)).best."
                )
            }
            return EvaluationSettings(
                every: every, metrics: metrics, classifier: classifier, count: count, best: best, patience: patience)
        }
    }
}
