import Foundation
import Kernels

/// How sure the classifier is of each sample, and how varied the samples are: exp(E KL(p(y|x) ‖ p(y))), with p(y) the
/// mean of p(y|x) (Salimans et al. 2016, §4, with their split into ten parts; theirs is of Inception's classes). From
/// 1, all alike or all unsure, to the number of classes.
public enum ClassifierScore {
    static let parts = 10

    static func scores(_ answers: Classifier.Answers) -> [Double] {
        let classes = answers.classes
        return (0 ..< min(parts, answers.count)).map { part in
            let rows = part * answers.count / parts ..< (part + 1) * answers.count / parts
            var mean = [Double](repeating: 0, count: classes)
            for row in rows {
                for index in 0 ..< classes {
                    mean[index] += exp(answers.logProbabilities[row * classes + index]) / Double(rows.count)
                }
            }
            let sum = rows.reduce(0.0) { sum, row in
                (0 ..< classes).reduce(sum) {
                    let logProbability = answers.logProbabilities[row * classes + $1]
                    // p log p is 0 where p has underflowed, and so is its mean.
                    return exp(logProbability) > 0 ? $0 + exp(logProbability) * (logProbability - log(mean[$1])) : $0
                }
            }
            return exp(sum / Double(rows.count))
        }
    }

    static func measure(_ samples: Classifier.Answers, _ settings: [MetricResult.Entry]) -> MetricResult {
        let scores = scores(samples)
        return MetricResult(
            "classifier-score", scores.mean, standardError: scores.standardError,
            settings: [("samples", .count(samples.count)), ("parts", .count(scores.count))] + settings)
    }
}
