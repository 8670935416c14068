import Foundation
import Testing
@testable import Runs

@Suite struct MetricsLogTests {
    private let figures: [(name: String, value: Double?)] = [
        ("step", 12), ("loss", 0.1), ("value", -1.7961101815960274), ("time", 1795598189.1559482), ("rate", 2e-7),
        ("seen", 1e16), ("absent", nil), ("infinite", .infinity), ("undefined", .nan),
    ]

    @Test func aLineIsOneObjectWithItsKeysInOrder() throws {
        let line = try MetricsLine.json(figures)
        #expect(line.hasPrefix("{\"step\": 12, \"loss\": 0.1, \"value\": -1.7961101815960274, "))
        #expect(!line.contains("\n"))
        let places = try figures.map { try #require(line.range(of: "\"\($0.name)\": ")?.lowerBound) }
        #expect(places == places.sorted())
    }

    @Test func numbersComeBackAsTheyWereAndOthersAreNull() throws {
        let line = try MetricsLine.json(figures)
        let read = try JSONDecoder().decode([String: Double?].self, from: Data(line.utf8))
        #expect(read.count == figures.count)
        for (name, value) in figures {
            #expect(read[name] == .some(value.flatMap { $0.isFinite ? $0 : nil }), "\(name)")
        }
    }
}
