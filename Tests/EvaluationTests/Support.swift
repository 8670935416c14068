import Adversarial
import Collectives
import Foundation
import Kernels
import Nets
import Storage
import Support
import Testing
@testable import Evaluation

/// Fixtures/evaluation.json, which Tests/reference/make_evaluation_fixtures.py made with NumPy, SciPy and scikit-learn.
enum Fixture {
    private static let cases = try! JSONDecoder().decode(
        [String: [String: [Double]]].self,
        from: Data(contentsOf: Bundle.module.resourceURL!.appendingPathComponent("Fixtures/evaluation.json")))

    static func numbers(_ name: String, _ array: String) throws -> [Double] {
        try #require(cases[name]?[array], "no \(name)/\(array) in the fixtures")
    }

    static func number(_ name: String, _ array: String) throws -> Double { try numbers(name, array)[0] }

    static func examples(_ name: String, _ array: String, _ shape: Shape) throws -> Examples {
        Examples(FloatBuffer(try numbers(name, array).map(Float.init)), shape: shape)
    }
}

/// One rank that prints nothing.
func alone() -> EvaluationContext { EvaluationContext(SoloCommunicator(), Console(speaks: false)) }

/// The results of `body` on each of `size` ranks, threads of this process.
func ranks<Value: Sendable>(
    _ size: Int, _ body: @escaping @Sendable (EvaluationContext) throws -> Value
) throws -> [Value] {
    try ThreadCommunicator.run(size: size) { try body(EvaluationContext($0, Console(speaks: false))) }
}

func expectClose(
    _ values: [Double], _ expected: [Double], _ tolerance: Double, sourceLocation: SourceLocation = #_sourceLocation
) {
    guard values.count == expected.count else {
        Issue.record("\(values.count) values where \(expected.count) were expected", sourceLocation: sourceLocation)
        return
    }
    for (index, pair) in zip(values, expected).enumerated() where !(abs(pair.0 - pair.1) <= tolerance) {
        Issue.record("[\(index)]: \(pair.0) where \(pair.1) was expected", sourceLocation: sourceLocation)
        return
    }
}

func number(_ quantity: Quantity?) throws -> Double {
    switch try #require(quantity) {
    case .number(let value): return value
    case .count(let value): return Double(value)
    default: throw Failure(.internalError, "not a number", remedy: "")
    }
}

/// Points of a mixture in a random order, as independent draws come.
func shuffled(_ kind: SyntheticKind, count: Int, seed: UInt64) -> [Float] {
    let points = kind.points(count: count, seed: seed).samples, dimension = kind.dimension
    return Draws(seed: seed, purpose: .evaluation, step: 9).permutation(count: count).flatMap { index in
        points[Int(index) * dimension ..< (Int(index) + 1) * dimension]
    }
}
