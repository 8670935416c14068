import Collectives
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
}
