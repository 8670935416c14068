import Collectives
import Kernels
import Nets
import Support
import Testing
@testable import Adversarial

@Suite struct ReplicaTests {
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
