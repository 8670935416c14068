import Foundation
import Kernels

/// The log-likelihood of test images under a Gaussian Parzen window around generated ones (Breuleux et al. 2011), by
/// the protocol of Goodfellow et al. 2014, table 1, and their released code (pylearn2, repository
/// goodfeli/adversarial, parzen_ll.py).
///
///     log p(x) = log (1/M) Σⱼ exp(−|x − cⱼ|² / 2σ²) − D log(σ √2π)
///
/// M centres cⱼ of D pixels in [0, 1]. Of the deviations σ 10⁻¹ … 10⁰ that one is taken which makes validation images
/// likeliest; the figure is the mean over test images, its error deviation / √n. It is known to rank models badly
/// (Theis et al. 2016, §3.2): a figure to compare with published ones.
public enum Parzen {
    public static let centres = 10_000
    public static let validationImages = 1000
    /// NumPy's logspace(-1, 0, 10).
    public static let deviations = (0 ..< 10).map { pow(10, -1 + Double($0) / 9) }

    /// log p of each example under each deviation: [examples, deviations]. The distances are computed once for all
    /// deviations.
    static func logLikelihoods(
        _ examples: Examples, centres: Examples, deviations: [Double], _ context: EvaluationContext, _ title: String
    ) throws -> [Double] {
        let dimension = Double(examples.shape.count)
        let room = FloatBuffer(count: 128 * centres.count)
        return try context.map(examples.count, block: 128, width: deviations.count, title) { rows in
            let distances = room.values[0 ..< rows.count * centres.count]
            Distances.squared(examples[rows], centres.values, length: examples.shape.count, into: distances)
            return (0 ..< rows.count).flatMap { row in
                let row = distances[row * centres.count ..< (row + 1) * centres.count]
                // The likeliest centre is taken out of the sum, so that it cannot vanish.
                let least = Distances.least(of: row)
                return deviations.map { deviation in
                    let scale = 1 / (2 * deviation * deviation)
                    let sum = Distances.sumOfExponentials(of: row, from: least, scale: Float(scale))
                    return log(sum / Double(centres.count)) - Double(least) * scale - dimension
                        * log(deviation * (2 * Double.pi).squareRoot())
                }
            }
        }
    }

    static func measure(
        centres: Examples, validation: Examples, test: Examples, _ context: EvaluationContext
    ) throws -> MetricResult {
        let onValidation = try logLikelihoods(
            validation, centres: centres, deviations: deviations, context, "parzen: validation")
        let means = deviations.indices.map { number in
            stride(from: number, to: onValidation.count, by: deviations.count).map { onValidation[$0] }.mean
        }
        let best = means.indices.max { means[$0] < means[$1] }!
        let onTest = try logLikelihoods(test, centres: centres, deviations: [deviations[best]], context, "parzen: test")
        return MetricResult(
            "parzen", onTest.mean, standardError: onTest.standardError,
            more: [("sigma", .number(deviations[best])), ("validation_log_likelihood", .number(means[best]))],
            settings: [
                ("centres", .count(centres.count)), ("validation", .count(validation.count)),
                ("test", .count(test.count)),
                ("sigmas", .text("logspace(-1, 0, 10)")),
            ])
    }
}
