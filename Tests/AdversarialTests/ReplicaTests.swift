import Collectives
import Testing
@testable import Adversarial

@Suite struct ReplicaTests {
    private static func trainer(_ configuration: Configuration, _ communicator: any Communicator) throws -> Trainer {
        let data = try TrainingData(configuration)
        let shards = try ShardTable(shards: 3, communicator: communicator)
        let batch = configuration.training.batch
        let images = try data.reader(batch: batch, rows: shards.rows(batch: batch), seed: 1)
        return try Trainer(configuration, imageShape: data.shape, images: images, shards: shards, communicator: communicator)
    }

    /// That the next step's first examples are judged before a step ends changes no bit of the state and no figure, and nothing of
    /// it is state: steps that each are the last are the same.
    @Test(arguments: [1, 2, 3], [1, 2]) func judgingAheadChangesNothing(ranks: Int, k: Int) throws {
        let yaml = """
            data: {synthetic: ring, count: 50}
            latent: {size: 4}
            generator: [{dense: {units: 8}}, batch_normalisation, relu, {dense: {units: 2}}]
            discriminator: [{dense: {units: 8}}, batch_normalisation, relu, {dropout: {keep: 0.5}}, {dense: {units: 1}}]
            training: {discriminator_steps: \(k), update: alternating}
            """
        let configuration = try Configuration(yaml: yaml, source: "test")
        let runs = try ThreadCommunicator.run(size: ranks) { communicator -> [[String]] in
            try [[false, false, false, false], [true, true, true, true], [false, true, false, true]].map { last in
                let trainer = try Self.trainer(configuration, communicator)
                return try last.map { isLast in
                    let report = try trainer.step(isLast: isLast)
                    #expect((trainer.realsAhead == nil) == isLast)
                    return "\(report) \(trainer.fingerprint)"
                }
            }
        }
        for run in runs {
            #expect(run[0].count == 4 && Set(run[0]).count == 4)
            #expect(run.allSatisfy { $0 == runs[0][0] })
        }
    }

    /// One flipped bit in one weight of one rank's generator is found, and every rank gets the same error, which names the rank and the step.
    @Test func aFlippedBitIsFoundAndNamed() throws {
        let findings = try ThreadCommunicator.run(size: 3) { communicator -> String in
            let configuration = try Configuration(yaml: ConfigurationTests.small.replacing("ring", with: "ring, count: 200"), source: "test")
            let trainer = try Self.trainer(configuration, communicator)
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
}
