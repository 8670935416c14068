// Add your own: a layer, an objective and data that the library does not have, trained on all MPI ranks of the job.
//
//     mpirun -n 2 .build/release/example-least-squares [PICTURE.png]

import Adversarial
import Collectives
import Foundation
import Kernels
import Nets
import Storage
import Support

/// y = x where x > 0, slope · x elsewhere; each channel learns its slope: He et al. 2015, "Delving deep into
/// rectifiers".
struct ParametricReLU: Layer {
    var name: String { "parametric_relu" }

    func outputShape(for input: Shape) throws(ShapeError) -> Shape { input }

    func parameters(for input: Shape) -> [ParameterSpec] {
        [ParameterSpec("slope", [input.channels], layout: "C", initialiser: .constant(0.25), fanIn: 1, fanOut: 1)]
    }

    func forward(_ input: Batch, into output: Batch, _ memory: LayerMemory, mode: Mode) {
        let x = input.values, y = output.values, slope = memory.parameters[0]
        for index in 0 ..< x.count { y[index] = x[index] > 0 ? x[index] : slope[index % slope.count] * x[index] }
    }

    func backward(
        _ outputGradient: Batch, input: Batch, output: Batch,
        into inputGradient: Batch?, _ memory: LayerMemory, parameterGradients: Bool
    ) {
        let dy = outputGradient.values, x = input.values, slope = memory.parameters[0]
        if parameterGradients {
            // Zeroed first where this is the first part of a shard: the gradients of the parts of a shard add up.
            let dSlope = memory.gradientToAdd(0)
            for index in 0 ..< x.count where x[index] <= 0 { dSlope[index % slope.count] += dy[index] * x[index] }
        }
        if let dx = inputGradient?.values {
            for index in 0 ..< x.count { dx[index] = x[index] > 0 ? dy[index] : slope[index % slope.count] * dy[index] }
        }
    }
}

/// Least squares: Mao et al. 2017, eq. 9. D's output s is to be 1 for real examples and 0 for generated ones, so that
/// its cost is ½ (s − 1)² + ½ s²; the generator's is ½ (s − 1)².
struct LeastSquares: Objective {
    var isLogOdds: Bool { false }

    func discriminator(
        real: Floats, fake: Floats, of rows: Int, into slopes: (real: Floats, fake: Floats)
    ) -> (real: Double, fake: Double) {
        (squares(real, from: 1, of: rows, into: slopes.real), squares(fake, from: 0, of: rows, into: slopes.fake))
    }

    func generator(real: Floats?, fake: Floats, of rows: Int, into slopes: Floats) -> Double {
        squares(fake, from: 1, of: rows, into: slopes)
    }

    /// Returns the sum of the costs of the shard's rows; the slopes are those of the mean over the minibatch's `rows`.
    private func squares(_ outputs: Floats, from target: Double, of rows: Int, into slopes: Floats) -> Double {
        var cost = 0.0
        for row in 0 ..< outputs.count {
            let difference = Double(outputs[row]) - target
            cost += difference * difference / 2
            slopes[row] = Float(difference / Double(rows))
        }
        return cost
    }
}

/// White discs on black, 16 × 16 pixels, of random places and sizes. A disc is a function of its minibatch's number and
/// its row there, so the examples do not depend on the number of ranks.
final class Discs: MinibatchSource {
    static let shape = Shape.image(height: 16, width: 16, channels: 1)
    private let batch: Int
    private let rows: Range<Int>
    private let places: FloatBuffer
    private let images: FloatBuffer

    /// `rows` of minibatches of `batch`: those of this rank.
    init(batch: Int, rows: Range<Int>) {
        (self.batch, self.rows) = (batch, rows)
        places = FloatBuffer(count: 3 * rows.count)
        images = FloatBuffer(count: Self.shape.count * rows.count)
    }

    func indices(minibatch number: Int) -> [Int] { Array(number * batch ..< (number + 1) * batch) }
    func epoch(minibatch number: Int) -> Int { 0 }

    func minibatch(_ number: Int) -> Floats {
        let draws = Draws(seed: 1, purpose: .synthetic, step: number, firstSample: rows.lowerBound)
        draws.fillUniform(places.values, samples: rows.count, low: 0, high: 1)
        for image in 0 ..< rows.count {
            let place = places.values[3 * image ..< 3 * image + 3]
            let (left, top, radius) = (4 + 7 * place[0], 4 + 7 * place[1], 2.5 + 2 * place[2])
            for pixel in 0 ..< 256 {
                let distance = hypot(Float(pixel % 16) - left, Float(pixel / 16) - top)
                images.values[256 * image + pixel] = min(max(radius - distance, -1), 1)
            }
        }
        return images.values
    }
}

/// Trains, and writes real discs above generated ones to `picture`. Every rank runs all of it.
func train(picture: String) throws {
    let session = try MPISession(), isFirst = session.world.rank == 0
    var game = Game(
        generator: [Dense(units: 128), ParametricReLU(), Dense(units: 256), Tanh(), Reshape(to: Discs.shape)],
        discriminator: [Flatten(), Dense(units: 128), ParametricReLU(), Dense(units: 1)],
        latent: Latent(size: 8), objective: LeastSquares(), batch: 64)
    game.generatorOptimiser = OptimiserSettings(.adam(beta1: 0.5, beta2: 0.999, epsilon: 1e-8), rate: .constant(1e-3))
    game.discriminatorOptimiser = game.generatorOptimiser
    // The number of shards, not that of ranks, decides the bits of the result.
    let shards = try ShardTable(shards: 4, communicator: session.world)
    let reals = Discs(batch: game.batch, rows: shards.rows(batch: game.batch))
    let trainer = try Trainer(
        game, exampleShape: Discs.shape, reals: reals, shards: shards, communicator: session.world)

    for step in 1 ... 3000 {
        let report = try trainer.step()
        if isFirst, step == 1 || step % 500 == 0 {
            let costs = String(format: "cost of D %.3f, of G %.3f", report.lossDiscriminator, report.lossGenerator)
            print("step \(step): \(costs)")
        }
    }

    if isFirst {
        // What `minibatch` and `values` give is a view: its owner is kept until the values have been read.
        let discs = Discs(batch: 32, rows: 0 ..< 32)
        let real = withExtendedLifetime(discs) { discs.minibatch(0).array }
        let generated = try Sampler(trainer.generator.network, game.latent)
            .samples(count: 32, Draws(seed: 1, purpose: .sample, step: 0))
        let both = FloatBuffer(real + generated.array)
        try withExtendedLifetime(both) {
            try PNGGrid.write(both.values, shape: Discs.shape.dimensions, range: -1 ... 1, columns: 8, to: picture)
        }
        print("\(picture): 32 real discs, and 32 that the generator makes below them")
    }
    try session.finish()
}

do {
    try train(picture: CommandLine.arguments.dropFirst().first ?? "discs.png")
} catch {
    // Without MPISession.finish(): the launcher then ends the other ranks, which may wait for this one.
    let failure = Failure.of(error)
    StandardError.report(failure)
    exit(failure.code.rawValue)
}
