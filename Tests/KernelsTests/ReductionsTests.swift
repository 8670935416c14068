@testable import Kernels
import Testing

/// The vector forms against one loop after another in double, on shapes with every kind of rest.
@Suite struct ReductionsTests {
    private func values(_ count: Int, seed: UInt64) -> FloatBuffer {
        let buffer = FloatBuffer(count: count)
        Draws(seed: seed, purpose: .synthetic, step: 0).fillNormal(buffer.values, samples: 1)
        return buffer
    }

    @Test(arguments: [(1, 1), (5, 3), (64, 1), (300, 1), (131, 3), (1000, 7), (9, 8), (200, 40), (129, 77)])
    func columnSumsAndBias(rows: Int, columns: Int) {
        let matrix = values(rows * columns, seed: 1), row = values(columns, seed: 2),
            sums = FloatBuffer(row.values.array)
        let before = matrix.values.array
        Reductions.addColumnSums(of: matrix.values, columns: columns, to: sums.values)
        for column in 0 ..< columns {
            let expected = (0 ..< rows).reduce(Double(row.values[column])) {
                $0 + Double(before[$1 * columns + column])
            }
            #expect(abs(Double(sums.values[column]) - expected) < 1e-6 * Double(rows + 10), "column \(column)")
        }
        Reductions.add(row.values, toRowsOf: matrix.values)
        #expect(matrix.values.array == before.indices.map { before[$0] + row.values[$0 % columns] })
        Reductions.setRows(of: matrix.values, to: row.values)
        #expect(matrix.values.array == before.indices.map { row.values[$0 % columns] })
    }

    @Test(arguments: [0, 1, 7, 8, 511, 512, 513, 5000])
    func squaredNorm(count: Int) {
        let buffer = values(count, seed: 3)
        let expected = buffer.values.array.reduce(0) { $0 + Double($1) * Double($1) }
        #expect(abs(Reductions.squaredNorm(of: buffer.values) - expected) <= 1e-6 * expected)
    }

    /// First of equals wins; a NaN in any piece is the output.
    @Test func maxoutsTiesAndNaN() {
        let maps = FloatBuffer([1, 3, 3, 2, 2, 1, .nan, 5, 9, 9, 5, .nan])
        let output = FloatBuffer(count: 4), winners = FloatBuffer(count: 4)
        MaxoutKernels.forward(maps.values, pieces: 3, into: output.values, winners: winners.values)
        #expect(winners.values.array[0 ... 2] == [1, 0, 0])
        #expect(output.values[0] == 3 && output.values[1] == 2 && output.values[2].isNaN && output.values[3].isNaN)
    }

    /// A NaN passes every activation and its gradient, so that it reaches the loss.
    @Test func activationsKeepNaN() {
        let nan = FloatBuffer([Float.nan, -Float.nan, 1, -1]), output = FloatBuffer(count: 4)
        Activations.leakyRelu(nan.values, slope: 0, into: output.values)
        #expect(output.values[0].isNaN && output.values[1].isNaN && output.values[2] == 1 && output.values[3] == 0)
        Activations.sigmoid(nan.values, into: output.values)
        #expect(output.values[0].isNaN && output.values[1].isNaN)
        Activations.tanh(nan.values, into: output.values)
        #expect(output.values[0].isNaN && output.values[1].isNaN)
    }
}
