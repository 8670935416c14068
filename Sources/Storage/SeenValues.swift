/// The least, mean and largest value that a network sees of a dataset's examples.
public struct SeenValues: Sendable {
    public let minimum, mean, maximum: Double
    /// Where not all examples were looked at: which.
    public let part: String

    init?(_ scan: ValueScan, _ decoder: ExampleDecoder, _ fit: ImageFit, part: String) {
        guard scan.count > 0 else { return nil }
        let (low, middle, high) = (
            decoder.decoded(scan.minimum), decoder.decoded(scan.mean),
            decoder.decoded(scan.maximum)
        )
        // Padding is of the lowest value.
        let padded = decoder.needsStage && fit == .pad ? decoder.background : nil
        let share = padded == nil ? 1 : Double(decoder.sourceElements) / Double(decoder.targetElements)
        minimum = min(low, padded ?? low)
        mean = middle * share + (padded ?? 0) * (1 - share)
        maximum = max(high, padded ?? high)
        self.part = part
    }
}
