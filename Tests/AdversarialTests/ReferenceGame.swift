import Foundation
import Kernels
import Nets
@testable import Adversarial

/// Dense layers with tanh between, in Double, one example at a time.
struct ReferenceNetwork {
    private let sizes: [Int]
    /// Weights [in, out] and biases of each layer, one after another.
    var values: [Double]

    init(_ network: Network) {
        sizes =
            [network.inputShape.count]
            + network.store.entries.filter { $0.specification.name == "bias" }.map(\.range.count)
        values = Self.values(network.store.values.values, of: network)
    }

    /// A flat buffer of the network's layout, without its padding.
    static func values(_ flat: Floats, of network: Network) -> [Double] {
        network.store.entries.flatMap { flat[$0.range].array.map(Double.init) }
    }

    private func starts() -> [Int] {
        (1 ..< sizes.count).reduce(into: [0]) { $0.append($0.last! + (sizes[$1 - 1] + 1) * sizes[$1]) }
    }

    /// Each layer's input, then the output.
    private func activations(_ input: [Double]) -> [[Double]] {
        var all = [input]
        for (layer, start) in starts().dropLast().enumerated() {
            let (n, m) = (sizes[layer], sizes[layer + 1])
            var sums = Array(values[start + n * m ..< start + n * m + m])
            for i in 0 ..< n { for j in 0 ..< m { sums[j] += all[layer][i] * values[start + i * m + j] } }
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
            var below = [Double](repeating: 0, count: n)
            for j in 0 ..< m {
                gradient[start + n * m + j] += slope[j]
                for i in 0 ..< n {
                    gradient[start + i * m + j] += slope[j] * all[layer][i]
                    below[i] += slope[j] * values[start + i * m + j]
                }
            }
            slope = below
        }
        return slope
    }
}

/// A player's parameters in descent: each rule as its paper writes it.
struct ReferencePlayer {
    var network: ReferenceNetwork
    let settings: OptimiserSettings
    /// Updates made.
    var updates = 0
    private var velocity, first, second, previous: [Double]

    init(_ network: Network, _ settings: OptimiserSettings) {
        self.network = ReferenceNetwork(network)
        self.settings = settings
        let zeros = [Double](repeating: 0, count: self.network.values.count)
        (velocity, first, second, previous) = (zeros, zeros, zeros, zeros)
    }

    /// The learning rate of the next update.
    var rate: Double {
        switch settings.rate.course {
        case .constant(let rate): rate
        case .decay(let initial, let decay, let floor): max(floor, initial * pow(decay, -Double(updates)))
        case .linear(let initial, let final, let steps):
            initial + (final - initial) * min(1, Double(updates) / Double(steps))
        default: fatalError("the reference has no \(settings.rate)")
        }
    }

    /// `epochs`: how many are complete. The momentum is `from` in the first, and `to` from epoch n on.
    private func momentum(_ epochs: Int) -> Double {
        switch settings.momentum.course {
        case .constant(let momentum): return momentum
        case .ramp(let from, let to, let over):
            let share = min(1, Double(max(epochs - 1, 0)) / Double(max(over - 1, 1)))
            return (1 - share) * from + share * to
        default: fatalError("the reference has no \(settings.momentum)")
        }
    }

    mutating func move(_ gradient: [Double], epochs: Int) {
        let rate = rate
        updates += 1
        for (index, g) in gradient.enumerated() {
            switch settings.rule {
            case .descent: network.values[index] -= rate * g
            case .momentum:
                velocity[index] = momentum(epochs) * velocity[index] - rate * g
                network.values[index] += velocity[index]
            case .adam(let beta1, let beta2, let epsilon):
                network.values[index] -= rate * adam(index, g, beta1, beta2.largest, epsilon)
            case .optimisticAdam(let beta1, let beta2, let epsilon):
                let step = rate * adam(index, g, beta1, beta2.largest, epsilon)
                network.values[index] += previous[index] - 2 * step
                previous[index] = step
            default: fatalError("the reference has no \(settings.rule)")
            }
        }
    }

    /// m̂ / (√v̂ + ε): Kingma & Ba 2015, Algorithm 1.
    private mutating func adam(_ index: Int, _ g: Double, _ beta1: Double, _ beta2: Double, _ epsilon: Double) -> Double
    {
        first[index] = beta1 * first[index] + (1 - beta1) * g
        second[index] = beta2 * second[index] + (1 - beta2) * g * g
        let mean = first[index] / (1 - pow(beta1, Double(updates)))
        let square = second[index] / (1 - pow(beta2, Double(updates)))
        return mean / (square.squareRoot() + epsilon)
    }
}

/// Algorithm 1 of Goodfellow et al. 2014 and its relatives written down naively: in Double, example by example, the
/// costs as functions of the probability D = 1 / (1 + e⁻ˢ).
///
/// Of the trainer it takes the first parameters alone. The noise is the keyed draws', which DrawsTests compares with
/// their definition, and the real examples are those of ``RingExamples``.
struct ReferenceGame {
    var generator, discriminator: ReferencePlayer
    private let game: Game
    private let objective: StandardObjective
    private let exampleShape: Shape
    private let real: RingExamples
    private var stepsDone = 0
    /// Every gradient that a player moved by, in order: `discriminator 0`, `discriminator 1`, …, `generator`.
    private(set) var gradients: [(name: String, values: [Double])] = []

    init(_ trainer: Trainer) {
        game = trainer.game
        generator = ReferencePlayer(trainer.generator.network, game.generatorOptimiser)
        discriminator = ReferencePlayer(trainer.discriminator.network, game.discriminatorOptimiser)
        objective = game.objective as! StandardObjective
        exampleShape = trainer.exampleShape
        real = RingExamples(batch: game.batch, rows: 0 ..< game.batch)
    }

    // MARK: - Costs

    /// 1 − α, the target of real examples, and what the sum of the halves is multiplied by.
    private var target: Double { 1 - objective.discriminatorLoss.labelSmoothing }
    private var weight: Double { objective.discriminatorLoss.reduction == .mean ? 0.5 : 1 }

    private static func probability(_ logit: Double) -> Double { 1 / (1 + exp(-logit)) }

    /// The generator's cost of D, and its derivative with respect to the logit: dD/ds = D (1 − D).
    private func generatorCost(_ d: Double) -> (cost: Double, slope: Double) {
        switch objective.generatorLoss {
        case .minimax: (log(1 - d), -1 / (1 - d) * d * (1 - d))
        case .nonSaturating: (-log(d), -1 / d * d * (1 - d))
        case .maximumLikelihood: (-d / (1 - d), -1 / ((1 - d) * (1 - d)) * d * (1 - d))
        case .reverseKL: (log((1 - d) / d), -1 / (d * (1 - d)) * d * (1 - d))
        }
    }

    // MARK: - Minibatches

    private func realExamples(_ minibatch: Int) -> [[Double]] { rows(real.values(minibatch), exampleShape.count) }

    private func noise(_ purpose: Purpose, inner: Int = 0) -> [[Double]] {
        let size = game.latent.size, values = FloatBuffer(count: game.batch * size)
        let draws = Draws(seed: game.seed, purpose: purpose, step: stepsDone, inner: inner)
        switch game.latent.distribution {
        case .normal: draws.fillNormal(values.values, samples: game.batch, layer: 255)
        case .uniform:
            draws.fillUniform(
                values.values, samples: game.batch, layer: 255, low: -Float(3).squareRoot(), high: Float(3).squareRoot()
            )
        }
        return rows(values.array, size)
    }

    private func rows(_ values: [Float], _ size: Int) -> [[Double]] {
        stride(from: 0, to: values.count, by: size).map { values[$0 ..< $0 + size].map(Double.init) }
    }

    /// Where value `index` of example `place` of a pack lies: vectors one after another; of images, which have one
    /// channel here, those of a pixel side by side.
    private func place(_ index: Int, _ place: Int) -> Int {
        if case .image = exampleShape { index * game.packing + place } else { place * exampleShape.count + index }
    }

    private func packs(_ examples: [[Double]]) -> [[Double]] {
        stride(from: 0, to: examples.count, by: game.packing).map { start in
            var pack = [Double](repeating: 0, count: game.packing * exampleShape.count)
            for example in 0 ..< game.packing {
                for index in 0 ..< exampleShape.count { pack[place(index, example)] = examples[start + example][index] }
            }
            return pack
        }
    }

    // MARK: - Gradients

    /// Means over a minibatch of what D makes of it.
    struct Judgement { var cost = 0.0, probability = 0.0, logarithm = 0.0 }

    private func discriminatorGradient(
        _ examples: [[Double]], _ generated: [[Double]]
    ) -> (gradient: [Double], real: Judgement, fake: Judgement) {
        let network = discriminator.network, n = Double(game.batch / game.packing)
        var gradient = [Double](repeating: 0, count: network.values.count)
        var real = Judgement(), fake = Judgement()
        for pack in packs(examples) {
            let d = Self.probability(network.forward(pack)[0])
            real.cost += (-target * log(d) - (1 - target) * log(1 - d)) / n
            real.probability += d / n
            real.logarithm += log(d) / n
            let slope = (-target / d + (1 - target) / (1 - d)) * d * (1 - d)
            _ = network.backward(pack, [weight * slope / n], into: &gradient)
        }
        for pack in packs(generated) {
            let d = Self.probability(network.forward(pack)[0])
            fake.cost -= log(1 - d) / n
            fake.probability += d / n
            fake.logarithm += log(1 - d) / n
            _ = network.backward(pack, [weight / (1 - d) * d * (1 - d) / n], into: &gradient)
        }
        return (gradient, real, fake)
    }

    private func generatorGradient(_ noise: [[Double]]) -> (gradient: [Double], cost: Double) {
        let n = Double(game.batch / game.packing)
        var gradient = [Double](repeating: 0, count: generator.network.values.count), cost = 0.0
        var ignored = [Double](repeating: 0, count: discriminator.network.values.count)
        for (number, pack) in packs(noise.map(generator.network.forward)).enumerated() {
            let (value, slope) = generatorCost(Self.probability(discriminator.network.forward(pack)[0]))
            cost += value / n
            let ofPack = discriminator.network.backward(pack, [slope / n], into: &ignored)
            for example in 0 ..< game.packing {
                let slopes = (0 ..< exampleShape.count).map { ofPack[place($0, example)] }
                _ = generator.network.backward(noise[number * game.packing + example], slopes, into: &gradient)
            }
        }
        return (gradient, cost)
    }

    // MARK: - The step

    /// The figures of a step's report under their names in metrics.jsonl.
    typealias Figures = [(name: String, value: Double)]

    mutating func step() -> Figures {
        gradients = []
        let k = game.discriminatorSteps, epochs = stepsDone * k * game.batch / RingExamples.count
        defer { stepsDone += 1 }
        if let steps = game.updates.map(\.unrollingSteps).max(), steps > 0 { return unrolledStep(steps, epochs) }
        if game.updates.count == 1 {
            let noise = noise(.discriminatorNoise), fakes = noise.map(generator.network.forward)
            let ofD = discriminatorGradient(realExamples(stepsDone), fakes), ofG = generatorGradient(noise)
            return move(ofD, 0, epochs) + move(ofG, epochs)
        }
        var figures: Figures = []
        for inner in 0 ..< k {
            let fakes = noise(.discriminatorNoise, inner: inner).map(generator.network.forward)
            figures = move(discriminatorGradient(realExamples(stepsDone * k + inner), fakes), inner, epochs)
        }
        return figures + move(generatorGradient(noise(.generatorNoise)), epochs)
    }

    private mutating func move(
        _ found: (gradient: [Double], real: Judgement, fake: Judgement), _ inner: Int, _ epochs: Int
    ) -> Figures {
        gradients.append(("discriminator \(inner)", found.gradient))
        let rate = discriminator.rate
        discriminator.move(found.gradient, epochs: epochs)
        return [
            ("loss_real", found.real.cost), ("loss_fake", found.fake.cost),
            ("loss_discriminator", weight * (found.real.cost + found.fake.cost)),
            ("d_real", found.real.probability), ("d_fake", found.fake.probability),
            ("value", found.real.logarithm + found.fake.logarithm),
            ("jsd_bound", 0.5 * (log(4) + found.real.logarithm + found.fake.logarithm)),
            ("grad_norm_discriminator", Self.norm(found.gradient)), ("lr_discriminator", rate),
        ]
    }

    private mutating func move(_ found: (gradient: [Double], cost: Double), _ epochs: Int) -> Figures {
        gradients.append(("generator", found.gradient))
        let rate = generator.rate
        generator.move(found.gradient, epochs: epochs)
        return [
            ("loss_generator", found.cost), ("grad_norm_generator", Self.norm(found.gradient)), ("lr_generator", rate),
        ]
    }

    private static func norm(_ gradient: [Double]) -> Double { gradient.reduce(0) { $0 + $1 * $1 }.squareRoot() }

    // MARK: - Unrolling: Metz et al. 2017

    /// Both at once; the generator's cost is −L of D after `steps` answers to it, and its gradient is the derivative of
    /// just that: central differences of the whole of it.
    private mutating func unrolledStep(_ steps: Int, _ epochs: Int) -> Figures {
        let noise = noise(.discriminatorNoise), examples = realExamples(stepsDone)
        let first = discriminatorGradient(examples, noise.map(generator.network.forward))
        let cost = costAfter(steps, examples, noise, generator.network, epochs)
        var gradient: [Double] = []
        for index in generator.network.values.indices {
            let h = 1e-5
            var above = generator.network, below = generator.network
            above.values[index] += h
            below.values[index] -= h
            gradient.append(
                (costAfter(steps, examples, noise, above, epochs) - costAfter(steps, examples, noise, below, epochs))
                    / (2 * h))
        }
        return move(first, 0, epochs) + move((gradient, cost), epochs)
    }

    private func costAfter(
        _ steps: Int, _ examples: [[Double]], _ noise: [[Double]], _ network: ReferenceNetwork, _ epochs: Int
    ) -> Double {
        let generated = noise.map(network.forward)
        var unrolled = self
        for _ in 0 ..< steps {
            unrolled.discriminator.move(
                unrolled.discriminatorGradient(examples, generated).gradient, epochs: epochs)
        }
        let last = unrolled.discriminatorGradient(examples, generated)
        return -(last.real.cost + last.fake.cost)
    }
}

/// The largest difference as a part of the largest right value. What is not a number is infinitely far.
func relativeDistance(_ values: [Double], _ right: [Double]) -> Double {
    guard values.count == right.count, !right.isEmpty else { return .infinity }
    var worst = 0.0, scale = 0.0
    for (value, right) in zip(values, right) {
        guard value.isFinite, right.isFinite else { return .infinity }
        worst = max(worst, abs(value - right))
        scale = max(scale, abs(right))
    }
    return worst == 0 ? 0 : worst / scale
}
