import Foundation

/// A number or text of a result.
public enum Quantity: Equatable, Sendable {
    case number(Double)
    case count(Int)
    case text(String)
    case numbers([Double])

    /// As JSON; what JSON cannot say is `inf` or `nan`.
    var json: Any {
        switch self {
        case .number(let value): value.isFinite ? value : "\(value)"
        case .count(let value): value
        case .text(let value): value
        case .numbers(let values): values.map { $0.isFinite ? $0 as Any : "\($0)" }
        }
    }

    var description: String {
        switch self {
        case .number(let value): String(format: "%.5g", value)
        case .count(let value): "\(value)"
        case .text(let value): value
        case .numbers(let values): values.map { String(format: "%.4g", $0) }.joined(separator: " ")
        }
    }
}

/// What a measure found: one figure, its standard error where it has one, what else it found, and its settings.
public struct MetricResult: Sendable {
    public typealias Entry = (name: String, quantity: Quantity)

    public let name: String
    public let value: Double
    public let standardError: Double?
    public let more: [Entry]
    public let settings: [Entry]

    init(_ name: String, _ value: Double, standardError: Double? = nil, more: [Entry] = [], settings: [Entry] = []) {
        (self.name, self.value, self.standardError, self.more, self.settings) = (
            name, value, standardError, more, settings
        )
    }

    /// Of the value and its error, and of the numbers besides.
    var isFinite: Bool {
        value.isFinite && standardError?.isFinite != false
            && more.allSatisfy { if case .number(let number) = $0.quantity { number.isFinite } else { true } }
    }

    /// Of ``more`` by name.
    public func quantity(_ name: String) -> Quantity? { more.first { $0.name == name }?.quantity }

    func adding(_ entries: [Entry]) -> MetricResult {
        MetricResult(name, value, standardError: standardError, more: more + entries, settings: settings)
    }

    func with(_ entries: [Entry]) -> MetricResult {
        MetricResult(name, value, standardError: standardError, more: more, settings: settings + entries)
    }

    var json: [String: Any] {
        var object: [String: Any] = ["value": Quantity.number(value).json]
        if let standardError { object["standard_error"] = Quantity.number(standardError).json }
        for entry in more { object[entry.name] = entry.quantity.json }
        object["settings"] = Dictionary(uniqueKeysWithValues: settings.map { ($0.name, $0.quantity.json) })
        return object
    }
}

extension [MetricResult] {
    /// One object a measure.
    public func json() throws -> String {
        let object = Dictionary(uniqueKeysWithValues: map { ($0.name, $0.json) })
        return String(
            decoding: try JSONSerialization.data(withJSONObject: object, options: [.prettyPrinted, .sortedKeys]),
            as: UTF8.self)
    }

    /// For people: a line a measure, what else it found below.
    public var table: String {
        let width = (map(\.name.count).max() ?? 0) + 2
        return map { result in
            let error = result.standardError.map { String(format: " ± %.3g", $0) } ?? ""
            var lines = [
                result.name.padding(toLength: width, withPad: " ", startingAt: 0) + String(format: "%.5g", result.value)
                    + error
            ]
            for entry in result.more { lines.append("    \(entry.name)  \(entry.quantity.description)") }
            lines.append(
                "    (" + result.settings.map { "\($0.name) \($0.quantity.description)" }.joined(separator: ", ") + ")")
            return lines.joined(separator: "\n")
        }.joined(separator: "\n")
    }
}
