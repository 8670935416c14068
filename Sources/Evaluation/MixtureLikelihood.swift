import Collectives
import Recipes
import Runs
import Support

/// The one measure of a mixture of Gaussians itself: the mean ln p of examples that it was not fitted to. What compares
/// its samples with data takes a file of them.
public enum MixtureLikelihood {
    /// Nil where the checkpoint is of another model. Throws 78 for a measure that a mixture does not have. Collective.
    public static func measure(_ request: EvaluationRequest, _ context: EvaluationContext) throws -> [MetricResult]? {
        guard let path = request.checkpoint else { return nil }
        let communicator = context.communicator
        // Rank 0 alone looks: a generator's checkpoint is large, and is read again for what it is.
        let isMixture = try communicator.decidedByRoot {
            let checkpoint = try Checkpoint.read(path)
            if case .mixture = try ModelConfiguration(stored: checkpoint.configuration(), source: checkpoint.path) {
                return true
            }
            return false
        }
        guard isMixture else { return nil }
        let checkpoint = try Checkpoint.read(path, communicator) { context.console.warn($0) }
        guard let model = try communicator.agreed({ try MixtureModel(checkpoint) }) else { return nil }
        if let other = request.metrics?.first(where: { $0 != .logLikelihood }) {
            throw refusal(
                "\(other.rawValue) is of samples, and \(path) is a mixture",
                "Make some with gan-dist sample \(path) --out FILE.h5, and evaluate --samples FILE.h5; "
                    + "a mixture itself has log-likelihood.")
        }
        if request.sampling.kind != .generator {
            throw refusal("--by is of two players, and \(path) is a mixture", "Leave it out.")
        }
        let others = [
            ("--data", request.data != nil), ("--classifier", request.classifier != nil), ("--live", request.live),
            ("--count", request.count != nil), ("--figure", request.figure != nil),
        ]
        if let (option, _) = others.first(where: \.1) {
            throw refusal(
                "\(option) is of samples, or of two players, and \(path) is a mixture, of which all held-out examples "
                    + "are asked", "Leave it out.")
        }
        guard let file = request.heldOut ?? model.configuration.data.heldOut else {
            throw refusal(
                "log-likelihood needs examples that the mixture was not fitted to", "Name them with --held-out FILE.h5."
            )
        }
        try communicator.inspect([(file, request.dataset ?? model.configuration.data.dataset)])
        let value = try model.logLikelihood(of: file, dataset: request.dataset, communicator)
        var settings: [MetricResult.Entry] = [
            ("examples", .text(file)), ("components", .count(model.mixture.components)),
            ("values", .count(model.mixture.dimension)),
        ]
        if let principal = model.principal {
            settings.append(("of_principal_components_that_explain", .number(principal.explained)))
        }
        return [
            MetricResult(
                Metric.logLikelihood.rawValue, value,
                more: [("nats_a_value", .number(value / Double(model.mixture.dimension)))], settings: settings)
        ]
    }

    private static func refusal(_ why: String, _ remedy: String) -> AgreedFailure {
        AgreedFailure(Failure(.badConfiguration, why, remedy: remedy))
    }
}
