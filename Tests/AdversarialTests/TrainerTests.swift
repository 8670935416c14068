import Collectives
import Foundation
import Kernels
import Nets
import Testing
@testable import Adversarial

/// The trainer's steps against ``ReferenceGame``: every gradient, all parameters after the updates, and every figure
/// of the report.
@Suite struct TrainerTests {
    struct Case: CustomStringConvertible, Sendable {
        let description: String
        var game: Game
        let exampleShape: Shape
        let shards: Int
        let steps: Int

        init(
            _ description: String, _ updates: [Update], batch: Int = 12, packing: Int = 1, latent: Latent? = nil,
            _ generatorLoss: GeneratorLoss = .nonSaturating, _ discriminatorLoss: DiscriminatorLoss = .init(),
            generator: OptimiserSettings? = nil, discriminator: OptimiserSettings? = nil, images: Bool = false,
            shards: Int = 2, steps: Int = 4
        ) {
            var game = smallGame()
            (game.updates, game.batch, game.packing) = (updates, batch, packing)
            game.objective = StandardObjective(generator: generatorLoss, discriminator: discriminatorLoss)
            game.latent = latent ?? game.latent
            game.generatorOptimiser = generator ?? game.generatorOptimiser
            game.discriminatorOptimiser = discriminator ?? game.discriminatorOptimiser
            if images {
                game.generator.append(Reshape(to: .image(height: 2, width: 1, channels: 1)))
                game.discriminator.insert(Flatten(), at: 0)
            }
            exampleShape = images ? .image(height: 2, width: 1, channels: 1) : .vector(2)
            (self.description, self.game, self.shards, self.steps) = (description, game, shards, steps)
        }
    }

    // An ε and a β₂ at which Adam's step shows both, and is no mere sign of the gradient.
    private static let adam = OptimiserSettings(
        .adam(beta1: 0.5, beta2: 0.9, epsilon: 0.01),
        rate: Schedule(.linear(from: 0.02, to: 0.01, over: 5), unit: .updates))
    private static let optimistic = OptimiserSettings(
        .optimisticAdam(beta1: 0.5, beta2: 0.9, epsilon: 0.01), rate: .constant(0.02))
    /// The momentum grows over the second and third epoch: with 36 examples a step, from step 3 on.
    private static let momentum = OptimiserSettings(
        .momentum, rate: Schedule(.decay(initial: 0.1, decay: 1.1, floor: 0.07), unit: .updates),
        momentum: Schedule(.ramp(from: 0.5, to: 0.9, over: 3), unit: .epochs))

    static let cases = [
        Case("alternating", Update.alternating(discriminatorSteps: 1)),
        Case(
            "three steps of D, mean, smoothed labels, momentum", Update.alternating(discriminatorSteps: 3),
            .nonSaturating, DiscriminatorLoss(reduction: .mean, labelSmoothing: 0.1),
            generator: momentum, discriminator: momentum, steps: 9),
        Case("at once, minimax, Adam", Update.simultaneous(), .minimax, generator: adam, discriminator: adam),
        Case(
            "two steps of D, Adam and optimistic Adam", Update.alternating(discriminatorSteps: 2),
            generator: optimistic, discriminator: adam),
        Case(
            "packs of 2, optimistic Adam for D", Update.alternating(discriminatorSteps: 2), packing: 2,
            generator: momentum, discriminator: optimistic),
        Case(
            "packs of 3 at once, maximum likelihood", Update.simultaneous(), packing: 3, .maximumLikelihood,
            DiscriminatorLoss(reduction: .mean)),
        Case("packs of 2 images", Update.alternating(discriminatorSteps: 1), packing: 2, images: true),
        Case("packs of 3 images at once", Update.simultaneous(), packing: 3, images: true),
        Case(
            "shards of 3 and 4 examples, uniform noise", Update.alternating(discriminatorSteps: 1), batch: 11,
            latent: Latent(size: 3, distribution: .uniform), shards: 3),
        Case("at once, shards of 5 and 6 examples", Update.simultaneous(), batch: 11),
        Case("one answer", Update.simultaneous(unrollingSteps: 1), generator: adam, discriminator: adam),
        Case(
            "three answers in packs of 2", Update.simultaneous(unrollingSteps: 3), packing: 2, generator: adam,
            discriminator: adam),
    ]

    @Test(arguments: cases, [1, 2]) func stepsAreThoseOfTheReference(_ trial: Case, ranks: Int) throws {
        _ = try ThreadCommunicator.run(size: ranks) { communicator in
            let trainer = try trial.game.trainer(
                shards: trial.shards, communicator, exampleShape: trial.exampleShape)
            let recorder = GradientRecorder()
            trainer.trace = recorder
            var reference = ReferenceGame(trainer)
            for step in 1 ... trial.steps {
                let own = Self.figures(try trainer.step()), right = reference.step()
                #expect(recorder.gradients.map(\.name) == reference.gradients.map(\.name))
                for (gradient, expected) in zip(recorder.gradients, reference.gradients) {
                    Self.expect(gradient.values, expected.values, "gradient of \(expected.name), step \(step)")
                }
                #expect(own.count == right.count)
                for (name, value) in right {
                    Self.expect([try #require(own[name])], [value], "\(name), step \(step)")
                }
                recorder.gradients = []
            }
            for (player, expected) in [
                (trainer.generator, reference.generator), (trainer.discriminator, reference.discriminator),
            ] {
                Self.expect(
                    ReferenceNetwork(player.network).values, expected.network.values,
                    "parameters of the \(player.role.name)")
            }
        }
    }

    private static func expect(_ values: [Double], _ right: [Double], _ what: String) {
        // Of the largest value; rounding comes to 7e-6 in the bound of the divergence, to 3e-6 elsewhere.
        #expect(relativeDistance(values, right) < 5e-5, "\(what)")
    }

    private static func figures(_ report: StepReport) -> [String: Double] {
        [
            "loss_real": report.lossReal ?? .nan, "loss_fake": report.lossFake ?? .nan,
            "loss_discriminator": report.lossDiscriminator,
            "loss_generator": report.lossGenerator, "d_real": report.logOdds?.dReal ?? .nan,
            "d_fake": report.logOdds?.dFake ?? .nan, "value": report.logOdds?.value ?? .nan,
            "jsd_bound": report.logOdds?.jsdBound ?? .nan,
            "grad_norm_discriminator": report.gradientNormDiscriminator,
            "grad_norm_generator": report.gradientNormGenerator, "lr_discriminator": report.rateDiscriminator,
            "lr_generator": report.rateGenerator,
        ]
    }

    /// A discriminator that says ½ of everything: V is −log 4, and the bound of the divergence 0 (theorem 1).
    @Test func equilibriumHasItsValues() throws {
        var game = smallGame()
        game.discriminator = [Dense(units: 1, weights: .zero)]
        let report = try game.trainer(shards: 2, SoloCommunicator()).step()
        let odds = try #require(report.logOdds)
        #expect(odds.dReal == 0.5 && odds.dFake == 0.5)
        #expect(abs(odds.value + log(4)) < 1e-15 && abs(odds.jsdBound) < 1e-15)
        let (real, fake) = (try #require(report.lossReal), try #require(report.lossFake))
        #expect(abs(real - log(2)) < 1e-15 && abs(fake - log(2)) < 1e-15)
        #expect(abs(report.lossDiscriminator - log(4)) < 1e-15)
    }
}

/// Keeps the summed gradients of a step as a reference network has them.
private final class GradientRecorder: StepTrace {
    var gradients: [(name: String, values: [Double])] = []

    func gradient(_ gradient: Floats, of player: Player, inner: Int) {
        gradients.append(
            (
                player.role == .generator ? "generator" : "discriminator \(inner)",
                ReferenceNetwork.values(gradient, of: player.network)
            ))
    }

    func real(_ inner: Int?, _ rows: Floats, range: Range<Int>, indices: [Int], shape: Shape) {}
    func noise(_ noise: Batch, inner: Int?, rows: Range<Int>) {}
    func masks(of network: Network, inner: Int?) {}
    func penaltyDraws(_ name: String, _ values: Floats, dimensions: [Int], inner: Int, packs: Range<Int>) {}
    func augmentation(_ draws: Floats, probability: Double, inner: Int?, rows: Range<Int>) {}
    func losses(inner: Int?, _ losses: KeyValuePairs<String, Double>) {}
    func finishStep(_ players: [Player]) throws {}
}
