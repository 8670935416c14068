import Kernels
import Storage

/// The examples of a dataset that are nearest to given ones, by the Euclidean distance of their values.
public enum NearestExamples {
    public struct Neighbour: BitwiseCopyable {
        public let index: Int
        /// |query − neighbour|, computed again in double: 0 for a copy.
        public let distance: Double
    }

    /// The `count` nearest of `source` for each query, nearest first: [queries, count]. `block`: so many of the
    /// source are compared at once. Collective.
    static func find(
        _ queries: Examples, in source: SampleSource, count: Int = 1, block: Int = 4096, _ context: EvaluationContext,
        _ title: String
    ) throws -> [Neighbour] {
        precondition(count >= 1 && count <= source.count, "\(count) neighbours out of \(source.count) examples")
        let length = queries.shape.count
        let examples = FloatBuffer(count: min(block, source.count) * length)
        let room = FloatBuffer(count: 512 * min(block, source.count))
        return try context.map(queries.count, block: 512, width: count, title) { rows in
            var best = Array(repeating: Candidates(count: count), count: rows.count)
            for start in stride(from: 0, to: source.count, by: block) {
                let indices = Array(start ..< min(start + block, source.count))
                let part = examples.values[0 ..< indices.count * length]
                try source.read(indices, into: part)
                let distances = room.values[0 ..< rows.count * indices.count]
                Distances.squared(queries[rows], part, length: length, into: distances)
                for row in 0 ..< rows.count {
                    best[row].offer(distances[row * indices.count ..< (row + 1) * indices.count], from: start)
                }
            }
            return try zip(rows, best).flatMap { row, candidates in
                let found = examples.values[0 ..< length]
                return try candidates.indices.map { index in
                    try source.read([index], into: found)
                    return Neighbour(
                        index: index, distance: Distances.squared(queries[row ..< row + 1], found).squareRoot())
                }
            }
        }
    }
}

/// The few least of many distances, the earlier first among equal ones.
struct Candidates {
    private(set) var indices: [Int]
    private(set) var distances: [Float]

    init(count: Int) {
        indices = Array(repeating: 0, count: count)
        distances = Array(repeating: .infinity, count: count)
    }

    mutating func offer(_ values: Floats, from start: Int) {
        var limit = distances[distances.count - 1]
        for column in 0 ..< values.count where values[column] < limit {
            var place = distances.count - 1
            while place > 0, distances[place - 1] > values[column] {
                (distances[place], indices[place]) = (distances[place - 1], indices[place - 1])
                place -= 1
            }
            (distances[place], indices[place]) = (values[column], start + column)
            limit = distances[distances.count - 1]
        }
    }
}
