import Collectives
import Kernels
import Support

extension GaussianMixture {
    /// A start for expectation–maximisation: means by k-means++ (Arthur & Vassilvitskii 2007), each the next example
    /// drawn with a probability in proportion to its squared distance from the nearest mean so far; equal weights; and
    /// one covariance for all, that of the examples about their nearest means. Draws follow from `seed` and the
    /// examples' places alone. Collective; throws 78 where there are fewer different examples than components.
    public static func start(
        _ covariance: Covariance, components: Int, _ rows: ShardedRows, seed: UInt64, floor: Double,
        communicator: any Communicator
    ) throws -> GaussianMixture {
        let dimension = rows.dimension
        var seeding = Seeding(rows, seed: seed, communicator: communicator)
        var means: [Double] = []
        for component in 0 ..< components {
            guard let mean = try seeding.next() else {
                throw AgreedFailure(
                    Failure(
                        .badConfiguration,
                        "configuration: model.components: \(components) components, but only \(component) different "
                            + "examples",
                        remedy: "Use fewer components, or more data."))
            }
            means += mean
        }
        let shared = try seeding.covariance(covariance, means)
        let floored: [Double]
        switch covariance {
        case .diagonal: floored = shared.map { max($0, floor) }
        case .full: floored = ExpectationMaximisation.floored(shared, order: dimension, floor).0
        }
        return GaussianMixture(
            covariance: covariance, components: components, dimension: dimension,
            weights: Array(repeating: 1 / Double(components), count: components), means: means,
            covariances: Array(repeating: floored, count: components).flatMap { $0 })
    }
}

/// The examples with their squared distances from the nearest mean.
private struct Seeding {
    private let rows: ShardedRows
    private let seed: UInt64
    private let communicator: any Communicator
    private let masses: ShardSums
    /// Of each of this rank's shards and rows: infinite before there is a mean.
    private var distances: [[Double]]
    private var nearest: [[Int]]
    private var found = 0

    init(_ rows: ShardedRows, seed: UInt64, communicator: any Communicator) {
        (self.rows, self.seed, self.communicator) = (rows, seed, communicator)
        masses = ShardSums(count: rows.table.shards, table: rows.table, communicator: communicator)
        let counts = rows.table.mine.map { rows.table.rows(of: $0, batch: rows.count).count }
        distances = counts.map { [Double](repeating: .infinity, count: $0) }
        nearest = counts.map { [Int](repeating: 0, count: $0) }
    }

    /// The next mean; nil where all examples are means already.
    mutating func next() throws -> [Double]? {
        let mine = rows.table.mine
        for (local, shard) in mine.enumerated() {
            masses[shard: shard, shard] =
                found == 0
                ? Double(distances[local].count) : distances[local].reduce(0, +)
        }
        try masses.sum()
        let total = masses.totals.reduce(0, +)
        guard total > 0 else { return nil }
        let draw = FloatBuffer(count: 1)
        Draws(seed: seed, purpose: .mixtureStart, step: 0, inner: found).fillUniform(
            draw.values, samples: 1, low: 0, high: 1)
        var position = min(Double(draw.values[0]), 1 - 1e-9) * total
        var chosen = 0
        for shard in 0 ..< rows.table.shards where masses.totals[shard] > 0 {
            chosen = shard
            if position < masses.totals[shard] { break }
            position -= masses.totals[shard]
        }
        let mean = try share(mine.contains(chosen) ? row(at: position, of: chosen) : nil)
        measure(from: mean)
        found += 1
        return mean
    }

    /// The row of a shard at which the running sum of distances passes `position`.
    private func row(at position: Double, of shard: Int) -> [Double] {
        let local = shard - rows.table.mine.lowerBound, all = rows.rows(of: shard)
        var sum = 0.0, last = 0
        for (row, distance) in distances[local].enumerated() {
            let mass = found == 0 ? 1 : distance
            if mass > 0 { last = row }
            sum += mass
            if mass > 0, position < sum { break }
        }
        let start = all.startIndex + last * rows.dimension
        return Array(all[start ..< start + rows.dimension])
    }

    /// The row of the one rank that has it, on all.
    private func share(_ row: [Double]?) throws -> [Double] {
        try communicator.gather(values: row ?? []).first { !$0.isEmpty } ?? []
    }

    private mutating func measure(from mean: [Double]) {
        for (local, shard) in rows.table.mine.enumerated() {
            let all = rows.rows(of: shard)
            for row in distances[local].indices {
                var distance = 0.0
                for index in mean.indices {
                    let difference = all[all.startIndex + row * mean.count + index] - mean[index]
                    distance += difference * difference
                }
                if distance < distances[local][row] { (distances[local][row], nearest[local][row]) = (distance, found) }
            }
        }
    }

    /// Of all examples about their nearest means.
    func covariance(_ covariance: GaussianMixture.Covariance, _ means: [Double]) throws -> [Double] {
        let dimension = rows.dimension, size = covariance.count(dimension)
        let sums = ShardSums(count: size, table: rows.table, communicator: communicator)
        for (local, shard) in rows.table.mine.enumerated() {
            var centred = Array(rows.rows(of: shard))
            for row in nearest[local].indices {
                for index in 0 ..< dimension {
                    centred[row * dimension + index] -= means[nearest[local][row] * dimension + index]
                }
            }
            var sum = [Double](repeating: 0, count: size)
            switch covariance {
            case .full:
                Cholesky.addOuterProducts(centred, count: nearest[local].count, order: dimension, to: &sum)
            case .diagonal:
                for row in nearest[local].indices {
                    for index in 0 ..< dimension {
                        sum[index] += centred[row * dimension + index] * centred[row * dimension + index]
                    }
                }
            }
            for index in 0 ..< size { sums[shard: shard, index] = sum[index] }
        }
        try sums.sum()
        var result = sums.totals.map { $0 / Double(rows.count) }
        if covariance == .full {
            for row in 0 ..< dimension {
                for column in 0 ..< row { result[column * dimension + row] = result[row * dimension + column] }
            }
        }
        return result
    }
}
