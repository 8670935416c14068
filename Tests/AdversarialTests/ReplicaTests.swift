import Collectives
import Glibc
import Kernels
import Nets
import Support
import Testing
@testable import Adversarial

@Suite struct ReplicaTests {
    /// Residuals in both players, normalised over the minibatch in G, penalised and spectrally normalised in D: the
    /// bits of six shards do not depend on the ranks.
    @Test func residualsHaveTheSameBitsOnAnyRanks() throws {
        func state(ranks: Int, ranksPerNode: Int = 8, ranksPerDomain: Int? = nil) throws -> [[UInt32]] {
            try ThreadCommunicator.run(
                size: ranks, ranksPerNode: ranksPerNode, ranksPerDomain: ranksPerDomain
            ) { communicator in
                var game = smallGame()
                game.generator = [
                    Dense(units: 7),
                    Residual(
                        body: [
                            Synchronised(BatchNormalisation()), ReLU(),
                            Residual(body: [Dense(units: 7), Synchronised(BatchNormalisation()), LeakyReLU(slope: 0.2)]
                            ),
                        ]),
                    Residual(body: [Tanh(), Dense(units: 2)], skip: [Dense(units: 2)]),
                ]
                game.discriminator = [
                    Residual(
                        body: [Dense(units: 6), Tanh(), Dropout(keepProbability: 0.8), Dense(units: 4)],
                        skip: [Dense(units: 4)]),
                    Residual(body: [LayerNormalisation(), Dense(units: 4), Softplus()]), Dense(units: 1),
                ]
                game.penalties = [
                    Penalty(.r1, weight: 0.5), Penalty(.gradientPenalty(target: 1), weight: 2.0),
                ]
                game.spectralPlayers = [.discriminator]
                game.average = AverageSettings(halfLife: .constant(30))
                let trainer = try game.trainer(shards: 6, communicator)
                for _ in 0 ..< 4 { _ = try trainer.step() }
                try trainer.requireEqualReplicas()
                return trainer.state.flatMap { $0.values.array.map(\.bitPattern) }
            }
        }
        let alone = try state(ranks: 1)[0]
        #expect(alone.allSatisfy { Float(bitPattern: $0).isFinite })
        for (ranks, ranksPerNode, ranksPerDomain) in [
            (2, 2, 2), (3, 3, 3), (2, 1, 1), (3, 2, 2), (6, 6, 6), (6, 3, 3), (2, 2, 1), (5, 5, 2), (6, 3, 2),
            (6, 6, 3),
        ] {
            #expect(
                try state(ranks: ranks, ranksPerNode: ranksPerNode, ranksPerDomain: ranksPerDomain)
                    .allSatisfy { $0 == alone },
                "\(ranks) ranks, \(ranksPerNode) a node, \(ranksPerDomain) a domain")
        }
    }

    /// Both players at once: a rank that is done with D still needs it for G, while others may have the sum of D's
    /// gradients already where that travels by messages.
    @Test(arguments: [GradientSum.Kind.ordered, .orderedMessages]) func playersThatMoveAtOnce(
        _ exchange: GradientSum.Kind
    ) throws {
        func state(ranks: Int, ranksPerNode: Int = 8, ranksPerDomain: Int? = nil) throws -> [[UInt32]] {
            try ThreadCommunicator.run(
                size: ranks, ranksPerNode: ranksPerNode, ranksPerDomain: ranksPerDomain
            ) { communicator in
                var game = smallGame()
                (game.updates, game.exchange) = (Update.simultaneous(), exchange)
                let trainer = try game.trainer(shards: 6, communicator)
                for _ in 0 ..< 30 { _ = try trainer.step() }
                try trainer.requireEqualReplicas()
                return trainer.state.flatMap { $0.values.array.map(\.bitPattern) }
            }
        }
        let alone = try state(ranks: 1)[0]
        for (ranks, ranksPerNode, ranksPerDomain) in [(3, 3, 3), (6, 6, 6), (5, 2, 2), (6, 6, 2), (4, 4, 1)] {
            #expect(
                try state(ranks: ranks, ranksPerNode: ranksPerNode, ranksPerDomain: ranksPerDomain)
                    .allSatisfy { $0 == alone },
                "\(ranks) ranks, \(ranksPerNode) a node, \(ranksPerDomain) a domain")
        }
    }

    /// What rank 0 copies for a checkpoint after a step is the state of that step, however late it is and however far
    /// the others, which move the same memory, have come meanwhile.
    @Test(
        arguments: [Update.alternating(discriminatorSteps: 2), Update.simultaneous()], [GradientSum.Kind.ordered, .mpi])
    func noStateIsHalfMoved(_ updates: [Update], _ exchange: GradientSum.Kind) throws {
        func states(late: Bool) throws -> [[UInt32]] {
            try ThreadCommunicator.run(size: 3) { communicator in
                var game = smallGame()
                (game.updates, game.exchange) = (updates, exchange)
                game.average = AverageSettings(halfLife: .constant(30))
                let trainer = try game.trainer(shards: 3, communicator)
                return try (0 ..< 5).flatMap { _ -> [UInt32] in
                    _ = try trainer.step()
                    guard communicator.rank == 0 else { return [] }
                    if late { usleep(20_000) }
                    return trainer.state.flatMap { $0.values.array.map(\.bitPattern) }
                }
            }
        }
        #expect(try states(late: true)[0] == states(late: false)[0])
    }

    /// What ``Trainer/requireEqualReplicas()`` says.
    private static func finding(_ trainer: Trainer) throws -> String {
        do {
            try trainer.requireEqualReplicas()
            return "nothing"
        } catch {
            return Failure.of(error).message
        }
    }

    /// One flipped bit in one weight of the generator of one rank, or of one node, is found, at once and some steps
    /// later, and every rank gets the same error, which names the rank and the step.
    @Test(arguments: [1, 2, 3], [0, 2]) func aFlippedBitIsFoundAndNamed(ranksPerNode: Int, stepsLater: Int) throws {
        let findings = try ThreadCommunicator.run(size: 3, ranksPerNode: ranksPerNode) { communicator -> String in
            let trainer = try smallGame().trainer(shards: 3, communicator)
            for _ in 0 ..< 4 { _ = try trainer.step() }
            try trainer.requireEqualReplicas()
            try communicator.barrier()
            if communicator.rank == 1 {
                let weights = trainer.generator.network.store.values.values
                weights[3] = Float(bitPattern: weights[3].bitPattern ^ 1)
            }
            try communicator.barrier()
            for _ in 0 ..< stepsLater { _ = try trainer.step() }
            return try Self.finding(trainer)
        }
        let step = 4 + stepsLater
        #expect(
            findings[0].hasPrefix(
                ranksPerNode == 1
                    ? "the training states at step \(step) differ on rank 1 (host "
                    : "at step \(step) the parameters and moments of the generator are not what rank 0 (host "))
        #expect(findings.allSatisfy { $0 == findings[0] })
    }

    /// Nodes, and NUMA domains, that have computed differently, each for itself without a fault, are told apart.
    @Test(arguments: [2, 5]) func nodesThatDifferAreFound(ranksPerNode: Int) throws {
        let findings = try ThreadCommunicator.run(
            size: 5, ranksPerNode: ranksPerNode, ranksPerDomain: 2
        ) { communicator -> String in
            let trainer = try smallGame().trainer(shards: 5, communicator)
            _ = try trainer.step()
            try trainer.requireEqualReplicas()
            if trainer.generator.state.group.contains(2) {
                trainer.generator.state.change { _, range in
                    trainer.generator.network.store.values.values[range.lowerBound] += 1
                }
                try trainer.generator.state.barrier()
            }
            return try Self.finding(trainer)
        }
        #expect(findings[0].hasPrefix("the training states at step 1 differ on rank 2 (host "))
        #expect(findings.allSatisfy { $0 == findings[0] })
    }

    /// The same of all that is state beside the weights and their moments.
    @Test(arguments: [1, 2]) func aFlippedBitOfAnyStateIsFound(ranksPerNode: Int) throws {
        let findings = try ThreadCommunicator.run(size: 2, ranksPerNode: ranksPerNode) { communicator -> [String] in
            var game = smallGame()
            (game.leCam, game.average) = (LeCam(), AverageSettings(halfLife: 100.0))
            game.spectralPlayers = [.discriminator, .generator]
            let shape = Shape.image(height: 2, width: 1, channels: 1)
            game.generator.append(Reshape(to: shape))
            game.discriminator.insert(Flatten(), at: 0)
            game.augmentation = Augmentation(probability: .adaptive(AdaptiveProbability()))
            let trainer = try game.trainer(shards: 2, communicator, exampleShape: shape)
            for _ in 0 ..< 2 { _ = try trainer.step() }
            try trainer.requireEqualReplicas()
            let states: [Floats] = [
                trainer.discriminator.spectral!.named[0].values, trainer.generator.spectral!.named[3].values,
                trainer.generator.average!.values.values, trainer.leCam!.means.values,
                trainer.augmentation!.state!.values,
            ]
            return try states.map { values in
                try communicator.barrier()
                let right = values[1]
                try communicator.barrier()
                if communicator.rank == 1 { values[1] = Float(bitPattern: right.bitPattern ^ 1) }
                try communicator.barrier()
                let finding = try Self.finding(trainer)
                if communicator.rank == 1 { values[1] = right }
                return finding
            }
        }
        #expect(findings[0].count == 5 && findings[0] == findings[1])
        for (place, finding) in findings[0].enumerated() {
            let names = [
                "the spectral norms of the discriminator", "the spectral norms of the generator",
                "the average of the generator",
            ]
            #expect(
                ranksPerNode == 1 || place > 2
                    ? finding.hasPrefix("the training states at step 2 differ on rank 1 ")
                    : finding.hasPrefix("at step 2 \(names[place]) are not what rank "), "\(place): \(finding)")
        }
    }

    /// y = x, where one rank computes the gradient wrongly.
    private struct Inexact: Layer {
        let isWrong: Bool
        var name: String { "inexact" }
        func outputShape(for input: Shape) throws(ShapeError) -> Shape { input }
        func forward(_ input: Batch, into output: Batch, _ memory: LayerMemory, mode: Mode) {
            output.values.copy(from: input.values)
        }
        func backward(
            _ outputGradient: Batch, input: Batch, output: Batch, into inputGradient: Batch?, _ memory: LayerMemory,
            parameterGradients: Bool
        ) {
            guard let dx = inputGradient?.values else { return }
            dx.copy(from: outputGradient.values)
            if isWrong { dx[0] = Float(bitPattern: dx[0].bitPattern ^ 1 << 12) }
        }
    }

    /// A rank that computes wrongly is named, although all ranks of its node have what it has made of the state; the
    /// comparison changes nothing of the state.
    @Test(arguments: [1, 3]) func aRankThatComputesWronglyIsNamed(ranksPerNode: Int) throws {
        for (wrong, player) in [(nil, 0), (2, 0), (1, 1)] as [(Int?, Int)] {
            let findings = try ThreadCommunicator.run(size: 3, ranksPerNode: ranksPerNode) { communicator -> String in
                var game = smallGame()
                let layer = Inexact(isWrong: communicator.rank == wrong)
                if player == 0 { game.generator.insert(layer, at: 2) } else { game.discriminator.insert(layer, at: 2) }
                game.generatorOptimiser = OptimiserSettings(.adam(beta1: 0.5, beta2: 0.9, epsilon: 1e-8))
                let trainer = try game.trainer(shards: 4, communicator)
                for _ in 0 ..< 2 { _ = try trainer.step() }
                try trainer.requireEqualReplicas()
                let before = trainer.state.map { $0.values.array }
                defer { #expect(trainer.state.map { $0.values.array } == before) }
                do {
                    try trainer.requireEqualArithmetic()
                    return "nothing"
                } catch {
                    return Failure.of(error).message
                }
            }
            #expect(findings.allSatisfy { $0 == findings[0] })
            let expected =
                wrong.map {
                    "the gradients that every rank has computed of the same numbers at step 2 differ on rank \($0) "
                }
            #expect(findings[0].hasPrefix(expected ?? "nothing"), "\(findings[0])")
        }
    }
}
