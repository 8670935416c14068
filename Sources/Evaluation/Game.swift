import Adversarial
import Foundation
import Kernels
import Runs

/// Where the two players stand: the value function V(D, G) = E log D(x) + E log(1 − D(G(z))) of Goodfellow et al.
/// 2014, eq. 1.
///
/// At the equilibrium it is −log 4 and D is ½ everywhere. For any D, V ≤ −log 4 + 2 JSD(data ‖ generated) (theorem
/// 1), so (V + log 4) / 2 is a lower bound of the Jensen-Shannon divergence, in nats; a weak D makes it useless, even
/// negative. D is taken as in sampling: without dropout, with running statistics. Of a discriminator of packs all
/// this is about packs.
public enum Game {
    static func measure(
        _ discriminator: DiscriminatorModel, real: Examples, heldOut: Examples?, generated: Examples,
        _ context: EvaluationContext
    ) throws -> MetricResult {
        let ofReal = try logits(discriminator, real, context),
            ofGenerated = try logits(discriminator, generated, context)
        let logOfReal = ofReal.map { -softplus(-$0) }, logOfGenerated = ofGenerated.map { -softplus($0) }
        let value = logOfReal.mean + logOfGenerated.mean
        let error = (pow(logOfReal.standardError, 2) + pow(logOfGenerated.standardError, 2)).squareRoot()
        var more: [MetricResult.Entry] = [
            ("from_equilibrium", .number(value + log(4))), ("jsd_bound", .number((value + log(4)) / 2)),
            ("d_real", .number(ofReal.map(sigmoid).mean)), ("d_generated", .number(ofGenerated.map(sigmoid).mean)),
        ]
        if let heldOut {
            more.append(("d_held_out", .number(try logits(discriminator, heldOut, context).map(sigmoid).mean)))
        }
        return MetricResult(
            "game", value, standardError: error, more: more,
            settings: [
                ("packing", .count(discriminator.packing)), ("real", .count(real.count)),
                ("generated", .count(generated.count)), ("held_out", .count(heldOut?.count ?? 0)),
                ("discriminator", .text("without dropout, with running statistics")),
            ])
    }

    private static func logits(
        _ discriminator: DiscriminatorModel, _ examples: Examples, _ context: EvaluationContext
    ) throws -> [Double] {
        let packing = discriminator.packing
        return try context.map(examples.count / packing, block: 256, "game") { packs in
            try discriminator.logits(packs.lowerBound * packing ..< packs.upperBound * packing, of: examples).map(
                Double.init)
        }
    }
}

extension DiscriminatorModel {
    /// The logits of some examples, images scaled from [0, 1] to what D was trained on.
    func logits(_ rows: Range<Int>, of examples: Examples) throws -> [Float] {
        let values = examples[rows].array
        guard case .image = examples.shape else { return try logits(FloatBuffer(values)) }
        return try logits(FloatBuffer(values.map { range.lowerBound + $0 * (range.upperBound - range.lowerBound) }))
    }
}
