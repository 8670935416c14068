import CKernels
import Testing
@testable import Kernels

/// Products of matrices in panels, against sums in Double of the same float values.
@Suite struct PanelsTests {
    private let table = kernels().pointee

    /// [rows, columns] by rows, from panels of so many rows.
    private func matrix(_ panels: Floats, rows: Int, columns: Int, height: Int) -> [[Double]] {
        (0 ..< rows).map { row in (0 ..< columns).map { Double(panels[($0 / 16 * height + row) * 16 + $0 % 16]) } }
    }

    @Test(arguments: [(1, 16), (8, 48), (13, 64)]) func productsAreThoseOfTheDefinition(rows: Int, inner: Int) {
        let height = Panels.rounded(rows: rows)
        #expect(height >= rows && height < rows + 16)
        let a = randomBuffer(height * inner, seed: 1), b = randomBuffer(inner * 16, seed: 2),
            c = randomBuffer(height * 16, seed: 3)
        let before = matrix(c.values, rows: rows, columns: 16, height: height)
        let left = matrix(a.values, rows: rows, columns: inner, height: height),
            right = matrix(b.values, rows: inner, columns: 16, height: inner)
        for adding in [true, false] {
            table.multiplyPanels(
                a.values.base, 16 * height, inner / 16, b.values.base, c.values.base, height, adding, 0)
            let result = matrix(c.values, rows: rows, columns: 16, height: height)
            for row in 0 ..< rows {
                for column in 0 ..< 16 {
                    let expected = (0 ..< inner).reduce(adding ? before[row][column] : 0) {
                        $0 + left[row][$1] * right[$1][column]
                    }
                    #expect(abs(result[row][column] - expected) < 1e-5)
                }
            }
        }
    }

    @Test func transposedProduct() {
        let a = randomBuffer(37 * 16, seed: 1), b = randomBuffer(37 * 16, seed: 2), c = randomBuffer(256, seed: 3)
        for adding in [false, true] {
            table.multiplyPanelsTransposed(a.values.base, b.values.base, 0, 37, c.values.base, 0, 1, adding)
            expect(c.values, a.values, b.values, times: adding ? 2 : 1)
        }
    }

    /// Two panels at once are two products, to the bit.
    @Test func transposedProductOfTwo() {
        let a = randomBuffer(37 * 16, seed: 1), b = randomBuffer(2 * 40 * 16, seed: 2), c = randomBuffer(600, seed: 3)
        let one = FloatBuffer(count: 256)
        for adding in [false, true] {
            table.multiplyPanelsTransposed(
                a.values.base, b.values.base, 40 * 16, 37, c.values.base, 300, 2, adding)
            for panel in 0 ..< 2 {
                let right = b.values[panel * 640 ..< panel * 640 + 640]
                expect(c.values[panel * 300 ..< panel * 300 + 256], a.values, right, times: adding ? 2 : 1)
            }
            table.multiplyPanelsTransposed(a.values.base, b.values.base, 0, 37, one.values.base, 0, 1, adding)
            #expect(one.array == c.values[0 ..< 256].array)
        }
    }

    private func expect(_ c: Floats, _ a: Floats, _ b: Floats, times: Double) {
        for row in 0 ..< 16 {
            for column in 0 ..< 16 {
                let expected = (0 ..< 37).reduce(0.0) { $0 + Double(a[$1 * 16 + row]) * Double(b[$1 * 16 + column]) }
                #expect(abs(Double(c[row * 16 + column]) - times * expected) < 1e-5)
            }
        }
    }

    @Test func transposes() {
        let source = randomBuffer(16 * 21, seed: 1), panel = FloatBuffer(count: 256)
        table.transpose16(source.values.base, 21, panel.values.base)
        for row in 0 ..< 16 {
            for column in 0 ..< 16 { #expect(panel.values[row * 16 + column] == source.values[column * 21 + row]) }
        }
    }
}
