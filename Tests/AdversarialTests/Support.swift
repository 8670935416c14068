import Collectives
import Foundation
import Kernels
import Nets
@testable import Adversarial

/// Eight clusters of points on a ring, in memory: real examples for tests.
final class RingExamples: MinibatchSource {
    static let count = 90
    private let batch: Int
    private let rows: Range<Int>
    private let memory: FloatBuffer

    /// `rows` of minibatches of `batch`.
    init(batch: Int, rows: Range<Int>) {
        (self.batch, self.rows) = (batch, rows)
        memory = FloatBuffer(count: 2 * rows.count)
    }

    func indices(minibatch number: Int) -> [Int] { (0 ..< batch).map { (number * batch + $0) * 7 % Self.count } }
    func epoch(minibatch number: Int) -> Int { number * batch / Self.count }

    func minibatch(_ number: Int) -> Floats {
        for (place, index) in indices(minibatch: number)[rows].enumerated() {
            let angle = Double(index % 8) * .pi / 4, radius = 2 + 0.01 * Double(index % 11)
            memory.values[2 * place] = Float(radius * cos(angle))
            memory.values[2 * place + 1] = Float(radius * sin(angle))
        }
        return memory.values
    }

    func values(_ number: Int) -> [Float] { minibatch(number).array }
}

/// Networks of the plane that are small, dense and smooth, with steps downhill at 0.2 and 0.3.
func smallGame() -> Game {
    var game = Game(
        generator: [Dense(units: 7), Tanh(), Dense(units: 2)],
        discriminator: [Dense(units: 6), Tanh(), Dense(units: 1)],
        latent: Latent(size: 3))
    game.generatorOptimiser = OptimiserSettings(.descent, rate: .constant(0.2))
    game.discriminatorOptimiser = OptimiserSettings(.descent, rate: .constant(0.3))
    game.batch = 12
    return game
}

extension Game {
    /// A trainer of this game on ``RingExamples``.
    func trainer(
        shards: Int, _ communicator: any Communicator, exampleShape: Shape = .vector(2)
    ) throws -> Trainer {
        let table = try ShardTable(shards: shards, communicator: communicator)
        return try Trainer(
            self, exampleShape: exampleShape, reals: RingExamples(batch: batch, rows: table.rows(batch: batch)),
            shards: table, communicator: communicator)
    }
}
