import Collectives
import Foundation
import Testing
@testable import Mixtures

/// What scikit-learn makes of the same start: Tests/reference/make_mixture_fixtures.py.
private struct Fixture: Decodable {
    struct Values: Decodable {
        let weights: [Double]
        let means: [Double]
        let covariances: [Double]
        let logLikelihood: Double?
    }
    struct Fits: Decodable {
        let start: Values
        let after: [String: Values]
    }
    struct Principal: Decodable {
        let mean: [Double]
        let directions: [Double]
        let explained: Double
    }
    let examples: [Double]
    let dimension: Int
    let full: Fits
    let diagonal: Fits
    let principal: Principal

    static func load() throws -> Fixture {
        let file = try #require(Bundle.module.url(forResource: "Fixtures/mixtures", withExtension: "json"))
        return try JSONDecoder().decode(Fixture.self, from: Data(contentsOf: file))
    }

    func fits(_ covariance: GaussianMixture.Covariance) -> Fits { covariance == .full ? full : diagonal }
}

private func mixture(_ values: Fixture.Values, _ covariance: GaussianMixture.Covariance) -> GaussianMixture {
    let components = values.weights.count
    return GaussianMixture(
        covariance: covariance, components: components, dimension: values.means.count / components,
        weights: values.weights, means: values.means, covariances: values.covariances)
}

/// This rank's part of `values`.
private func share(
    _ values: [Double], dimension: Int, shards: Int, _ communicator: any Communicator
) throws -> ShardedRows {
    let table = try ShardTable(shards: shards, communicator: communicator), count = values.count / dimension
    let rows = table.rows(batch: count)
    return ShardedRows(
        Array(values[rows.lowerBound * dimension ..< rows.upperBound * dimension]), count: count, dimension: dimension,
        table: table)
}

private func nearly(_ first: [Double], _ second: [Double], _ tolerance: Double) -> Bool {
    first.count == second.count && zip(first, second).allSatisfy { abs($0 - $1) <= tolerance * max(1, abs($1)) }
}

/// Examples of three clusters in `dimension` values.
private func clusters(count: Int, dimension: Int, seed: UInt64) -> [Double] {
    let centres = GaussianMixture(
        covariance: .diagonal, components: 3, dimension: dimension, weights: [0.5, 0.3, 0.2],
        means: (0 ..< 3 * dimension).map { Double(($0 * 7) % 5) },
        covariances: (0 ..< 3 * dimension).map { 0.2 + Double($0 % 3) / 3 })
    return centres.sample(count: count, seed: seed).rows
}

@Suite struct MixtureTests {
    @Test(arguments: GaussianMixture.Covariance.allCases)
    func followsScikitLearn(_ covariance: GaussianMixture.Covariance) throws {
        let fixture = try Fixture.load(), fits = fixture.fits(covariance)
        let communicator = SoloCommunicator()
        let rows = try share(fixture.examples, dimension: fixture.dimension, shards: 4, communicator)
        let fit = ExpectationMaximisation(
            mixture(fits.start, covariance), rows, floor: 1e-12, communicator: communicator)
        for step in 1 ... 5 {
            let report = try fit.step()
            #expect(report.floored.isEmpty && report.empty.isEmpty)
            guard let expected = fits.after["\(step)"] else { continue }
            #expect(nearly(fit.mixture.weights, expected.weights, 1e-10))
            #expect(nearly(fit.mixture.means, expected.means, 1e-10))
            #expect(nearly(fit.mixture.covariances, expected.covariances, 1e-9))
            let likelihoods = MixtureDensity(fit.mixture).logLikelihoods(fixture.examples)
            let mean = likelihoods.reduce(0, +) / Double(likelihoods.count)
            #expect(abs(mean - expected.logLikelihood!) < 1e-10)
        }
    }

    /// ln p by its definition: the determinant and the inverse by Gaussian elimination.
    @Test func densityIsThatOfTheFormula() throws {
        let fixture = try Fixture.load(), model = mixture(fixture.full.after["5"]!, .full)
        let d = model.dimension
        let examples = Array(fixture.examples.prefix(8 * d))
        let found = MixtureDensity(model).logLikelihoods(examples)
        for row in 0 ..< 8 {
            var p = 0.0
            for k in 0 ..< model.components {
                let x = (0 ..< d).map { examples[row * d + $0] - model.means[k * d + $0] }
                // Solves Σ y = x, with the determinant on the way.
                var matrix = (0 ..< d).map { r in
                    (0 ..< d).map { model.covariances[k * d * d + r * d + $0] } + [x[r]]
                }
                var determinant = 1.0
                for pivot in 0 ..< d {
                    determinant *= matrix[pivot][pivot]
                    for r in 0 ..< d where r != pivot {
                        let factor = matrix[r][pivot] / matrix[pivot][pivot]
                        for c in 0 ... d { matrix[r][c] -= factor * matrix[pivot][c] }
                    }
                }
                let distance = (0 ..< d).reduce(0.0) { $0 + x[$1] * matrix[$1][d] / matrix[$1][$1] }
                p += model.weights[k] * exp(-distance / 2) / (pow(2 * .pi, Double(d)) * determinant).squareRoot()
            }
            #expect(abs(found[row] - log(p)) < 1e-10 * max(1, abs(log(p))))
        }
    }

    /// While no floor acts, no step makes the likelihood smaller by more than rounding.
    @Test(arguments: GaussianMixture.Covariance.allCases, [1, 2, 3, 4, 5] as [UInt64])
    func likelihoodNeverFalls(_ covariance: GaussianMixture.Covariance, seed: UInt64) throws {
        let communicator = SoloCommunicator()
        let rows = try share(clusters(count: 300, dimension: 4, seed: seed), dimension: 4, shards: 3, communicator)
        let start = try GaussianMixture.start(
            covariance, components: 5, rows, seed: seed, floor: 1e-9, communicator: communicator)
        let fit = ExpectationMaximisation(start, rows, floor: 1e-9, communicator: communicator)
        var last = -Double.infinity, gain = 0.0
        for _ in 0 ..< 60 {
            let report = try fit.step()
            guard report.floored.isEmpty else { break }
            #expect(report.logLikelihood >= last - 1e-10 * abs(report.logLikelihood))
            if last > -.infinity { gain += report.logLikelihood - last }
            last = report.logLikelihood
        }
        #expect(gain > 0.05)
    }

    @Test(arguments: GaussianMixture.Covariance.allCases)
    func sameBitsOnAnyNumberOfRanks(_ covariance: GaussianMixture.Covariance) throws {
        func fitted(ranks: Int) throws -> GaussianMixture {
            try ThreadCommunicator.run(size: ranks) { communicator in
                let all = try share(clusters(count: 101, dimension: 6, seed: 3), dimension: 6, shards: 8, communicator)
                let rows = try PrincipalComponents(of: all, count: 4, communicator: communicator).project(all)
                let start = try GaussianMixture.start(
                    covariance, components: 3, rows, seed: 7, floor: 1e-6, communicator: communicator)
                let fit = ExpectationMaximisation(start, rows, floor: 1e-6, communicator: communicator)
                for _ in 0 ..< 4 { _ = try fit.step() }
                return fit.mixture
            }[ranks - 1]
        }
        let alone = try fitted(ranks: 1)
        for ranks in [2, 3, 5, 8] { #expect(try fitted(ranks: ranks) == alone) }
    }

    @Test func floorActsOnExamplesInAPlane() throws {
        let communicator = SoloCommunicator()
        // The third value is always 1.
        let values = clusters(count: 60, dimension: 3, seed: 5).enumerated().map { $0.offset % 3 == 2 ? 1 : $0.element }
        let rows = try share(values, dimension: 3, shards: 2, communicator)
        for covariance in GaussianMixture.Covariance.allCases {
            let start = try GaussianMixture.start(
                covariance, components: 2, rows, seed: 1, floor: 1e-4, communicator: communicator)
            let fit = ExpectationMaximisation(start, rows, floor: 1e-4, communicator: communicator)
            let report = try fit.step()
            #expect(report.floored == [0, 1] && report.logLikelihood.isFinite)
            #expect(MixtureDensity(fit.mixture).logLikelihoods(values).allSatisfy { $0.isFinite })
        }
    }

    @Test func refusesMoreComponentsThanDifferentExamples() throws {
        let communicator = SoloCommunicator()
        let rows = try share([1, 1, 2, 2, 1, 1, 2, 2], dimension: 2, shards: 2, communicator)
        #expect(throws: (any Error).self) {
            try GaussianMixture.start(
                .full, components: 3, rows, seed: 1, floor: 1e-6, communicator: communicator)
        }
    }

    @Test func principalComponentsAreScikitLearns() throws {
        let fixture = try Fixture.load(), communicator = SoloCommunicator()
        let rows = try share(fixture.examples, dimension: 3, shards: 5, communicator)
        let found = try PrincipalComponents(of: rows, count: 2, communicator: communicator)
        #expect(nearly(found.mean, fixture.principal.mean, 1e-12))
        #expect(abs(found.explained - fixture.principal.explained) < 1e-12)
        for number in 0 ..< 2 {
            let mine = Array(found.directions[number * 3 ..< number * 3 + 3])
            let theirs = Array(fixture.principal.directions[number * 3 ..< number * 3 + 3])
            // A direction's sign is a convention.
            let sign = zip(mine, theirs).reduce(0) { $0 + $1.0 * $1.1 } < 0 ? -1.0 : 1
            #expect(nearly(mine, theirs.map { $0 * sign }, 1e-10))
        }
        let all = try PrincipalComponents(of: rows, count: 3, communicator: communicator)
        let again = all.reconstruct((0 ..< 5).flatMap { Array(all.project(rows).rows(of: $0)) })
        #expect(nearly(again, fixture.examples, 1e-12))
    }

    @Test(arguments: GaussianMixture.Covariance.allCases)
    func samplesHaveTheMomentsOfTheMixture(_ covariance: GaussianMixture.Covariance) throws {
        let fixture = try Fixture.load(), model = mixture(fixture.fits(covariance).after["2"]!, covariance)
        let (rows, labels) = model.sample(count: 40_000, seed: 2), d = model.dimension
        for component in 0 ..< 3 {
            let mine = labels.indices.filter { labels[$0] == component }
            #expect(abs(Double(mine.count) / 40_000 - model.weights[component]) < 0.01)
            for index in 0 ..< d {
                let values = mine.map { rows[$0 * d + index] }
                let mean = values.reduce(0, +) / Double(values.count)
                let variance = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(values.count)
                let place = covariance == .full ? component * d * d + index * d + index : component * d + index
                #expect(abs(mean - model.means[component * d + index]) < 0.06)
                #expect(abs(variance / model.covariances[place] - 1) < 0.06)
            }
        }
        // A part of the samples is the same part.
        #expect(model.sample(count: 10, first: 90, seed: 2).rows == Array(rows[90 * d ..< 100 * d]))
    }
}
