import Collectives
import Foundation
import Kernels
import Support

/// Fits a mixture of Gaussians to examples by expectation–maximisation (Dempster, Laird & Rubin 1977; Bishop 2006,
/// §9.2.2), every rank with the examples of its shards. The sums over shards are taken along the fixed tree, so that
/// the bits depend on the number of shards and not on that of ranks.
///
///     E   rₙₖ = wₖ N(xₙ; μₖ, Σₖ) / Σⱼ wⱼ N(xₙ; μⱼ, Σⱼ)
///     M   wₖ = Nₖ / N, μₖ = Σₙ rₙₖ xₙ / Nₖ, Σₖ = Σₙ rₙₖ (xₙ − μₖ)(xₙ − μₖ)ᵀ / Nₖ, where Nₖ = Σₙ rₙₖ
///
/// A step is one E and one M. No step makes ln p of the examples smaller while ``floor`` does not act.
public final class ExpectationMaximisation {
    /// What a step found.
    public struct Report: Equatable, Sendable {
        /// The mean of ln p(x) over all examples before the step's M, in nats.
        public let logLikelihood: Double
        /// Components of which a variance was below the floor and is the floor now.
        public let floored: [Int]
        /// Components that hold less than one part in 10⁹ of an example: their means and covariances stay.
        public let empty: [Int]
    }

    public private(set) var mixture: GaussianMixture
    /// The least variance in any direction.
    public let floor: Double
    private let rows: ShardedRows
    private let communicator: any Communicator
    private let likelihoods: ShardSums
    /// Of one component: Nₖ, Σ r (x − μ), Σ r (x − μ)(x − μ)ᵀ or its diagonal, with the means of before.
    private let moments: ShardSums
    /// Of each component and each of this rank's shards, as ``moments`` has them.
    private var collected: [[Double]]
    private static let blockRows = 512

    /// `rows`: this rank's examples. `floor`: more than 0.
    public init(
        _ mixture: GaussianMixture, _ rows: ShardedRows, floor: Double, communicator: any Communicator
    ) {
        precondition(rows.dimension == mixture.dimension && floor > 0, "a mixture of other examples, or no floor")
        (self.mixture, self.rows, self.floor, self.communicator) = (mixture, rows, floor, communicator)
        let count = 1 + mixture.dimension + mixture.covariance.count(mixture.dimension)
        likelihoods = ShardSums(count: 1, table: rows.table, communicator: communicator)
        moments = ShardSums(count: count, table: rows.table, communicator: communicator)
        collected = Array(
            repeating: [Double](repeating: 0, count: count), count: mixture.components * rows.table.mine.count)
    }

    /// Goes on from another mixture of the same sizes: that of a checkpoint.
    public func restore(_ mixture: GaussianMixture) {
        precondition(
            mixture.components == self.mixture.components && mixture.dimension == self.mixture.dimension
                && mixture.covariance == self.mixture.covariance, "a mixture of other sizes")
        self.mixture = mixture
    }

    /// One E and one M. Collective.
    public func step() throws -> Report {
        let density = MixtureDensity(mixture)
        for (local, shard) in rows.table.mine.enumerated() { expect(shard, local, density) }
        try likelihoods.sum()
        var floored: [Int] = [], empty: [Int] = []
        for component in 0 ..< mixture.components {
            for (local, shard) in rows.table.mine.enumerated() {
                let sums = collected[local * mixture.components + component]
                for index in sums.indices { moments[shard: shard, index] = sums[index] }
            }
            try moments.sum()
            switch maximise(component, moments.totals) {
            case .moved: break
            case .floored: floored.append(component)
            case .empty: empty.append(component)
            }
        }
        return Report(
            logLikelihood: likelihoods.totals[0] / Double(rows.count), floored: floored, empty: empty)
    }

    // MARK: - Expectation

    /// The likelihood and the moments of a shard's examples.
    private func expect(_ shard: Int, _ local: Int, _ density: MixtureDensity) {
        let components = mixture.components
        for component in 0 ..< components {
            let place = local * components + component
            for index in collected[place].indices { collected[place][index] = 0 }
        }
        var joint = [Double](repeating: 0, count: Self.blockRows * components), sum = 0.0
        rows.forEachBlock(of: shard, rows: Self.blockRows) { block, count in
            density.logJoint(block, count: count, into: &joint)
            for row in 0 ..< count {
                let total = logSumExp(joint[row * components ..< (row + 1) * components])
                sum += total
                for component in 0 ..< components {
                    joint[row * components + component] = exp(joint[row * components + component] - total)
                }
            }
            for component in 0 ..< components {
                add(block, count, joint, component, to: &collected[local * components + component])
            }
        }
        likelihoods[shard: shard, 0] = sum
    }

    private func add(
        _ block: ArraySlice<Double>, _ count: Int, _ shares: [Double], _ component: Int, to sums: inout [Double]
    ) {
        let dimension = mixture.dimension, components = mixture.components, mean = component * dimension
        var scaled = [Double](repeating: 0, count: count * dimension)
        for row in 0 ..< count {
            let share = shares[row * components + component], root = share.squareRoot()
            sums[0] += share
            for index in 0 ..< dimension {
                let centred = block[block.startIndex + row * dimension + index] - mixture.means[mean + index]
                sums[1 + index] += share * centred
                scaled[row * dimension + index] = root * centred
            }
        }
        let second = 1 + dimension
        switch mixture.covariance {
        case .diagonal:
            for row in 0 ..< count {
                for index in 0 ..< dimension {
                    sums[second + index] += scaled[row * dimension + index] * scaled[row * dimension + index]
                }
            }
        case .full:
            var products = Array(sums[second...])
            Cholesky.addOuterProducts(scaled, count: count, order: dimension, to: &products)
            sums.replaceSubrange(second..., with: products)
        }
    }

    // MARK: - Maximisation

    private enum Move { case moved, floored, empty }

    /// Moves a component to the weighted moments, which are about its mean of before.
    private func maximise(_ component: Int, _ sums: [Double]) -> Move {
        let dimension = mixture.dimension, share = sums[0]
        mixture.weights[component] = share / Double(rows.count)
        guard share > 1e-9 else { return .empty }
        let shift = (0 ..< dimension).map { sums[1 + $0] / share }
        for index in 0 ..< dimension { mixture.means[component * dimension + index] += shift[index] }
        let second = sums[(1 + dimension)...].map { $0 / share }
        let size = mixture.covariance.count(dimension), start = component * size
        let wasFloored: Bool
        var covariance: [Double]
        switch mixture.covariance {
        case .diagonal:
            covariance = (0 ..< dimension).map { second[$0] - shift[$0] * shift[$0] }
            wasFloored = covariance.contains { $0 < floor }
            covariance = covariance.map { max($0, floor) }
        case .full:
            covariance = [Double](repeating: 0, count: size)
            for row in 0 ..< dimension {
                for column in 0 ... row {
                    let value = second[row * dimension + column] - shift[row] * shift[column]
                    covariance[row * dimension + column] = value
                    covariance[column * dimension + row] = value
                }
            }
            (covariance, wasFloored) = Self.floored(covariance, order: dimension, floor)
        }
        mixture.covariances.replaceSubrange(start ..< start + size, with: covariance)
        return wasFloored ? .floored : .moved
    }

    /// The matrix with no eigenvalue below the floor, nor below 10⁻¹² of the largest, which a decomposition could lose
    /// to rounding; and whether one was.
    static func floored(_ matrix: [Double], order: Int, _ floor: Double) -> ([Double], Bool) {
        let (values, vectors) = SymmetricEigenvalues.decompose(matrix, order: order)
        let floor = max(floor, 1e-12 * values[order - 1])
        guard values[0] < floor else { return (matrix, false) }
        var result = [Double](repeating: 0, count: order * order)
        for (number, value) in values.enumerated() {
            for row in 0 ..< order {
                let factor = max(value, floor) * vectors[number * order + row]
                for column in 0 ..< order { result[row * order + column] += factor * vectors[number * order + column] }
            }
        }
        return (result, true)
    }
}
