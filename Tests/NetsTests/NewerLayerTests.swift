import Kernels
@testable import Nets
import Testing

/// What layers of networks since 2016 do beside their formulas.
@Suite struct NewerLayerTests {
    /// Groups of examples are the same whatever else is in the batch: a shard's half gives its own bits.
    @Test func groupsOfExamplesStayWithinAPart() throws {
        let shape = Shape.image(height: 2, width: 2, channels: 3)
        let whole = lasting(
            try Network([MinibatchDeviation()], input: shape, capacity: 6, shards: 2, halves: 2, name: "n"))
        let alone = lasting(try Network([MinibatchDeviation()], input: shape, capacity: 6, name: "n"))
        let sizes = [6, 5, 1, 4], values = normal(16 * shape.count, step: 3)
        var parts: [BatchPart] = [], row = 0
        for (number, size) in sizes.enumerated() {
            parts.append(
                BatchPart(
                    rows: row ..< row + size, firstSample: 0, purpose: .sample, shard: number % 2, half: number / 2))
            row += size
        }
        let input = Batch(values, count: 16, shape: shape)
        let output = try whole.forward(input, parameters: whole.store.values.values, mode: training(), parts: parts)
        for part in parts {
            let own = try alone.forward(
                input[part.rows], parameters: alone.store.values.values, mode: training())
            #expect(own.values.array == output[part.rows].values.array)
        }
        // A part of one example: nothing deviates, √ε remains.
        #expect(abs(output[11][3] - 1e-4) < 1e-9)
    }

    /// Sizes of 10 in groups of at most 4: 4, 3 and 3. Equal examples in a group have nothing but √ε.
    @Test func groupsAreAsEqualAsCanBe() throws {
        let network = lasting(try Network([MinibatchDeviation()], input: .vector(1), capacity: 10, name: "n"))
        let input = Batch(lasting([1, 1, 1, 1, 2, 2, 2, 3, 3, 3]), count: 10, shape: .vector(1))
        let output = try network.forward(input, parameters: network.store.values.values, mode: training())
        for example in 0 ..< 10 { #expect(abs(output[example][1] - 1e-4) < 1e-9) }
        let other = Batch(lasting([1, 1, 1, 2, 2, 2, 2, 3, 3, 3]), count: 10, shape: .vector(1))
        let mixed = try network.forward(other, parameters: network.store.values.values, mode: training())
        #expect(
            (0 ..< 10).map { mixed[$0][1] > 0.1 } == Array(repeating: true, count: 4) + [false, false, false]
                + [false, false, false])
    }

    @Test func aPenaltyIsRefusedWhereExamplesAreCompared() {
        let error = #expect(throws: ShapeError.self) {
            try Network(
                [MinibatchDeviation(), Dense(units: 1)], input: .vector(2), capacity: 2, name: "discriminator",
                penalised: true)
        }
        #expect(
            error?.description == "discriminator: layer 0 (minibatch_deviation): a gradient penalty cannot go through "
                + "it, for it makes the output of an example depend on the others: leave it out")
    }

    @Test(
        arguments: [
            (Convolution2D(channels: 6, kernel: 3, groups: 4), "4 groups"),
            (Convolution2D(channels: 8, kernel: 3, groups: 4), "4 groups"),
            (GroupNormalisation(groups: 4), "multiple of 4"), (GroupNormalisation(groups: 0), "`groups`"),
            (SelfAttention(), "multiple of 8"), (Resample2D(.mean, factor: 6), "6 × 6"),
            (Resample2D(.binomialDown, factor: 3), "`factor: 2`"), (MinibatchDeviation(group: 1), "`group`"),
            (Basis(height: 2, width: 2, channels: 4), "a vector"), (ScaleShift(scale: nil, shift: nil), "neither"),
            (PixelNormalisation(epsilon: 0), "`epsilon`"),
        ] as [(any Layer, String)])
    func impossibleSettingsAreRefused(layer: any Layer, words: String) {
        let error = #expect(throws: ShapeError.self) {
            try layer.outputShape(for: .image(height: 5, width: 5, channels: 6))
        }
        #expect(error?.description.contains(words) == true, "\(layer.name): \(error?.description ?? "")")
    }

    @Test func aSingleValueHasNoVariance() {
        #expect(throws: ShapeError.self) {
            try GroupNormalisation(groups: nil).outputShape(for: .image(height: 1, width: 1, channels: 4))
        }
        #expect(throws: ShapeError.self) { try GroupNormalisation(groups: 3).outputShape(for: .vector(3)) }
        #expect(throws: ShapeError.self) { try GroupNormalisation(groups: nil).outputShape(for: .vector(4)) }
    }

    /// At its start attention adds nothing.
    @Test func attentionStartsAsTheIdentity() throws {
        let shape = Shape.image(height: 4, width: 4, channels: 8)
        let network = lasting(try Network([SelfAttention()], input: shape, capacity: 2, name: "n"))
        network.store.initialise(seed: 3, role: 0)
        let input = Batch(normal(2 * shape.count, step: 1), count: 2, shape: shape)
        let output = try network.forward(input, parameters: network.store.values.values, mode: training())
        #expect(output.values.array == input.values.array)
        #expect(network.store.entries.filter { $0.specification.isSpectral }.isEmpty)
        #expect(SelfAttention(isSpectral: true).parameters(for: shape).count { $0.isSpectral } == 4)
    }

    @Test func aScaledStartHasItsGain() throws {
        let gain: Float = 0.7
        let layer = Convolution2D(channels: 64, kernel: 3, groups: 4, weights: .scaledHe(gain: gain))
        let network = try Network(
            [layer], input: .image(height: 4, width: 4, channels: 64), capacity: 1, name: "n")
        network.store.initialise(seed: 5, role: 0)
        let weights = network.store.values.values[network.store.entries[0].range]
        let deviation = (Reductions.squaredNorm(of: weights) / Double(weights.count)).squareRoot()
        // 16 channels of a 3 × 3 kernel feed one output.
        #expect(weights.count == 9 * 16 * 64 && abs(deviation / (Double(gain) / 12) - 1) < 0.02)
    }

    /// Beside the definition, where small values have only their relative precision, and far out.
    @Test func normalFunctionsAreExactFarFromZero() {
        let x = lasting([-12, -9, -5, -1, -0.1, 0, 0.1, 1, 5, 12, 40, -40])
        let y = lasting(Array(repeating: .nan, count: x.count))
        Activations.gelu(x, into: y)
        for index in 0 ..< x.count {
            let expected = Naive.gelu(Double(x[index]))
            #expect(abs(Double(y[index]) - expected) <= 1e-5 * abs(expected) + 1e-38, "\(x[index]): \(y[index])")
        }
    }
}
