import Glibc
import Kernels
@testable import Nets
import Testing

@Suite struct OptimiserTests {
    private static let adam = UpdateRule.adam(beta1: 0.5, beta2: 0.999, epsilon: 1e-8)

    private func progress(_ step: Int) -> Progress {
        Progress(steps: step, epochs: 0, examples: Double(64 * step), update: step + 1)
    }

    // MARK: - Against PyTorch

    /// The same updates; every one of them is compared, and Σ g² is that of the gradient as it was given.
    private func compare(
        _ name: String, in file: Fixture.File, _ settings: OptimiserSettings, tolerance: Float = 1e-6
    ) throws {
        let fixture = try Fixture(name, in: file)
        let values = try fixture.floats("start"), gradients = try fixture.floats("gradients"),
            after = try fixture.values("after")
        let optimiser = Optimiser(settings, count: 37)
        for step in 0 ..< gradients.count / 37 {
            let gradient = gradients[step * 37 ..< (step + 1) * 37]
            let square = optimiser.update(values, gradients: gradient, at: progress(step))
            expectClose(
                values, Array(after[step * 37 ..< (step + 1) * 37]), tolerance: tolerance, "\(name), step \(step)")
            let expected = gradient.array.reduce(0) { $0 + Double($1) * Double($1) }
            #expect(abs(square - expected) < 1e-6 * expected)
        }
    }

    @Test(arguments: [
        ("descent", OptimiserSettings(.descent, rate: .constant(0.1))),
        ("momentum", OptimiserSettings(.momentum, rate: .constant(0.1), momentum: .constant(0.7))),
        ("adam", OptimiserSettings(adam, rate: .constant(2e-3))),
        (
            "optimistic adam",
            OptimiserSettings(.optimisticAdam(beta1: 0.5, beta2: 0.9, epsilon: 1e-8), rate: .constant(2e-3))
        ),
    ])
    func firstRules(name: String, settings: OptimiserSettings) throws {
        try compare(name, in: .layers, settings)
    }

    /// Gradients of 10⁻⁷ to 10² over 20 steps.
    @Test(arguments: [
        ("rmsprop", OptimiserSettings(.rmsprop(alpha: 0.99, epsilon: 1e-8), rate: .constant(1e-2))),
        (
            "adamw",
            OptimiserSettings(
                .adamW(beta1: 0.5, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.1), rate: .constant(1e-2))
        ),
        (
            "adam, β₂ by schedule",
            OptimiserSettings(
                .adam(beta1: 0.5, beta2: Schedule(.linear(from: 0.9, to: 0.99, over: 10)), epsilon: 1e-8),
                rate: .constant(1e-2))
        ),
        (
            "adam, warm-up and cosine",
            OptimiserSettings(adam, rate: Schedule(.cosine(from: 0.01, to: 0.001, over: 10), warmup: 4))
        ),
        ("descent, norm clipped", OptimiserSettings(.descent, rate: .constant(0.1), clipNorm: 4)),
        ("adam, norm clipped", OptimiserSettings(adam, rate: .constant(1e-2), clipNorm: 1)),
        (
            "rmsprop, weights clipped",
            OptimiserSettings(.rmsprop(alpha: 0.99, epsilon: 1e-8), rate: .constant(5e-3), clipWeights: 0.05)
        ),
    ])
    func laterRules(name: String, settings: OptimiserSettings) throws {
        try compare(name, in: .optimisers, settings, tolerance: 2e-6)
    }

    // MARK: - Against the formulas

    /// One parameter in double, step by step from the definition.
    private struct Naive {
        var value: Double
        var first = 0.0, second = 0.0, previous = 0.0, velocity = 0.0

        mutating func update(_ gradient: Double, _ rule: UpdateRule, _ rate: Double, momentum: Double, t: Int) {
            switch rule {
            case .descent: value -= rate * gradient
            case .momentum:
                velocity = momentum * velocity - rate * gradient
                value += velocity
            case .adam(let beta1, let beta2, let epsilon):
                value -= rate * adam(gradient, beta1, beta2, epsilon, t)
            case .adamW(let beta1, let beta2, let epsilon, let decay):
                value -= rate * decay * value
                value -= rate * adam(gradient, beta1, beta2, epsilon, t)
            case .optimisticAdam(let beta1, let beta2, let epsilon):
                let step = rate * adam(gradient, beta1, beta2, epsilon, t)
                value += previous - 2 * step
                previous = step
            case .rmsprop(let alpha, let epsilon):
                second = alpha * second + (1 - alpha) * gradient * gradient
                value -= rate * gradient / (second.squareRoot() + epsilon)
            }
        }

        private mutating func adam(
            _ gradient: Double, _ beta1: Double, _ schedule: Schedule, _ epsilon: Double, _ t: Int
        ) -> Double {
            let beta2 = schedule.value(at: Progress(steps: t - 1, epochs: 0, examples: 0, update: t))
            first = beta1 * first + (1 - beta1) * gradient
            second = beta2 * second + (1 - beta2) * gradient * gradient
            func power(_ base: Double) -> Double { (0 ..< t).reduce(1) { product, _ in product * base } }
            return first / (1 - power(beta1)) / ((second / (1 - power(beta2))).squareRoot() + epsilon)
        }
    }

    private static let beta2 = Schedule(.exponential(from: 0.8, to: 0.95, over: 12), warmup: 3)

    @Test(
        arguments: [
            .descent, .momentum, .adam(beta1: 0.9, beta2: beta2, epsilon: 1e-6),
            .adamW(beta1: 0, beta2: beta2, epsilon: 1e-6, weightDecay: 0.3),
            .optimisticAdam(beta1: 0.5, beta2: beta2, epsilon: 1e-6), .rmsprop(alpha: 0.9, epsilon: 1e-6),
        ] as [UpdateRule], [nil, 3] as [Double?])
    func rulesAreTheirFormulas(rule: UpdateRule, clipNorm: Double?) {
        let count = 101, draws = Draws(seed: 7, purpose: .evaluation, step: 0)
        let values = lasting(Array(repeating: 0, count: count)), gradients = lasting(values.array)
        draws.fillNormal(values, samples: 1)
        var naive = values.array.map { Naive(value: Double($0)) }
        let settings = OptimiserSettings(
            rule, rate: .constant(0.01), momentum: .constant(0.6), clipNorm: clipNorm, clipWeights: 1.5)
        let optimiser = Optimiser(settings, count: count)
        var clipped = 0
        for step in 0 ..< 20 {
            Draws(seed: 7, purpose: .evaluation, step: step + 1).fillNormal(gradients, samples: 1)
            for index in 0 ..< count { gradients[index] *= [1e-4, 0.1, 1, 3][(index + step) % 4] }
            let norm = gradients.array.reduce(0) { $0 + Double($1) * Double($1) }.squareRoot()
            let factor = clipNorm.map { min(1, $0 / (norm + 1e-6)) } ?? 1
            for index in 0 ..< count {
                naive[index].update(Double(gradients[index]) * factor, rule, 0.01, momentum: 0.6, t: step + 1)
                if abs(naive[index].value) > 1.5 { clipped += 1 }
                naive[index].value = min(max(naive[index].value, -1.5), 1.5)
            }
            _ = optimiser.update(values, gradients: gradients, at: progress(step))
        }
        expectClose(values, naive.map { Float($0.value) }, tolerance: 2e-6, "\(rule)")
        #expect(clipped > 0, "no weight was clipped")
    }

    /// The arithmetic of Adam and of momentum, operation by operation in float: what no clipping may change.
    @Test func anUpdateWithoutClippingHasTheBitsOfItsFormula() {
        let count = 43, rate = 2e-4, beta1 = 0.5, beta2 = 0.999
        let start = (0 ..< count).map { Float($0) * 0.37 - 5 }
        let values = lasting(start), moved = lasting(start), gradients = lasting(start.map { $0 * $0 * 0.01 - 0.03 })
        let adam = Optimiser(OptimiserSettings(Self.adam, rate: .constant(rate)), count: count)
        let momentum = Optimiser(
            OptimiserSettings(.momentum, rate: .constant(rate), momentum: .constant(0.7)), count: count)
        var first = start.map { _ in Float(0) }, second = first, velocity = first, expected = start, other = start
        for t in 1 ... 3 {
            _ = adam.update(values, gradients: gradients, at: progress(t - 1))
            _ = momentum.update(moved, gradients: gradients, at: progress(t - 1))
            let power1 = [0, beta1, beta1 * beta1, beta1 * (beta1 * beta1)][t],
                power2 = [0, beta2, beta2 * beta2, beta2 * (beta2 * beta2)][t]
            let scale = Float(rate / (1 - power1)), correction = Float(1 / (1 - power2).squareRoot())
            for index in 0 ..< count {
                let g = gradients[index]
                first[index] = Float(beta1) * first[index] + Float(1 - beta1) * g
                second[index] = Float(beta2) * second[index] + Float(1 - beta2) * (g * g)
                expected[index] -= scale * first[index] / (second[index].squareRoot() * correction + Float(1e-8))
                velocity[index] = 0.7 * velocity[index] - Float(rate) * g
                other[index] += velocity[index]
            }
        }
        #expect(values.array == expected && moved.array == other)
    }

    @Test func whatIsNotANumberIsNotClamped() {
        let values = lasting([.nan, 3, -3, 0.5, -.infinity] + Array(repeating: 0.01, count: 6))
        OptimiserKernels.clamp(values, to: 1)
        #expect(values[0].isNaN && Array(values.array[1 ..< 5]) == [1, -1, 0.5, -1] && values[10] == 0.01)
    }

    @Test func momentsAreNamed() {
        func names(_ rule: UpdateRule) -> [String] { Optimiser(OptimiserSettings(rule), count: 1).moments.map(\.name) }
        #expect(names(.descent) == [] && names(.momentum) == ["velocity"] && names(Self.adam) == ["first", "second"])
        #expect(names(.rmsprop(alpha: 0.9, epsilon: 0)) == ["second"])
        #expect(names(.adamW(beta1: 0, beta2: 0.9, epsilon: 0, weightDecay: 0)) == ["first", "second"])
        #expect(names(.optimisticAdam(beta1: 0, beta2: 0.9, epsilon: 0)) == ["first", "second", "previous"])
    }

    // MARK: - Averages

    @Test func anAverageFollowsItsFormula() {
        let start = (0 ..< 45).map { Float($0) * 0.1 - 2 }
        let parameters = lasting(start)
        let average = AveragedParameters(of: parameters, AverageSettings(halfLife: .constant(500), ramp: 0.5))
        #expect(average.values.array == start)
        var expected = start.map(Double.init)
        for step in 0 ..< 30 {
            Draws(seed: 3, purpose: .evaluation, step: step).fillNormal(parameters, samples: 1)
            average.update(with: parameters, batch: 64, at: progress(step))
            let halfLife = min(500, 0.5 * 64 * Double(step))
            let beta = halfLife == 0 ? 0 : pow(0.5, 64 / halfLife)
            for index in expected.indices {
                expected[index] = beta * expected[index] + (1 - beta) * Double(parameters[index])
            }
            if step == 0 { #expect(average.values.array == parameters.array, "a half-life of 0 is the live network") }
        }
        expectClose(average.values.values, expected.map { Float($0) }, tolerance: 1e-6, "average")
    }

    /// After as many examples as the half-life has, half is forgotten; what stays the same is its own average.
    @Test func aHalfLifeIsThat() {
        let parameters = lasting([1, 1, 0.1])
        let average = AveragedParameters(of: lasting([0, 3, 0.1]), AverageSettings(halfLife: .constant(6400)))
        for step in 0 ..< 100 { average.update(with: parameters, batch: 64, at: progress(step)) }
        expectClose(average.values.values, [0.5, 2, 0.1], tolerance: 1e-6, "average")
        #expect(average.values.values[2] == 0.1)
        let growing = AverageSettings(halfLife: Schedule(.linear(from: 0, to: 1000, over: 10)))
        #expect(growing.share(batch: 64, at: progress(0)) == 1)
        #expect(abs(growing.share(batch: 100, at: progress(1)) - 0.5) < 1e-15)
    }
}
