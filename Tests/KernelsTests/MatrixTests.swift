import Testing
@testable import Kernels

@Suite struct MatrixTests {
    static let sizes = [
        (1, 1, 1), (3, 4, 5), (7, 1, 9), (1, 6, 4), (1, 1, 8), (5, 3, 1), (17, 33, 65), (0, 3, 2), (3, 0, 2), (3, 2, 0),
        (4, 1, 0),
    ]

    @Test(arguments: sizes, [false, true])
    func productIsTheSum(_ size: (Int, Int, Int), adding: Bool) {
        let (m, n, k) = size
        for (transposed, bTransposed) in [(false, false), (true, false), (false, true), (true, true)] {
            let a = randomBuffer(m * k, seed: 1), b = randomBuffer(k * n, seed: 2), c = randomBuffer(m * n + 1, seed: 3)
            let before = c.values.array
            Matrix.multiply(
                a.values, transposed: transposed, by: b.values, secondTransposed: bTransposed, into: c.values,
                rows: m, columns: n, inner: k, adding: adding)
            for row in 0 ..< m {
                for column in 0 ..< n {
                    var sum = adding ? Double(before[row * n + column]) : 0
                    for i in 0 ..< k {
                        sum +=
                            Double(a.values[transposed ? i * m + row : row * k + i])
                            * Double(b.values[bTransposed ? column * k + i : i * n + column])
                    }
                    #expect(abs(Double(c.values[row * n + column]) - sum) < 1e-5)
                }
            }
            #expect(c.values[m * n] == before[m * n])
        }
    }

    @Test func blasDescribesItself() {
        #expect(BLAS.description.contains("OpenBLAS") && BLAS.description.hasSuffix("1 thread"))
    }
}
