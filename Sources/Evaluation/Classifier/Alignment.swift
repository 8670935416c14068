import Foundation

/// How often a conditional generator makes what it was asked for: the share of samples that the classifier calls by
/// the label they were made for, beside the share of real examples that it calls by their own (as d2l-neu measures its
/// conditional GAN). The second is what the best generator would be expected to reach.
public enum Alignment {
    /// `asked` and `own`: labels, one a sample and one a real example.
    static func measure(
        _ samples: Classifier.Answers, asked: [Int], _ reference: Classifier.Answers, own: [Int],
        _ settings: [MetricResult.Entry]
    ) -> MetricResult {
        let share = share(samples.labels, asked), count = Double(asked.count)
        let labels = Set(asked).sorted()
        let answers = samples.labels
        let ofEach = labels.map { label in
            let rows = asked.indices.filter { asked[$0] == label }
            return Self.share(rows.map { answers[$0] }, rows.map { _ in label })
        }
        return MetricResult(
            "alignment", share, standardError: (share * (1 - share) / count).squareRoot(),
            more: [
                ("of_real_examples", .number(Self.share(reference.labels, own))),
                ("labels", .numbers(labels.map(Double.init))), ("of_each_label", .numbers(ofEach)),
            ],
            settings: [("samples", .count(asked.count)), ("reference", .count(own.count))] + settings)
    }

    private static func share(_ answers: [Int], _ labels: [Int]) -> Double {
        Double(zip(answers, labels).count { $0 == $1 }) / Double(max(labels.count, 1))
    }
}
