import Kernels
@testable import Nets
import Testing

@Suite struct NetworkTests {
    static let image = Shape.image(height: 10, width: 10, channels: 3)

    private static let misfits: [Misfit] = [
        Misfit(
            [Dense(units: 5)], image,
            "generator: layer 0 (dense): its input is [10, 10, 3]; it wants a vector: put `flatten` before it"),
        Misfit(
            [Dense(units: 5), ReLU(), Convolution2D(channels: 2, kernel: 3)], .vector(100),
            "generator: layer 2 (convolution): its input is [5]; "
                + "it wants an image (height, width, channels): put `reshape` before it"
        ),
        Misfit(
            [TransposedConvolution2D(channels: 2, kernel: 3)], .vector(100),
            "generator: layer 0 (transposed_convolution): its input is [100]; "
                + "it wants an image (height, width, channels): put `reshape` before it"),
        Misfit(
            [Convolution2D(channels: 2, kernel: 11, padding: .valid)], image,
            "generator: layer 0 (convolution): its input is [10, 10, 3]; "
                + "with `padding: valid` it wants at least the 11 × 11 pixels of its kernel"),
        Misfit(
            [Convolution2D(channels: 2, kernel: Extent(height: 3, width: 11), padding: .valid)], image,
            "generator: layer 0 (convolution): its input is [10, 10, 3]; "
                + "with `padding: valid` it wants at least the 3 × 11 pixels of its kernel"),
        Misfit(
            [Convolution2D(channels: 2, kernel: 3, stride: Extent(height: 2, width: 0))], image,
            "generator: layer 0 (convolution): its input is [10, 10, 3]; `stride` must be at least 1, not 0"),
        Misfit(
            [Reshape(to: .image(height: 4, width: 4, channels: 8))], .vector(100),
            "generator: layer 0 (reshape): its input is [100]; [4, 4, 8] wants 128 values, not 100"),
        Misfit(
            [Maxout(units: 4, pieces: 0)], .vector(3),
            "generator: layer 0 (maxout): its input is [3]; `pieces` must be at least 1, not 0"),
        Misfit(
            [Dropout(keepProbability: 0)], .vector(3),
            "generator: layer 0 (dropout): its input is [3]; "
                + "the probability to keep a value must be above 0 and at most 1, not 0.0"
        ),
        Misfit([], .vector(3), "generator: it has no layers"),
    ]

    struct Misfit: Sendable {
        let layers: [any Layer]
        let input: Shape
        let message: String

        init(_ layers: [any Layer], _ input: Shape, _ message: String) {
            self.layers = layers
            self.input = input
            self.message = message
        }
    }

    @Test(arguments: misfits)
    private func shapeErrors(misfit: Misfit) {
        let error = #expect(throws: ShapeError.self) {
            try Network(misfit.layers, input: misfit.input, capacity: 2, name: "generator")
        }
        #expect(error?.description == misfit.message)
    }

    @Test func storeLaysParametersOutInOrderOnCacheLines() throws {
        let network = try Network(
            [Dense(units: 3), BatchNormalisation(), Maxout(units: 2, pieces: 5)], input: .vector(7), capacity: 4,
            name: "n")
        let store = network.store
        #expect(
            store.entries.map(\.name) == [
                "0.dense/weight", "0.dense/bias", "1.batch_normalisation/scale", "1.batch_normalisation/shift",
                "2.maxout/weight", "2.maxout/bias",
            ])
        #expect(store.entries.map(\.range) == [0 ..< 21, 32 ..< 35, 48 ..< 51, 64 ..< 67, 80 ..< 110, 112 ..< 122])
        #expect(store.count == 128 && store.parameterCount == 70)
        #expect(store.statisticEntries.map(\.name) == ["1.batch_normalisation/mean", "1.batch_normalisation/variance"])
        store.initialise(seed: 3, role: 0)
        #expect(store.values.values[48 ..< 51].array == [1, 1, 1])
        #expect(store.statistics.values[store.statisticEntries[1].range].array == [1, 1, 1])
        let first = store.values.values.array
        store.initialise(seed: 3, role: 1)
        #expect(store.values.values.array != first, "both networks start alike")
        store.initialise(seed: 3, role: 0)
        #expect(store.values.values.array == first)
        #expect(network.memoryPlan.contains("2 maxout"))
    }

    @Test func readyRangesAreAGrowingSuffixOfEverything() throws {
        let network = lasting(
            try Network(
                [Dense(units: 5), ReLU(), Dense(units: 5), Tanh(), Dense(units: 1)], input: .vector(4), capacity: 3,
                name: "n"))
        network.store.initialise(seed: 1, role: 0)
        let input = Batch(lasting(Array(repeating: 0.5, count: 8)), count: 2, shape: .vector(4))
        let gradient = Batch(lasting([1, -1]), count: 2, shape: .vector(1))
        _ = try network.forward(input, parameters: network.store.values.values, mode: training())
        let target = lasting(Array(repeating: 0, count: network.store.count))
        var ranges: [Range<Int>] = [], early: [[Float]] = []
        _ = try network.backward(
            from: gradient, parameters: network.store.values.values, into: target, inputGradient: false
        ) { range in
            ranges.append(range)
            early.append(target[range].array)
        }
        #expect(ranges == [96 ..< network.store.count, 48 ..< 96, 0 ..< 48])
        for (range, values) in zip(ranges, early) { #expect(target[range].array == values, "\(range) was not final") }
    }

    @Test func dropoutKeepsItsShareAndDependsOnTheSampleAlone() throws {
        let network = lasting(
            try Network(
                [Dropout(keepProbability: 0.8), Dropout(keepProbability: 0.5)], input: .vector(1000), capacity: 40,
                name: "n"))
        let ones = lasting(Array(repeating: 1, count: 40_000))
        let output = try network.forward(
            Batch(ones, count: 40, shape: .vector(1000)), parameters: network.store.values.values, mode: training())
        let masks = network.dropoutMasks
        #expect(masks.map(\.name) == ["0.dropout", "1.dropout"])
        for (mask, keep) in zip(masks, [0.8, 0.5]) {
            let share = Double(mask.mask.array.reduce(0, +)) / 40_000
            #expect(abs(share - keep) < 5 * (keep * (1 - keep) / 40_000).squareRoot(), "\(share) kept of \(keep)")
        }
        let whole = output.values.array
        #expect(Set(whole) == [0, 1.25 * 2])

        // The last 15 samples alone, as another rank would see them.
        let draws = Draws(seed: 1, purpose: .dropoutReal, step: 0, firstSample: 25)
        let part = try network.forward(
            Batch(ones, count: 15, shape: .vector(1000)), parameters: network.store.values.values,
            mode: .training(draws))
        #expect(part.values.array == Array(whole[25_000...]))
        #expect(
            try network.forward(
                Batch(ones, count: 2, shape: .vector(1000)), parameters: network.store.values.values, mode: .sampling
            ).values.array.allSatisfy { $0 == 1 })
    }

    /// Statistics of two unequal shards average to those of the definition.
    @Test func statisticsOfShardsAreWeightedByTheirSamples() throws {
        let network = lasting(
            try Network([BatchNormalisation(momentum: 0.25)], input: .vector(1), capacity: 3, name: "n"))
        let store = network.store
        store.initialise(seed: 1, role: 0)
        let sums = lasting(Array(repeating: 0, count: store.statistics.count))
        _ = try network.forward(
            Batch(lasting([1, 2, 6]), count: 3, shape: .vector(1)), parameters: network.store.values.values,
            mode: training(), batchStatistics: sums)
        _ = try network.forward(
            Batch(lasting([4, 8]), count: 2, shape: .vector(1)), parameters: network.store.values.values,
            mode: training(), batchStatistics: sums)
        store.applyStatistics(sums, samples: 5)
        #expect(abs(store.statistics.values[0] - 0.25 * (3 * 3 + 2 * 6) / 5) < 1e-6)
        #expect(abs(store.statistics.values[16] - (0.75 + 0.25 * (3 * 7 + 2 * 8) / 5)) < 1e-6)
    }

    /// The real and the generated half of two shards as parts of one batch: the bits of a pass over each half of each
    /// shard alone, the real one first and the generated one added; and a frozen backward of the generated half
    /// alone.
    @Test func halvesOfShardsGiveTheBitsOfEachAlone() throws {
        let layers: [any Layer] = [
            Dense(units: 12), Reshape(to: .image(height: 2, width: 2, channels: 3)), BatchNormalisation(),
            Dropout(keepProbability: 0.7), Convolution2D(channels: 4, kernel: 3), LeakyReLU(slope: 0.2), Flatten(),
            Dense(units: 1),
        ]
        func network(shards: Int, halves: Int) throws -> Network {
            let network = lasting(
                try Network(layers, input: .vector(5), capacity: 3, shards: shards, halves: halves, name: "n"))
            network.store.initialise(seed: 5, role: 0)
            return network
        }
        let together = try network(shards: 2, halves: 2), alone = try network(shards: 1, halves: 1)
        // Rows: 3 real and 2 real of the shards, then as many generated.
        let parts = [
            BatchPart(rows: 0 ..< 3, firstSample: 0, purpose: .dropoutReal),
            BatchPart(rows: 3 ..< 5, firstSample: 3, purpose: .dropoutReal, shard: 1),
            BatchPart(rows: 5 ..< 8, firstSample: 0, purpose: .dropoutFake, half: 1),
            BatchPart(rows: 8 ..< 10, firstSample: 3, purpose: .dropoutFake, shard: 1, half: 1),
        ]
        let inputs = lasting(Array(repeating: 0, count: 50)), slopes = lasting(Array(repeating: 0, count: 10))
        Draws(seed: 2, purpose: .synthetic, step: 0).fillNormal(inputs, samples: 10)
        Draws(seed: 3, purpose: .synthetic, step: 0).fillNormal(slopes, samples: 10)
        let input = Batch(inputs, count: 10, shape: .vector(5)), slope = Batch(slopes, count: 10, shape: .vector(1))
        let store = together.store, count = store.count, parameters = store.values.values
        let gradients = lasting(Array(repeating: 7, count: 2 * count)),
            statistics = lasting(Array(repeating: 0, count: 4 * store.statistics.count))
        let mode = Mode.training(Draws(seed: 1, purpose: .dropoutReal, step: 4))
        let logits = try together.forward(
            input, parameters: parameters, mode: mode, parts: parts, batchStatistics: statistics
        ).values.array
        _ = try together.backward(from: slope, parameters: parameters, into: gradients, inputGradient: false)
        let frozen = try #require(
            try together.backward(from: slope, parameters: parameters, into: nil, only: 2 ..< 4, inputGradient: true)
        ).values.array

        let single = lasting(Array(repeating: 0, count: 2 * count)),
            own = lasting(Array(repeating: 0, count: store.statistics.count))
        for (index, part) in parts.enumerated() {
            own.fill(0)
            let draws = Draws(seed: 1, purpose: part.purpose, step: 4, firstSample: part.firstSample)
            let output = try alone.forward(
                input[part.rows], parameters: parameters, mode: .training(draws), batchStatistics: own)
            #expect(output.values.array == Array(logits[part.rows]))
            #expect(own.array == statistics[index * own.count ..< (index + 1) * own.count].array)
            let target = single[part.shard * count ..< (part.shard + 1) * count]
            let back = try alone.backward(
                from: slope[part.rows], parameters: parameters, into: target, adding: part.half == 1,
                inputGradient: true)
            if part.half == 1 {
                #expect(
                    try #require(back).values.array
                        == Array(frozen[5 * part.rows.lowerBound ..< 5 * part.rows.upperBound]))
            }
        }
        for entry in store.entries {
            for shard in 0 ..< 2 {
                let range = shard * count + entry.range.lowerBound ..< shard * count + entry.range.upperBound
                #expect(gradients[range].array == single[range].array, "\(entry.name) of shard \(shard)")
            }
        }
    }
}
