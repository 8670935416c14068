import Storage
import Support
import Yams

extension Configuration.DataSettings {
    /// `data.range`: two numbers, the values of black and white.
    static func range(_ section: Section) throws(Failure) -> ClosedRange<Double>? {
        section.note(
            "range", "two numbers, such as `[0, 255]`", default: Section.nothing,
            meaning: "the stored values that are black and white; null: what the file says")
        guard let node = section.node("range") else {
            section.record("range", Section.nothing)
            return nil
        }
        var ends: [Double] = []
        for item in node.sequence ?? [] {
            ends.append(
                try section.number(item, section.name("range"), -.greatestFiniteMagnitude ... .greatestFiniteMagnitude))
        }
        guard ends.count == 2, ValueRange.isUsable(ends[0], ends[1]) else {
            throw .configuration(
                "data.range", "it is not two numbers, the lower first",
                remedy: "Give the values of black and white, such as [0, 255].")
        }
        section.record("range", Section.numbers(ends))
        return ends[0] ... ends[1]
    }
}

extension Section {
    /// `[0.0, 255.0]`.
    static func numbers(_ values: [Double]) -> Node { .sequence(.init(values.map { .number($0) }, .implicit, .flow)) }
}

extension ConfigurationTree {
    public mutating func set(_ key: String, to range: ClosedRange<Double>) throws(Failure) {
        try set(key, to: Section.numbers([range.lowerBound, range.upperBound]))
    }
}
