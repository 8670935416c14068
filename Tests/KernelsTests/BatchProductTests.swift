import Testing
@testable import Kernels

/// The three products against their definitions in double precision, by panels (whatever the build's processor) and
/// by BLAS.
@Suite struct BatchProductTests {
    /// Whole panels and blocks, and odd ends of each: a last panel of 8 or fewer examples and of more, last columns,
    /// last terms.
    static let sizes = [
        (64, 64, 96), (16, 128, 32), (8, 16, 16), (1, 17, 16), (5, 70, 33), (13, 129, 47), (24, 65, 100), (25, 31, 190),
        (50, 200, 17), (40, 48, 80), (129, 40, 70), (140, 70, 33),
    ]

    @Test(arguments: sizes, [false, true])
    func productsAreTheSums(_ size: (Int, Int, Int), byPanels: Bool) {
        let (rows, inputs, outputs) = size
        let product = BatchProduct(rows: rows, inputs: inputs, outputs: outputs, suits: byPanels)
        expectTheSums(product, (rows, inputs, outputs))
    }

    /// Whether few examples are multiplied by the weights as they lie or many by copies of them, in pairs of panels or
    /// not: an example's sums have the same bits.
    @Test(arguments: [57, 131], [(100, 130), (64, 256), (17, 70), (600, 40)])
    func examplesTogetherGiveTheBitsOfEach(rows: Int, _ sides: (Int, Int)) {
        let (inputs, outputs) = sides
        expectTheBitsOfEach(rows, inputs, outputs, atATime: 8) {
            BatchProduct(rows: $0, inputs: inputs, outputs: outputs, suits: true)
        }
    }
}
