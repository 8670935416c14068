import Kernels
import Testing
@testable import Nets

@Suite struct SliceTests {
    /// Some values of two rows, and back: zeros but there.
    @Test func isSomeOfTheValues() throws {
        let network = try Network(
            [Slice(from: 1, shape: .image(height: 1, width: 2, channels: 2))], input: .vector(6), capacity: 2, name: "n"
        )
        let rows = FloatBuffer((0 ..< 12).map(Float.init)), slopes = FloatBuffer((1 ... 8).map(Float.init))
        let output = try network.forward(
            Batch(rows.values, count: 2, shape: .vector(6)), parameters: .none, mode: .sampling)
        #expect(output.shape == .image(height: 1, width: 2, channels: 2))
        #expect(output.values.array == [1, 2, 3, 4, 7, 8, 9, 10])
        network.gradients.values.fill(.nan)
        let gradient = try network.backward(
            from: Batch(slopes.values, count: 2, shape: output.shape), parameters: .none, into: nil, inputGradient: true
        )
        #expect(gradient!.values.array == [0, 1, 2, 3, 4, 0, 0, 5, 6, 7, 8, 0])
    }

    /// Dense layers of two slices, added, are the dense layer of the whole.
    @Test func twoBranchesAreOneLayer() throws {
        let apart = try Network(
            [
                Residual(
                    body: [Slice(from: 0, shape: .vector(3)), Dense(units: 4)],
                    skip: [Slice(from: 3, shape: .vector(2)), Dense(units: 4)])
            ], input: .vector(5), capacity: 3, name: "apart")
        let whole = try Network([Dense(units: 4)], input: .vector(5), capacity: 3, name: "whole")
        apart.store.initialise(seed: 3, role: 0)
        let weights = apart.store.entries.filter { $0.name.hasSuffix("weight") }
        let joined = weights.flatMap { apart.store.values.values[$0.range].array }
        for (index, weight) in joined.enumerated() { whole.store.values.values[index] = weight }
        let input = FloatBuffer((0 ..< 15).map { Float($0 % 7) - 3 })
        let outputs = try [apart, whole].map {
            try $0.forward(
                Batch(input.values, count: 3, shape: .vector(5)), parameters: $0.store.values.values, mode: .sampling
            ).values.array
        }
        for (one, other) in zip(outputs[0], outputs[1]) { #expect(abs(one - other) < 1e-5) }
    }

    @Test func whatIsNotThereIsRefused() {
        func refusal(_ slice: Slice, _ input: Shape) -> String {
            do throws(ShapeError) {
                _ = try slice.outputShape(for: input)
                return ""
            } catch { return "\(error)" }
        }
        #expect(refusal(Slice(from: 2, shape: .vector(4)), .vector(6)) == "")
        #expect(refusal(Slice(from: 3, shape: .vector(4)), .vector(6)).contains("wants 7 values, not 6"))
        #expect(
            refusal(Slice(from: 0, shape: .vector(4)), .image(height: 2, width: 2, channels: 1)).contains("flatten"))
    }
}

@Suite struct CodeDistributionTests {
    private func sums(_ codes: [[Double]]) -> [Double] {
        let size = codes[0].count
        var sums = (0 ..< size).map { index in codes.reduce(0) { $0 + $1[index] } }
        for row in 0 ..< size {
            for column in 0 ... row { sums.append(codes.reduce(0) { $0 + $1[row] * $1[column] }) }
        }
        return sums
    }

    /// After three minibatches the moments are those of all codes together, and the summing is the definition's.
    @Test func atFirstItIsThatOfAllCodes() {
        let distribution = CodeDistribution(size: 3, capacity: 4)
        var all: [[Double]] = []
        for step in 1 ... 3 {
            let codes = (0 ..< 4).map { row in (0 ..< 3).map { Double((row * 7 + $0 * 5 + step * 11) % 9) / 4 - 1 } }
            all += codes
            let values = FloatBuffer(codes.flatMap { $0.map { Float($0) } }), expected = sums(codes)
            var found = [Double](repeating: 0, count: distribution.sumCount)
            distribution.sum(Batch(values.values, count: 4, shape: .vector(3))) { found[$0] += $1 }
            for (one, other) in zip(found, expected) { #expect(abs(one - other) < 1e-9) }
            distribution.move(count: 4, step: step) { found[$0] }
        }
        let mean = (0 ..< 3).map { index in all.reduce(0) { $0 + $1[index] } / 12 }
        for row in 0 ..< 3 {
            #expect(abs(Double(distribution.mean.values[row]) - mean[row]) < 1e-6)
            for column in 0 ..< 3 {
                let covariance = all.reduce(0) { $0 + ($1[row] - mean[row]) * ($1[column] - mean[column]) } / 12
                #expect(abs(Double(distribution.covariance.values[3 * row + column]) - covariance) < 1e-6)
            }
        }
    }

    /// ⟨g, L ε⟩ = ⟨Lᵀ g, ε⟩, and L Lᵀ is C, also where codes lie in a plane, or are all the same.
    @Test(arguments: [[4, 1, 0, 1, 2, 0, 0, 0, 1], [1, 1, 0, 1, 1, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0, 0, 0]])
    func codesHaveTheCovariance(covariance: [Float]) {
        let distribution = CodeDistribution(size: 3)
        for (index, value) in covariance.enumerated() { distribution.covariance.values[index] = value }
        distribution.changed()
        let factor = distribution.factor.array
        for row in 0 ..< 3 {
            for column in 0 ..< 3 {
                let product = (0 ..< 3).reduce(0) { $0 + factor[3 * row + $1] * factor[3 * column + $1] }
                #expect(abs(product - covariance[3 * row + column]) < 1e-4)
            }
        }
        let latent = FloatBuffer([0.5, -1, 2]), slope = FloatBuffer([1, 3, -0.25]), room = FloatBuffer(count: 6)
        let code = distribution.codes(of: Batch(latent.values, count: 1, shape: .vector(3)), into: room.values[0 ..< 3])
        let back = distribution.slopes(Batch(slope.values, count: 1, shape: .vector(3)), into: room.values[3 ..< 6])
        func dot(_ x: [Float], _ y: [Float]) -> Float { zip(x, y).reduce(0) { $0 + $1.0 * $1.1 } }
        #expect(abs(dot(slope.array, code.values.array) - dot(back.values.array, latent.array)) < 1e-4)
    }
}
