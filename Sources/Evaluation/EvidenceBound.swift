import Adversarial
import Autoencoders
import Collectives
import Kernels
import Support

/// The evidence lower bound of examples that an autoencoder was not trained on, in nats an example and a dimension:
///
///     ln p(x) ≥ E ln p(x | z) − KL(q(z | x) ‖ p(z)),   z ~ q(z | x)
///
/// Kingma & Welling 2014 (arXiv:1312.6114), eq. 3, by one z an example. With the Bernoulli cost of values between 0 and
/// 1 it is a bound of no density; with the normal one of the density of values as the decoder makes them. It compares
/// with bounds by the same cost only.
enum EvidenceBound {
    /// The figures of an example.
    private static let width = 2

    static func measure(
        _ inputs: EvaluationInputs, _ request: EvaluationRequest, _ context: EvaluationContext
    ) throws -> MetricResult {
        let autoencoder = inputs.autoencoder!
        let examples = try context.communicator.agreed {
            try inputs.heldOut(request.count ?? EvaluationInputs.standardCount)!
        }
        let costs = try context.map(examples.count, block: 256, width: width, "evidence lower bound") { rows in
            let draws = Draws(seed: request.seed, purpose: .evaluation, step: 0, firstSample: rows.lowerBound)
            return try autoencoder.costs(inputs.asMade(examples, rows), draws).flatMap {
                [$0.reconstruction, $0.divergence]
            }
        }
        let reconstruction = stride(from: 0, to: costs.count, by: width).map { costs[$0] }
        let divergence = stride(from: 1, to: costs.count, by: width).map { costs[$0] }
        let bounds = zip(reconstruction, divergence).map { -($0 + $1) }, dimensions = Double(inputs.shape.count)
        return MetricResult(
            Metric.elbo.rawValue, bounds.mean, standardError: bounds.standardError,
            more: [
                ("per_dimension", .number(bounds.mean / dimensions)), ("reconstruction", .number(reconstruction.mean)),
                ("divergence", .number(divergence.mean)),
            ], settings: [("held_out", .count(examples.count)), ("dimensions", .count(inputs.shape.count))])
    }
}
