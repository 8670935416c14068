import Kernels

/// Two sets of features compared by balls around their points, each reaching to the point's k-th nearest of its own
/// set.
///
/// * precision: the share of samples within a ball of real ones (fidelity); recall: of real ones within a ball of
///   samples (variety). Kynkäänniemi et al. 2019, k = 3.
/// * density: real balls around a sample, over k, on average 1 for equal distributions; coverage: the share of real
///   balls with a sample within. Naeem et al. 2020, k = 5. An outlier among the real ones with its large ball spoils
///   these less.
public enum Manifolds {
    static let neighboursOfPrecision = 3
    static let neighboursOfDensity = 5

    /// Squared distance of each point to its k-th nearest other one. Collective.
    static func squaredRadii(
        _ points: Examples, neighbours k: Int, _ context: EvaluationContext, _ title: String
    ) throws -> [Float] {
        precondition(k < points.count, "\(k) neighbours of each of \(points.count) points")
        return try rows(points, against: points, context, title) { row in
            // The point itself is the nearest.
            var nearest = Candidates(count: k + 1)
            nearest.offer(row, from: 0)
            return nearest.distances[k]
        }
    }

    /// For each query, how many balls hold it. Collective.
    static func ballsHolding(
        _ queries: Examples, _ centres: Examples, squaredRadii: [Float], _ context: EvaluationContext, _ title: String
    ) throws -> [Int] {
        try rows(queries, against: centres, context, title) { row in
            var count = 0
            for column in 0 ..< row.count where row[column] <= squaredRadii[column] { count += 1 }
            return count
        }
    }

    /// For each query, the squared distance to the nearest point. Collective.
    static func squaredDistances(
        _ queries: Examples, to points: Examples, _ context: EvaluationContext, _ title: String
    ) throws -> [Float] {
        try rows(queries, against: points, context, title) { Distances.least(of: $0) }
    }

    /// What `body` makes of each query's squared distances to all points.
    private static func rows<Value: BitwiseCopyable>(
        _ queries: Examples, against points: Examples, _ context: EvaluationContext, _ title: String,
        _ body: (Floats) -> Value
    ) throws -> [Value] {
        let room = FloatBuffer(count: 256 * points.count)
        return try context.map(queries.count, block: 256, title) { rows in
            let distances = room.values[0 ..< rows.count * points.count]
            Distances.squared(queries[rows], points.values, length: points.shape.count, into: distances)
            return (0 ..< rows.count).map { body(distances[$0 * points.count ..< ($0 + 1) * points.count]) }
        }
    }

    /// Those of the real ones.
    private static func radii(
        of reference: Examples, neighbours k: Int, _ real: RealStatistics, _ context: EvaluationContext, _ title: String
    ) throws -> [Float] {
        try real.values("squared_radii_\(k)") { try squaredRadii(reference, neighbours: k, context, title) }.array
    }

    /// Collective.
    static func precisionAndRecall(
        _ samples: Examples, _ reference: Examples, _ settings: [MetricResult.Entry], _ context: EvaluationContext,
        _ real: RealStatistics = RealStatistics()
    ) throws -> [MetricResult] {
        let k = neighboursOfPrecision
        let settings =
            [("k", .count(k)), ("samples", .count(samples.count)), ("reference", .count(reference.count))] + settings
        func share(
            _ name: String, of queries: Examples, within centres: Examples, _ radii: [Float]
        ) throws -> MetricResult {
            let within = try ballsHolding(queries, centres, squaredRadii: radii, context, name).count { $0 > 0 }
            return MetricResult(name, Double(within) / Double(queries.count), settings: settings)
        }
        let ofReference = try radii(of: reference, neighbours: k, real, context, "precision"),
            ofSamples = try squaredRadii(samples, neighbours: k, context, "recall")
        return [
            try share("precision", of: samples, within: reference, ofReference),
            try share("recall", of: reference, within: samples, ofSamples),
        ]
    }

    /// Collective.
    static func densityAndCoverage(
        _ samples: Examples, _ reference: Examples, _ settings: [MetricResult.Entry], _ context: EvaluationContext,
        _ real: RealStatistics = RealStatistics()
    ) throws -> [MetricResult] {
        let k = neighboursOfDensity
        let settings =
            [("k", .count(k)), ("samples", .count(samples.count)), ("reference", .count(reference.count))] + settings
        let radii = try radii(of: reference, neighbours: k, real, context, "density")
        let holding = try ballsHolding(samples, reference, squaredRadii: radii, context, "density")
        let distances = try squaredDistances(reference, to: samples, context, "coverage")
        let covered = zip(distances, radii).count { $0 <= $1 }
        return [
            MetricResult("density", Double(holding.reduce(0, +)) / Double(k * samples.count), settings: settings),
            MetricResult("coverage", Double(covered) / Double(reference.count), settings: settings),
        ]
    }
}
