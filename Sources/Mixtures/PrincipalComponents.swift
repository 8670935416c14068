import Collectives
import Kernels

/// The directions of largest variance of a dataset (Pearson 1901): x ≈ mean + Σᵢ cᵢ vᵢ with vᵢ orthonormal.
public struct PrincipalComponents: Sendable, Equatable {
    /// [dimension]
    public let mean: [Double]
    /// vᵢ, [count, dimension], the one of largest variance first; the entry of largest size of each is positive.
    public let directions: [Double]
    public let count: Int
    /// The share of the data's variance that the directions hold.
    public let explained: Double

    public var dimension: Int { mean.count }

    public init(mean: [Double], directions: [Double], count: Int, explained: Double) {
        precondition(directions.count == count * mean.count, "\(directions.count) values of \(count) directions")
        (self.mean, self.directions, self.count, self.explained) = (mean, directions, count, explained)
    }

    /// The first `count` of the rows' components; the same bits on any number of ranks. Collective.
    public init(of rows: ShardedRows, count: Int, communicator: any Communicator) throws {
        let dimension = rows.dimension
        precondition(count >= 1 && count <= dimension, "\(count) components of \(dimension) values")
        let sums = ShardSums(count: dimension, table: rows.table, communicator: communicator)
        for shard in rows.table.mine {
            rows.forEachBlock(of: shard, rows: 512) { block, rows in
                for row in 0 ..< rows {
                    for index in 0 ..< dimension {
                        sums[shard: shard, index] += block[block.startIndex + row * dimension + index]
                    }
                }
            }
        }
        try sums.sum()
        let mean = sums.totals.map { $0 / Double(rows.count) }
        let products = ShardSums(count: dimension * dimension, table: rows.table, communicator: communicator)
        for shard in rows.table.mine {
            var sum = [Double](repeating: 0, count: dimension * dimension)
            rows.forEachBlock(of: shard, rows: 512) { block, rows in
                let centred = Self.centred(block, rows, mean)
                Cholesky.addOuterProducts(centred, count: rows, order: dimension, to: &sum)
            }
            for index in sum.indices { products[shard: shard, index] = sum[index] }
        }
        try products.sum()
        let (values, vectors) = SymmetricEigenvalues.decompose(products.totals, order: dimension)
        var directions: [Double] = []
        for number in (dimension - count ..< dimension).reversed() {
            let vector = vectors[number * dimension ..< (number + 1) * dimension]
            let largest = vector.max { abs($0) < abs($1) } ?? 1
            directions += largest < 0 ? vector.map { -$0 } : Array(vector)
        }
        let total = values.reduce(0) { $0 + max($1, 0) }
        let kept = values[(dimension - count)...].reduce(0) { $0 + max($1, 0) }
        self.init(mean: mean, directions: directions, count: count, explained: total > 0 ? kept / total : 1)
    }

    private static func centred(_ block: ArraySlice<Double>, _ rows: Int, _ mean: [Double]) -> [Double] {
        var centred = Array(block)
        for row in 0 ..< rows {
            for index in mean.indices { centred[row * mean.count + index] -= mean[index] }
        }
        return centred
    }

    /// The components of each row, [rows, count].
    public func project(_ rows: ShardedRows) -> ShardedRows {
        rows.mapped(dimension: count) { block, rows in
            var made = [Double](repeating: 0, count: rows * count)
            let transposed = Self.transposed(directions, rows: count, columns: dimension)
            Matrix.multiply(
                Self.centred(block, rows, mean), by: transposed, into: &made, rows: rows, columns: count,
                inner: dimension)
            return made
        }
    }

    /// Examples of their components, [rows, dimension].
    public func reconstruct(_ components: [Double]) -> [Double] {
        let rows = components.count / count
        var made = [Double](repeating: 0, count: rows * dimension)
        Matrix.multiply(components, by: directions, into: &made, rows: rows, columns: dimension, inner: count)
        for row in 0 ..< rows {
            for index in 0 ..< dimension { made[row * dimension + index] += mean[index] }
        }
        return made
    }

    private static func transposed(_ matrix: [Double], rows: Int, columns: Int) -> [Double] {
        var made = matrix
        for row in 0 ..< rows {
            for column in 0 ..< columns { made[column * rows + row] = matrix[row * columns + column] }
        }
        return made
    }
}
