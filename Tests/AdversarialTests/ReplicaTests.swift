import Collectives
import Kernels
import Nets
import Support
import Testing
@testable import Adversarial

@Suite struct ReplicaTests {
    /// Residuals in both players, normalised over the minibatch in G, penalised and spectrally normalised in D: the
    /// bits of six shards do not depend on the ranks.
    @Test func residualsHaveTheSameBitsOnAnyRanks() throws {
        func state(ranks: Int) throws -> [[UInt32]] {
            try ThreadCommunicator.run(size: ranks) { communicator in
                var game = smallGame()
                game.generator = [
                    Dense(units: 7),
                    Residual(
                        body: [
                            SynchronisedBatchNormalisation(), ReLU(),
                            Residual(body: [Dense(units: 7), SynchronisedBatchNormalisation(), LeakyReLU(slope: 0.2)]),
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
                let trainer = try game.trainer(shards: 6, communicator)
                for _ in 0 ..< 4 { _ = try trainer.step() }
                try trainer.requireEqualReplicas()
                return trainer.state.flatMap { $0.values.array.map(\.bitPattern) }
            }
        }
        let alone = try state(ranks: 1)[0]
        #expect(alone.allSatisfy { Float(bitPattern: $0).isFinite })
        for ranks in 2 ... 3 { #expect(try state(ranks: ranks).allSatisfy { $0 == alone }, "\(ranks) ranks") }
    }

    /// One flipped bit in one weight of one rank's generator is found, and every rank gets the same error, which
    /// names the rank and the step.
    @Test func aFlippedBitIsFoundAndNamed() throws {
        let findings = try ThreadCommunicator.run(size: 3) { communicator -> String in
            let trainer = try smallGame().trainer(shards: 3, communicator)
            for _ in 0 ..< 4 { _ = try trainer.step() }
            try trainer.requireEqualReplicas()
            if communicator.rank == 1 {
                let weights = trainer.generator.network.store.values.values
                weights[3] = Float(bitPattern: weights[3].bitPattern ^ 1)
            }
            do {
                try trainer.requireEqualReplicas()
                return "nothing"
            } catch {
                return Failure.of(error).message
            }
        }
        #expect(findings[0].hasPrefix("the training states at step 4 differ on rank 1 (host "))
        #expect(findings.allSatisfy { $0 == findings[0] })
    }

    /// The same of all that is state beside the weights and their moments.
    @Test func aFlippedBitOfAnyStateIsFound() throws {
        let findings = try ThreadCommunicator.run(size: 2) { communicator -> [String] in
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
            return states.map { values in
                let right = values[1]
                if communicator.rank == 1 { values[1] = Float(bitPattern: right.bitPattern ^ 1) }
                defer { values[1] = right }
                do {
                    try trainer.requireEqualReplicas()
                    return "nothing"
                } catch {
                    return Failure.of(error).message
                }
            }
        }
        #expect(findings[0].count == 5 && findings[0] == findings[1])
        for finding in findings[0] { #expect(finding.hasPrefix("the training states at step 2 differ on rank 1 ")) }
    }
}
