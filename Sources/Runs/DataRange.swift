import Adversarial
import Foundation
import Nets
import Recipes
import Storage
import Support

extension GeneratorConfiguration {
    /// What the stored values of `dataset` are scaled to; nil leaves them as they are.
    ///
    /// Images are scaled to what the generator's output can reach, and so are vectors of bytes, and others where
    /// `data.range` says so. `asBefore`: the run began when vectors of bytes were not.
    public func targetRange(of dataset: Dataset, asBefore: Bool) throws(Failure) -> ClosedRange<Float>? {
        if dataset.layout != .vector || data.range != nil { return outputRange }
        guard dataset.isBytes, !asBefore else { return nil }
        guard outputBounds != nil else {
            throw Failure(
                .badData,
                "\(dataset.name) in \(dataset.path) holds vectors of bytes, "
                    + "0 … 255, and nothing bounds the generator's output",
                remedy: """
                    End the generator in sigmoid or tanh, to which bytes are scaled; or scale them to -1 … 1 with \
                    --set 'data.range=[0, 255]'; \
                    or store them as float32, which is taken as it is.
                    """)
        }
        return outputRange
    }

    /// The range of values that the generator's last activation can give; nil where nothing bounds them.
    var outputBounds: ClosedRange<Float>? { generator.outputBounds }

    /// The range of values that the generator's output can have, and images are scaled to.
    var outputRange: ClosedRange<Float> { generator.outputRange }
}

extension TrainingData {
    /// What `train` says of the values.
    public static func rangeLine(_ source: SampleSource) -> String? {
        guard let seen = source.seen else { return nil }
        let values = String(format: "D sees %.4g … %.4g, mean %.4g", seen.minimum, seen.maximum, seen.mean) + seen.part
        guard let range = source.valueRange else { return "values as they are stored: \(values)" }
        return "range \(ValueRange.text(range.bounds)) \(range.origin); \(values)"
    }

    /// Warnings about the values: what their range has, and vectors beyond what the generator can make.
    public static func rangeWarnings(_ source: SampleSource, _ name: String, bounds: ClosedRange<Float>?) -> [String] {
        if let range = source.valueRange { return range.warning.map { [$0] } ?? [] }
        guard let seen = source.seen, let bounds else { return [] }
        let slack = 0.01 * Double(bounds.upperBound - bounds.lowerBound)
        guard seen.minimum < Double(bounds.lowerBound) - slack || seen.maximum > Double(bounds.upperBound) + slack
        else { return [] }
        return [
            "the vectors of \(name) have values from \(seen.minimum) to \(seen.maximum), and the generator ends in "
                + "\(ValueRange.text(Double(bounds.lowerBound) ... Double(bounds.upperBound))): "
                + "it cannot make them. --set 'data.range=[\(ValueRange.plain(seen.minimum)), "
                + "\(ValueRange.plain(seen.maximum))]' scales them"
        ]
    }
}

extension ValueRange {
    /// How it is known, for people.
    public var origin: String {
        switch source {
        case .given: "as given (data.range)"
        case .attribute: "by the file's attribute"
        case .type: "by the values' type"
        case .values: "guessed from the values"
        }
    }
}
