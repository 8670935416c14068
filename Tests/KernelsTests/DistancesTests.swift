import Foundation
import Testing
@testable import Kernels

@Suite struct DistancesTests {
    @Test(arguments: [(1, 1, 1), (5, 9, 3), (17, 33, 20), (3, 8, 784)]) func squaredAreThoseOfTheDefinition(
        rows: Int, columns: Int, length: Int
    ) {
        let a = randomBuffer(rows * length, seed: 1), b = randomBuffer(columns * length, seed: 2),
            distances = FloatBuffer(count: rows * columns)
        Distances.squared(a.values, b.values, length: length, into: distances.values)
        for row in 0 ..< rows {
            for column in 0 ..< columns {
                let first = a.values[row * length ..< (row + 1) * length],
                    second = b.values[column * length ..< (column + 1) * length]
                let expected = (0 ..< length).reduce(0.0) { $0 + pow(Double(first[$1]) - Double(second[$1]), 2) }
                #expect(abs(Double(distances.values[row * columns + column]) - expected) < 1e-6 * Double(length + 10))
                #expect(abs(Distances.squared(first, second) - expected) < 1e-9)
            }
        }
    }

    @Test(arguments: [1, 7, 8, 100, 1031]) func leastAndExponentials(count: Int) {
        let buffer = randomBuffer(count, seed: 3), values = buffer.array
        #expect(Distances.least(of: buffer.values) == values.min())
        let expected = values.reduce(0.0) { $0 + exp((0.25 - Double($1)) * 3) }
        #expect(abs(Distances.sumOfExponentials(of: buffer.values, from: 0.25, scale: 3) / expected - 1) < 1e-6)
    }

    @Test(arguments: [1, 2, 5, 40]) func eigenvectorsRebuildTheMatrix(order: Int) {
        let values = randomBuffer(order * order, seed: 4).array
        let matrix = (0 ..< order * order).map { Double(values[$0]) + Double(values[$0 % order * order + $0 / order]) }
        let (eigenvalues, vectors) = SymmetricEigenvalues.decompose(matrix, order: order)
        #expect(eigenvalues == eigenvalues.sorted())
        for row in 0 ..< order {
            for column in 0 ..< order {
                let rebuilt = (0 ..< order).reduce(0.0) {
                    $0 + eigenvalues[$1] * vectors[$1 * order + row] * vectors[$1 * order + column]
                }
                #expect(abs(rebuilt - matrix[row * order + column]) < 1e-12 * Double(order))
                let product = (0 ..< order).reduce(0.0) {
                    $0 + vectors[row * order + $1] * vectors[column * order + $1]
                }
                #expect(abs(product - (row == column ? 1 : 0)) < 1e-12 * Double(order))
            }
        }
    }
}
