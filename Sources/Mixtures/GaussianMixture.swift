import Collectives
import Foundation
import Kernels

/// A mixture of Gaussians, p(x) = Σₖ wₖ N(x; μₖ, Σₖ), in double: the density model that expectation–maximisation fits
/// (``ExpectationMaximisation``; Dempster, Laird & Rubin 1977).
public struct GaussianMixture: Sendable, Equatable {
    /// Σₖ as a whole matrix, or its diagonal alone.
    public enum Covariance: String, CaseIterable, Sendable { case full, diagonal }

    public let components: Int
    public let dimension: Int
    public let covariance: Covariance
    /// wₖ, [components], with sum 1.
    public var weights: [Double]
    /// μₖ, [components, dimension].
    public var means: [Double]
    /// Σₖ, [components, dimension, dimension], or its diagonal, [components, dimension].
    public var covariances: [Double]

    public init(
        covariance: Covariance, components: Int, dimension: Int, weights: [Double], means: [Double],
        covariances: [Double]
    ) {
        precondition(weights.count == components && means.count == components * dimension, "a mixture of other sizes")
        precondition(
            covariances.count == components * covariance.count(dimension),
            "\(covariances.count) values of \(components) covariances")
        (self.covariance, self.components, self.dimension) = (covariance, components, dimension)
        (self.weights, self.means, self.covariances) = (weights, means, covariances)
    }

    func mean(_ component: Int) -> ArraySlice<Double> {
        means[component * dimension ..< (component + 1) * dimension]
    }

    func covariance(of component: Int) -> ArraySlice<Double> {
        let count = covariance.count(dimension)
        return covariances[component * count ..< (component + 1) * count]
    }

    /// `count` draws, [count, dimension], and the component of each. Sample i follows from (`seed`, `first` + i) alone.
    public func sample(count: Int, first: Int = 0, seed: UInt64) -> (rows: [Double], labels: [Int]) {
        let factors = (0 ..< components).map { factor(of: $0) }
        let normals = FloatBuffer(count: count * dimension), uniforms = FloatBuffer(count: count)
        let draws = Draws(seed: seed, purpose: .sample, step: 0, firstSample: first)
        draws.fillNormal(normals.values, samples: count)
        draws.fillUniform(uniforms.values, samples: count, layer: 1, low: 0, high: 1)
        var rows = [Double](repeating: 0, count: count * dimension), labels = [Int](repeating: 0, count: count)
        for sample in 0 ..< count {
            let label = component(at: Double(uniforms.values[sample]))
            labels[sample] = label
            let start = sample * dimension
            for row in 0 ..< dimension {
                var value = means[label * dimension + row]
                switch covariance {
                case .diagonal: value += factors[label][row] * Double(normals.values[start + row])
                case .full:
                    for column in 0 ... row {
                        value += factors[label][row * dimension + column] * Double(normals.values[start + column])
                    }
                }
                rows[start + row] = value
            }
        }
        return (rows, labels)
    }

    /// The component whose share of 0 ..< 1 holds `position`, the shares in order.
    private func component(at position: Double) -> Int {
        var sum = 0.0
        for component in 0 ..< components {
            sum += weights[component]
            if position < sum { return component }
        }
        return weights.lastIndex { $0 > 0 } ?? 0
    }

    /// L of Σₖ = L Lᵀ, or the standard deviations.
    func factor(of component: Int) -> [Double] {
        let values = Array(covariance(of: component))
        if covariance == .diagonal { return values.map { $0.squareRoot() } }
        guard let lower = Cholesky.decompose(values, order: dimension) else {
            preconditionFailure("covariance \(component) is not positive definite")
        }
        return lower
    }
}

extension GaussianMixture.Covariance {
    /// The values of one covariance.
    public func count(_ dimension: Int) -> Int { self == .full ? dimension * dimension : dimension }
}

extension GaussianMixture {
    /// The mean of ln p(x) over all rows, in nats; the same bits on any number of ranks. Collective.
    public func meanLogLikelihood(of rows: ShardedRows, _ communicator: any Communicator) throws -> Double {
        let density = MixtureDensity(self), sums = ShardSums(count: 1, table: rows.table, communicator: communicator)
        for shard in rows.table.mine {
            var sum = 0.0
            rows.forEachBlock(of: shard, rows: 512) { block, _ in
                for value in density.logLikelihoods(Array(block)) { sum += value }
            }
            sums[shard: shard, 0] = sum
        }
        try sums.sum()
        return sums.totals[0] / Double(rows.count)
    }
}

/// A mixture made ready to be evaluated: the factors of its covariances and the constants of its Gaussians.
public final class MixtureDensity {
    private let mixture: GaussianMixture
    private let factors: [[Double]]
    /// ln wₖ − ½ (D ln 2π + ln det Σₖ)
    private let constants: [Double]
    private var centred: [Double] = []

    public init(_ mixture: GaussianMixture) {
        self.mixture = mixture
        let dimension = mixture.dimension
        let factors = (0 ..< mixture.components).map { mixture.factor(of: $0) }
        constants = factors.indices.map { component in
            let diagonal = (0 ..< dimension).map {
                factors[component][mixture.covariance == .full ? $0 * dimension + $0 : $0]
            }
            let halfLogDeterminant = diagonal.reduce(0) { $0 + log($1) }
            return log(mixture.weights[component]) - 0.5 * Double(dimension) * log(2 * Double.pi) - halfLogDeterminant
        }
        self.factors = factors
    }

    /// ln (wₖ N(x; μₖ, Σₖ)) of each row of `rows` [count, dimension], into `joint` [count, components].
    func logJoint(_ rows: ArraySlice<Double>, count: Int, into joint: inout [Double]) {
        let dimension = mixture.dimension, components = mixture.components
        if centred.count < count * dimension { centred = [Double](repeating: 0, count: count * dimension) }
        for component in 0 ..< components {
            centre(rows, count: count, component)
            let factor = factors[component]
            if mixture.covariance == .full {
                Cholesky.solve(factor, order: dimension, rows: &centred, count: count)
            }
            for row in 0 ..< count {
                var distance = 0.0
                for index in 0 ..< dimension {
                    let value = centred[row * dimension + index]
                    let scaled = mixture.covariance == .full ? value : value / factor[index]
                    distance += scaled * scaled
                }
                joint[row * components + component] = constants[component] - 0.5 * distance
            }
        }
    }

    private func centre(_ rows: ArraySlice<Double>, count: Int, _ component: Int) {
        let dimension = mixture.dimension, first = rows.startIndex, mean = component * dimension
        for row in 0 ..< count {
            for index in 0 ..< dimension {
                let place = row * dimension + index
                centred[place] = rows[first + place] - mixture.means[mean + index]
            }
        }
    }

    /// ln p(x) in nats of each row of `rows` [count, dimension].
    public func logLikelihoods(_ rows: [Double]) -> [Double] {
        let count = rows.count / mixture.dimension
        var joint = [Double](repeating: 0, count: count * mixture.components)
        logJoint(rows[...], count: count, into: &joint)
        return (0 ..< count).map { row in
            let values = joint[row * mixture.components ..< (row + 1) * mixture.components]
            return logSumExp(values)
        }
    }
}

/// ln Σ eᵛ, without leaving the range of a Double.
func logSumExp(_ values: ArraySlice<Double>) -> Double {
    let largest = values.max() ?? -.infinity
    guard largest > -.infinity else { return largest }
    return largest + log(values.reduce(0) { $0 + exp($1 - largest) })
}
