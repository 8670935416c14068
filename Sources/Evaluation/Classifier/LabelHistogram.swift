import Foundation

/// Which classes the samples are of, by the classifier, against those of the data by the same classifier: KL(samples
/// ‖ data) of the two histograms, 0 for equal ones and about (K − 1)/2 (1/n + 1/m) from counting n and m examples.
public enum LabelHistogram {
    static func measure(
        _ samples: Classifier.Answers, _ reference: Classifier.Answers, _ settings: [MetricResult.Entry]
    ) -> MetricResult {
        let (mine, theirs) = (samples.histogram, reference.histogram)
        func shares(_ counts: [Int]) -> Quantity { .numbers(counts.map { Double($0) / Double(counts.reduce(0, +)) }) }
        return MetricResult(
            "labels", divergence(mine, from: theirs.map(Double.init)),
            more: [("shares_samples", shares(mine)), ("shares_data", shares(theirs))],
            settings: [("samples", .count(samples.count)), ("reference", .count(reference.count))] + settings)
    }

    /// The classes as modes: how many there are, and KL(samples ‖ uniform), as stacked MNIST's modes are counted
    /// (PacGAN, §4.2). `counts`: the samples of each mode; `modes`: what these are, in words.
    static func modes(_ counts: [Int], _ modes: String, _ settings: [MetricResult.Entry]) -> MetricResult {
        MetricResult(
            "modes", Double(counts.count { $0 > 0 }),
            more: [
                ("modes", .count(counts.count)),
                ("reverse_kl", .number(divergence(counts, from: counts.map { _ in 1 }))),
            ],
            settings: [("samples", .count(counts.reduce(0, +))), ("modes_are", .text(modes))] + settings)
    }
}
