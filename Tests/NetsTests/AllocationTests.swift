import AllocationCount
import Kernels
@testable import Nets
import Testing

@Suite struct AllocationTests {
    /// A step of every kind of layer allocates nothing once it has run.
    @Test func aSteadyStepAllocatesNothing() throws {
        try expectNoAllocations([
            Dense(units: 32), ReLU(), Dropout(keepProbability: 0.5), Maxout(units: 160, pieces: 3), Tanh(),
            Reshape(to: .image(height: 4, width: 4, channels: 10)),
            TransposedConvolution2D(channels: 64, kernel: 4, stride: 2),
            BatchNormalisation(), LeakyReLU(slope: 0.2), Convolution2D(channels: 16, kernel: 3, stride: 2),
            Sigmoid(),
            Flatten(), Dense(units: 1),
        ])
    }

    @Test func aSteadyStepOfWeightsInPanelsAllocatesNothing() throws {
        try expectNoAllocations([
            Dense(units: 512), ReLU(), Dense(units: 512), Tanh(), Maxout(units: 320, pieces: 2), Dense(units: 1),
        ])
    }

    @Test func aSteadyStepOfNewerLayersAllocatesNothing() throws {
        try expectNoAllocations([
            Basis(height: 4, width: 4, channels: 32), GroupNormalisation(groups: 4), SiLU(), Resample2D(.nearest),
            Convolution2D(channels: 32, kernel: 3, groups: 2), ScaleShift(), GELU(), Resample2D(.linear),
            GroupNormalisation(groups: nil), Resample2D(.binomialDown), PixelNormalisation(), MinibatchDeviation(),
            Convolution2D(channels: 33, kernel: 3, groups: 33), Resample2D(.mean), ScaleShift(scale: nil), Flatten(),
            Dense(units: 1),
        ])
    }

    @Test func aSteadyStepOfJoinedLayersAllocatesNothing() throws {
        try expectNoAllocations([
            Basis(height: 4, width: 4, channels: 32), Resample2D(.linear), Convolution2D(channels: 48, kernel: 1),
            Resample2D(.nearest), Convolution2D(channels: 32, kernel: 3), ReLU(),
            Convolution2D(channels: 32, kernel: 3),
            Pooling2D(.mean, size: 2, stride: 2), Convolution2D(channels: 48, kernel: 1), Resample2D(.mean), Flatten(),
            Dense(units: 1),
        ])
    }

    /// With products of at least 10⁶ multiplications, of one example.
    @Test func aSteadyStepOfAttentionAllocatesNothing() throws {
        try expectNoAllocations(
            [
                Basis(height: 32, width: 32, channels: 128), SelfAttention(gamma: .constant(1)),
                Resample2D(.mean, factor: 32),
                Flatten(), Dense(units: 1),
            ], capacity: 2, steps: 3)
    }

    private func expectNoAllocations(_ layers: [any Layer], capacity: Int = 8, steps: Int = 100) throws {
        // OpenBLAS allocates to divide work among threads, and in some kernels for products of under 10⁶
        // multiplications: hence one thread, as a rank has, and wide convolutions.
        let network = lasting(try Network(layers, input: .vector(16), capacity: capacity, name: "n"))
        let store = network.store
        store.initialise(seed: 1, role: 0)
        let values = lasting(Array(repeating: 0.1, count: capacity * 16))
        let ones = lasting(Array(repeating: 1, count: capacity))
        let sums = lasting(Array(repeating: 0, count: store.statistics.count)),
            gradients = lasting(Array(repeating: 0, count: store.count))
        var final = 0

        func run(_ step: Int) throws {
            // Shards may differ by a sample.
            let count = capacity - step % 2
            let input = Batch(values, count: count, shape: .vector(16)),
                gradient = Batch(ones, count: count, shape: .vector(1))
            gradients.fill(0)
            sums.fill(0)
            _ = try network.forward(
                input, parameters: network.store.values.values, mode: training(step: step), batchStatistics: sums)
            _ = try network.backward(
                from: gradient, parameters: network.store.values.values, into: gradients, inputGradient: true
            ) { final += $0.count }
            _ = try network.backward(
                from: gradient, parameters: network.store.values.values, into: nil, inputGradient: true)
            store.applyStatistics(sums, samples: count)
            _ = try network.forward(input, parameters: network.store.values.values, mode: .sampling)
        }
        for step in 0 ..< 3 { try run(step) }
        let before = allocationsOfThisThread()
        for step in 3 ..< 3 + steps { try run(step) }
        #expect(
            allocationsOfThisThread() == before, "\(steps) steps made \(allocationsOfThisThread() - before) allocations"
        )
        #expect(final == (3 + steps) * store.count)

        let count = allocationsOfThisThread()
        let buffer = FloatBuffer(count: 1)
        #expect(allocationsOfThisThread() > count && buffer.count == 1, "the counter does not count")
    }

    /// Nor does an update of each kind, of the spectral norms and of the average.
    @Test func aSteadyUpdateAllocatesNothing() throws {
        let network = lasting(
            try Network(
                [
                    Dense(units: 12), Reshape(to: .image(height: 2, width: 2, channels: 3)),
                    TransposedConvolution2D(channels: 9, kernel: 2), Convolution2D(channels: 2, kernel: 3), Flatten(),
                    Maxout(units: 1, pieces: 3),
                ], input: .vector(70), capacity: 1, name: "n"))
        let store = network.store, values = store.values.values
        store.initialise(seed: 1, role: 0)
        let rules: [UpdateRule] = [
            .descent, .momentum, .adam(beta1: 0.5, beta2: 0.999, epsilon: 1e-8),
            .adamW(beta1: 0.5, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.01),
            .optimisticAdam(beta1: 0.5, beta2: 0.999, epsilon: 1e-8), .rmsprop(alpha: 0.99, epsilon: 1e-8),
        ]
        let optimisers = rules.map {
            Optimiser(
                OptimiserSettings($0, rate: .constant(1e-4), momentum: .constant(0.5), clipNorm: 1, clipWeights: 10),
                count: store.count)
        }
        let spectral = try #require(SpectralNormalisation(of: store, all: true, seed: 1, role: 0))
        let average = AveragedParameters(of: values, AverageSettings(halfLife: .constant(100), ramp: 0.05))
        let effective = lasting(values.array), gradients = lasting(values.array), pulled = lasting(values.array)
        var norm = 0.0
        func run(_ step: Int) {
            let progress = Progress(steps: step, epochs: 0, examples: Double(8 * step), update: step + 1)
            spectral.refresh(values, into: effective)
            spectral.pullBack(gradients, effective: effective, into: pulled)
            for number in optimisers.indices {
                norm += optimisers[number].update(values, gradients: pulled, at: progress)
            }
            average.update(with: values, batch: 8, at: progress)
            spectral.normalise(values, into: effective)
        }
        for step in 0 ..< 3 { run(step) }
        let before = allocationsOfThisThread()
        for step in 3 ..< 13 { run(step) }
        #expect(allocationsOfThisThread() == before, "10 steps made \(allocationsOfThisThread() - before) allocations")
        #expect(norm.isFinite && norm > 0)
    }
}
