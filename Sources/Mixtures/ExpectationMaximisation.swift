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

    /// One E and one M. `isAlive` is called now and then, on every rank equally often. Collective.
    public func step(_ isAlive: () -> Void = {}) throws -> Report {
        let density = MixtureDensity(mixture)
        var blocks = 0
        for (local, shard) in rows.table.mine.enumerated() {
            expect(shard, local, density) {
                blocks += 1
                isAlive()
            }
        }
        for _ in blocks ..< (try communicator.maximum(blocks)) { isAlive() }
        try likelihoods.sum()
        var floored: [Int] = [], empty: [Int] = []
        // Each rank moves a component of a round, and tells the others.
        for first in stride(from: 0, to: mixture.components, by: communicator.size) {
            let round = first ..< min(first + communicator.size, mixture.components)
            for (place, moved) in try communicator.gather(values: move(of: round, isAlive)).enumerated()
            where !moved.isEmpty {
                switch take(moved, first + place) {
                case .moved: break
                case .floored: floored.append(first + place)
                case .empty: empty.append(first + place)
                }
            }
        }
        return Report(
            logLikelihood: likelihoods.totals[0] / Double(rows.count), floored: floored, empty: empty)
    }

    // MARK: - Expectation

    /// The likelihood and the moments of a shard's examples.
    private func expect(_ shard: Int, _ local: Int, _ density: MixtureDensity, _ isAlive: () -> Void) {
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
            isAlive()
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

    private enum Move: Int { case moved, floored, empty }

    /// What this rank makes of its component of `round`, as ``take(_:_:)`` takes it; nothing where it has none there.
    /// Collective.
    private func move(of round: Range<Int>, _ isAlive: () -> Void) throws -> [Double] {
        var totals: [Double] = []
        for component in round {
            for (local, shard) in rows.table.mine.enumerated() {
                let sums = collected[local * mixture.components + component]
                for index in sums.indices { moments[shard: shard, index] = sums[index] }
            }
            try moments.sum()
            if component - round.lowerBound == communicator.rank { totals = moments.totals }
            isAlive()
        }
        return totals.isEmpty ? [] : maximised(round.lowerBound + communicator.rank, totals)
    }

    /// How a component moves, then its weight, and unless it is empty its mean and covariance.
    private func take(_ moved: [Double], _ component: Int) -> Move {
        let dimension = mixture.dimension, size = mixture.covariance.count(dimension)
        mixture.weights[component] = moved[1]
        let move = Move(rawValue: Int(moved[0]))!
        guard move != .empty else { return move }
        let mean = component * dimension, covariance = component * size
        mixture.means.replaceSubrange(mean ..< mean + dimension, with: moved[2 ..< 2 + dimension])
        mixture.covariances.replaceSubrange(covariance ..< covariance + size, with: moved[(2 + dimension)...])
        return move
    }

    /// A component at the weighted moments, which are about its mean of before.
    private func maximised(_ component: Int, _ sums: [Double]) -> [Double] {
        let dimension = mixture.dimension, share = sums[0], weight = share / Double(rows.count)
        guard share > 1e-9 else { return [Double(Move.empty.rawValue), weight] }
        let shift = (0 ..< dimension).map { sums[1 + $0] / share }
        let mean = (0 ..< dimension).map { mixture.means[component * dimension + $0] + shift[$0] }
        let second = sums[(1 + dimension)...].map { $0 / share }
        let wasFloored: Bool
        var covariance: [Double]
        switch mixture.covariance {
        case .diagonal:
            covariance = (0 ..< dimension).map { second[$0] - shift[$0] * shift[$0] }
            wasFloored = covariance.contains { $0 < floor }
            covariance = covariance.map { max($0, floor) }
        case .full:
            covariance = [Double](repeating: 0, count: dimension * dimension)
            for row in 0 ..< dimension {
                for column in 0 ... row {
                    let value = second[row * dimension + column] - shift[row] * shift[column]
                    covariance[row * dimension + column] = value
                    covariance[column * dimension + row] = value
                }
            }
            (covariance, wasFloored) = Self.floored(covariance, order: dimension, floor)
        }
        return [Double((wasFloored ? Move.floored : .moved).rawValue), weight] + mean + covariance
    }

    /// The matrix with no eigenvalue below the floor, nor below 10⁻¹² of the largest, which a decomposition could lose
    /// to rounding; and whether one was.
    static func floored(_ matrix: [Double], order: Int, _ floor: Double) -> ([Double], Bool) {
        // Where Σ − f I is positive definite no eigenvalue is below f, and the trace is no less than the largest. That
        // is known much sooner than the eigenvalues are.
        let least = max(floor, 1e-12 * (0 ..< order).reduce(0) { $0 + matrix[$1 * order + $1] })
        var lowered = matrix
        for index in 0 ..< order { lowered[index * order + index] -= least }
        if Cholesky.decompose(lowered, order: order) != nil { return (matrix, false) }
        let (values, vectors) = SymmetricEigenvalues.decompose(matrix, order: order)
        let floor = max(floor, 1e-12 * values[order - 1])
        guard values[0] < floor else { return (matrix, false) }
        // V diag(max(λ, floor)) Vᵀ.
        var result = [Double](repeating: 0, count: order * order), scaled = vectors
        for (number, value) in values.enumerated() {
            for column in 0 ..< order { scaled[number * order + column] *= max(value, floor) }
        }
        Matrix.multiply(
            scaled, transposed: true, by: vectors, into: &result, rows: order, columns: order, inner: order)
        return (result, true)
    }
}
