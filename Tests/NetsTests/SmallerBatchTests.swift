import Kernels
import Nets
import Testing

/// A network planned for many examples takes fewer, though a smaller batch may need more scratch memory: the forms of a
/// product and the blocks of a convolution follow from the batch.
@Suite struct SmallerBatchTests {
    @Test(arguments: [100, 512, 513]) func denseNetworkTakesThem(batch: Int) throws {
        let layers = [Dense(units: 16, weights: .uniform(1))]
        let network = try Network(layers, input: .vector(16), capacity: 600, name: "generator")
        let weights = FloatBuffer(count: 16 * 16), inputs = FloatBuffer(count: batch * 16)
        for number in 0 ..< weights.count { weights.values[number] = Float(number % 7) }
        for number in 0 ..< inputs.count { inputs.values[number] = Float(number % 5) }
        network.store.values.values[0 ..< weights.count].copy(from: weights.values)
        let output = try network.forward(
            Batch(inputs.values, count: batch, shape: .vector(16)), parameters: network.store.values.values,
            mode: .sampling)
        for (row, unit) in [(0, 0), (batch - 1, 15)] {
            let sum = (0 ..< 16).reduce(0) { $0 + (row * 16 + $1) % 5 * (($1 * 16 + unit) % 7) }
            #expect(output.values[row * 16 + unit] == Float(sum))
        }
    }

    /// 64 examples are two blocks of 32, 36 are one.
    @Test func convolutionTakesThem() throws {
        let layer = TransposedConvolution2D(channels: 256, kernel: 4, stride: 2)
        let shape = Shape.image(height: 8, width: 8, channels: 512)
        #expect(layer.scratchCount(for: shape, batch: 36) > layer.scratchCount(for: shape, batch: 64))
        let network = try Network([layer], input: shape, capacity: 64, name: "generator")
        let inputs = FloatBuffer(count: 36 * shape.count)
        #expect(
            try network.forward(
                Batch(inputs.values, count: 36, shape: shape), parameters: network.store.values.values, mode: .sampling
            ).count == 36)
    }
}
