import Collectives
import Foundation
import Kernels
import Nets
import Testing
@testable import Adversarial

/// The trainer's step against Algorithm 1 written down naively, in Double, example by example.
@Suite struct TrainerTests {
    /// The naive game, begun from the trainer's parameters.
    private struct NaiveGame {
        var generator, discriminator: NaiveNetwork
        let game: Game
        let objective: StandardObjective
        let real: RingExamples

        init(_ trainer: Trainer) {
            generator = NaiveNetwork(trainer.generator.network)
            discriminator = NaiveNetwork(trainer.discriminator.network)
            game = trainer.game
            objective = game.objective as! StandardObjective
            real = RingExamples(batch: game.batch, rows: 0 ..< game.batch)
        }

        private func noise(_ purpose: Purpose, step: Int, inner: Int) -> [[Double]] {
            let values = FloatBuffer(count: game.batch * game.latent.size)
            Draws(seed: game.seed, purpose: purpose, step: step, inner: inner).fillNormal(
                values.values, samples: game.batch, layer: Latents.layer)
            return rows(values.values.array, game.latent.size)
        }

        private func rows(_ values: [Float], _ size: Int) -> [[Double]] {
            stride(from: 0, to: values.count, by: size).map { values[$0 ..< $0 + size].map(Double.init) }
        }

        private func packs(_ examples: [[Double]]) -> [[Double]] {
            stride(from: 0, to: examples.count, by: game.packing).map {
                examples[$0 ..< $0 + game.packing].flatMap { $0 }
            }
        }

        /// D's gradient and its costs on a minibatch of real examples and one of noise.
        private func discriminatorGradient(
            _ real: [Float], _ noise: [[Double]]
        ) -> (gradient: [Double], real: Double, fake: Double) {
            let loss = objective.discriminatorLoss, n = Double(game.packs)
            var gradient = [Double](repeating: 0, count: discriminator.values.count), costs = (0.0, 0.0)
            for pack in packs(rows(real, 2)) {
                let logit = discriminator.forward(pack)[0]
                costs.0 += loss.valueOnReal(logit) / n
                _ = discriminator.backward(pack, [loss.weight * loss.slopeOnReal(logit) / n], into: &gradient)
            }
            for pack in packs(noise.map { generator.forward($0) }) {
                let logit = discriminator.forward(pack)[0]
                costs.1 += loss.valueOnFake(logit) / n
                _ = discriminator.backward(pack, [loss.weight * loss.slopeOnFake(logit) / n], into: &gradient)
            }
            return (gradient, costs.0, costs.1)
        }

        /// G's gradient and its cost on a minibatch of noise.
        private func generatorGradient(_ noise: [[Double]]) -> (gradient: [Double], cost: Double) {
            let loss = objective.generatorLoss, n = Double(game.packs)
            var gradient = [Double](repeating: 0, count: generator.values.count),
                ignored = [Double](repeating: 0, count: discriminator.values.count), cost = 0.0
            for start in stride(from: 0, to: noise.count, by: game.packing) {
                let latents = noise[start ..< start + game.packing]
                let pack = latents.flatMap { generator.forward($0) }, logit = discriminator.forward(pack)[0]
                cost += loss.value(logit) / n
                let images = discriminator.backward(pack, [loss.slope(logit) / n], into: &ignored)
                for (place, latent) in latents.enumerated() {
                    _ = generator.backward(latent, Array(images[2 * place ..< 2 * place + 2]), into: &gradient)
                }
            }
            return (gradient, cost)
        }

        /// One step; returns D's two costs and G's.
        mutating func step(_ number: Int) -> [Double] {
            func descend(_ network: inout NaiveNetwork, _ gradient: [Double], _ rate: Double) {
                for index in gradient.indices { network.values[index] -= rate * gradient[index] }
            }
            var ofReal = 0.0, ofFake = 0.0
            if game.updates.count == 1 {
                let noise = noise(.discriminatorNoise, step: number, inner: 0)
                let ofD = discriminatorGradient(real.minibatch(number).array, noise), ofG = generatorGradient(noise)
                descend(&discriminator, ofD.gradient, 0.3)
                descend(&generator, ofG.gradient, 0.2)
                return [ofD.real, ofD.fake, ofG.cost]
            }
            for inner in 0 ..< game.discriminatorSteps {
                let found = discriminatorGradient(
                    real.minibatch(number * game.discriminatorSteps + inner).array,
                    noise(.discriminatorNoise, step: number, inner: inner))
                descend(&discriminator, found.gradient, 0.3)
                (ofReal, ofFake) = (found.real, found.fake)
            }
            let found = generatorGradient(noise(.generatorNoise, step: number, inner: 0))
            descend(&generator, found.gradient, 0.2)
            return [ofReal, ofFake, found.cost]
        }
    }

    private static func distance(_ first: [Double], _ second: [Double]) -> Double {
        zip(first, second).map { abs($0 - $1) }.max()! / second.map(abs).max()!
    }

    private static func game(
        _ updates: [Update], packing: Int = 1, _ generator: GeneratorLoss = .nonSaturating,
        _ discriminator: DiscriminatorLoss = DiscriminatorLoss()
    ) -> Game {
        var game = smallGame()
        (game.updates, game.packing) = (updates, packing)
        game.objective = StandardObjective(generator: generator, discriminator: discriminator)
        return game
    }

    static let games = [
        game(Update.alternating(discriminatorSteps: 1)),
        game(
            Update.alternating(discriminatorSteps: 3), .nonSaturating,
            DiscriminatorLoss(reduction: .mean, labelSmoothing: 0.1)),
        game(Update.simultaneous(), .minimax),
        game(Update.alternating(discriminatorSteps: 2), packing: 2),
        game(Update.simultaneous(), packing: 2, .maximumLikelihood, DiscriminatorLoss(reduction: .mean)),
    ]

    @Test(arguments: games.indices, [1, 2]) func stepsAreThoseOfTheNaiveGame(game: Int, ranks: Int) throws {
        let apart = try ThreadCommunicator.run(size: ranks) { communicator -> [Double] in
            let trainer = try Self.games[game].trainer(shards: 2, communicator)
            var naive = NaiveGame(trainer)
            var worst = 0.0
            for step in 0 ..< 4 {
                let report = try trainer.step(), costs = naive.step(step)
                for (own, expected) in zip([report.lossReal, report.lossFake, report.lossGenerator], costs) {
                    worst = max(worst, abs(own - expected) / abs(expected))
                }
                #expect(abs(report.lossDiscriminator - naive.objective.weight * (costs[0] + costs[1])) < 1e-5)
            }
            return [
                worst, Self.distance(NaiveNetwork(trainer.generator.network).values, naive.generator.values),
                Self.distance(NaiveNetwork(trainer.discriminator.network).values, naive.discriminator.values),
            ]
        }
        for distances in apart { #expect(distances.allSatisfy { $0 < 2e-6 }, "\(distances)") }
    }

    /// The comparison can fail: the same game with G's cost of the other sign ends far away.
    @Test func anotherCostIsAnotherGame() throws {
        let trainer = try smallGame().trainer(shards: 2, SoloCommunicator())
        let other = Self.game(Update.alternating(discriminatorSteps: 1), .minimax)
        var naive = NaiveGame(try other.trainer(shards: 2, SoloCommunicator()))
        for step in 0 ..< 4 {
            _ = try trainer.step()
            _ = naive.step(step)
        }
        #expect(Self.distance(NaiveNetwork(trainer.generator.network).values, naive.generator.values) > 1e-3)
    }
}

/// Dense layers with tanh between, in Double, one example at a time.
struct NaiveNetwork {
    private let sizes: [Int]
    /// Weights [in, out] and biases of each layer, one after another.
    var values: [Double]

    init(_ network: Network) {
        sizes =
            [network.inputShape.count]
            + network.store.entries.filter { $0.specification.name == "bias" }.map(\.range.count)
        values = network.store.entries.flatMap { network.store.values.values[$0.range].array.map(Double.init) }
    }

    private func starts() -> [Int] {
        (1 ..< sizes.count).reduce(into: [0]) { $0.append($0.last! + (sizes[$1 - 1] + 1) * sizes[$1]) }
    }

    /// Each layer's input, then the output.
    private func activations(_ input: [Double]) -> [[Double]] {
        var all = [input]
        for (layer, start) in starts().dropLast().enumerated() {
            let (n, m) = (sizes[layer], sizes[layer + 1])
            let sums = (0 ..< m).map { j in
                values[start + n * m + j] + (0 ..< n).reduce(0) { $0 + all[layer][$1] * values[start + $1 * m + j] }
            }
            all.append(layer + 2 == sizes.count ? sums : sums.map { tanh($0) })
        }
        return all
    }

    func forward(_ input: [Double]) -> [Double] { activations(input).last! }

    /// Adds the parameters' gradient; returns the input's.
    func backward(_ input: [Double], _ outputGradient: [Double], into gradient: inout [Double]) -> [Double] {
        let all = activations(input), starts = starts()
        var slope = outputGradient
        for layer in (0 ..< sizes.count - 1).reversed() {
            let (n, m, start) = (sizes[layer], sizes[layer + 1], starts[layer])
            if layer + 2 < sizes.count { slope = zip(slope, all[layer + 1]).map { $0 * (1 - $1 * $1) } }
            for j in 0 ..< m {
                gradient[start + n * m + j] += slope[j]
                for i in 0 ..< n { gradient[start + i * m + j] += slope[j] * all[layer][i] }
            }
            slope = (0 ..< n).map { i in (0 ..< m).reduce(0) { $0 + slope[$1] * values[start + i * m + $1] } }
        }
        return slope
    }
}
