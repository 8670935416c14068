import Collectives
import Foundation
import Kernels
import Nets
import Testing
@testable import Adversarial

/// The Dirac-GAN of Mescheder et al. 2018, "Which training methods for GANs do actually converge?": data are one point
/// at 0, G is one value θ, D(x) = ψ x; 500 plain steps of 0.2 from (θ, ψ) = (1, −1). How far from the equilibrium
/// (0, 0) each kind of training ends.
@Suite struct DiracTests {
    enum Training: CaseIterable { case simultaneous, first1, first5, second1, second5 }
    struct Kind: Sendable, CustomStringConvertible {
        let description: String
        let objective: any Objective
        var gamma = 0.0
        var clip: Double?
        /// |(θ, ψ)| after training, for each of ``Training/allCases``, as published: two digits and more.
        let distances: [Double]
    }

    static let kinds = [
        Kind(
            description: "minimax", objective: StandardObjective(generator: .minimax),
            distances: [3.1, 1.41, 1.71, 1.42, 1.85]),
        Kind(
            description: "non-saturating", objective: StandardObjective(),
            distances: [0.64, 0.271, 0.156, 0.284, 0.139]),
        Kind(
            description: "Wasserstein, clipped", objective: Wasserstein(), clip: 1,
            distances: [1.0, 0.985, 1.0, 1.02, 0.917]),
        Kind(
            description: "minimax with R1", objective: StandardObjective(generator: .minimax), gamma: 0.3,
            distances: [2.6e-6, 2.4e-7, 9e-34, 2.3e-7, 9e-34]),
        Kind(
            description: "minimax with critical R1", objective: StandardObjective(generator: .minimax), gamma: 1,
            distances: [1e-21, 8e-17, 5e-12, 7e-17, 5e-12]),
        Kind(
            description: "non-saturating with R1", objective: StandardObjective(), gamma: 0.3,
            distances: [2.2e-6, 1.6e-7, 5e-34, 1.5e-7, 4e-34]),
    ]

    private final class Origin: MinibatchSource {
        private let memory = FloatBuffer(count: 1)
        func minibatch(_ number: Int) throws -> Floats { memory.values }
        func indices(minibatch number: Int) -> [Int] { [0] }
        func epoch(minibatch number: Int) -> Int { number }
    }

    @Test(arguments: kinds, Training.allCases) func endsAsFarAsPublished(kind: Kind, training: Training) throws {
        var game = Game(
            generator: [Constant(shape: .vector(1), values: .constant(1))],
            discriminator: [Dense(units: 1, hasBias: false, weights: .constant(-1))], latent: Latent(size: 1))
        game.objective = kind.objective
        game.generatorOptimiser = OptimiserSettings(.descent, rate: 0.2)
        game.discriminatorOptimiser = OptimiserSettings(.descent, rate: 0.2, clipWeights: kind.clip)
        if kind.gamma > 0 { game.penalties = [Penalty(.r1, weight: .constant(kind.gamma))] }
        game.batch = 1
        game.updates =
            switch training {
            case .simultaneous: Update.simultaneous()
            case .first1: Update.alternating(discriminatorSteps: 1)
            case .first5: Update.alternating(discriminatorSteps: 5)
            case .second1: Update.alternating(discriminatorSteps: 1, generatorFirst: true)
            case .second5: Update.alternating(discriminatorSteps: 5, generatorFirst: true)
            }
        let communicator = SoloCommunicator()
        let trainer = try Trainer(
            game, exampleShape: .vector(1), reals: Origin(),
            shards: ShardTable(shards: 1, communicator: communicator), communicator: communicator)
        for _ in 0 ..< 500 { _ = try trainer.step() }
        let (theta, psi) = (
            Double(trainer.generator.parameters[0]), Double(trainer.discriminator.parameters[0])
        )
        let distance = (theta * theta + psi * psi).squareRoot()
        let right = kind.distances[Training.allCases.firstIndex(of: training)!]
        // Half a unit of the last published digit; where float32 has run out of exponents, it is 0 or nearly so.
        let digits = right > 0.1 ? 0.012 : 0.5
        #expect(abs(distance - right) <= max(digits * right, 1e-37), "\(distance), not \(right)")
    }
}
