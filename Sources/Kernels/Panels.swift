import CVector

/// Products of matrices stored in panels of 16 columns: panel after panel, each by rows, so that [rows, columns] lies
/// in memory as [columns / 16][rows][16].
///
/// For matrices that the caller makes itself, and can make in this order at once: where BLAS would first copy them
/// into an order of its own, a product of few rows costs little more than its multiplications. The order of each sum
/// is that of its terms, the multiplication fused with the addition where the build's processor has that.
enum Panels {
    typealias Source = UnsafePointer<Float>
    typealias Target = UnsafeMutablePointer<Float>
    typealias Wide = SIMD16<Float>

    static let width = 16

    /// Rows are computed several at a time: the memory of a matrix has room for as many as this.
    static func rounded(rows: Int) -> Int { (rows + Int(rowsAtATime) - 1) / Int(rowsAtATime) * Int(rowsAtATime) }

    /// One panel of C (+)= A B, given `panels` panels of A, `panelStep` values apart, and as many times 16 rows of a
    /// panel of B. `rows` is a multiple of what ``rounded(rows:)`` gives. The A of the next product lies `ahead`
    /// values further: it is fetched meanwhile, unless that is 0.
    @inline(__always)
    static func multiply(
        _ a: Source, panelStep: Int, panels: Int, by b: Source, into c: Target, rows: Int, adding: Bool, ahead: Int
    ) {
        var row = 0
        while row < rows {
            multiplyRows(a + 16 &* row, panelStep, panels, b, c + 16 &* row, adding, ahead)
            row &+= Int(rowsAtATime)
        }
    }

    /// C (+)= Aᵀ B of one panel each, both of `count` rows; C has 16. Meanwhile the lines that are wanted are fetched.
    @inline(__always)
    static func multiplyTransposed(
        _ a: Source, by b: Source, count: Int, into c: Target, adding: Bool = false, _ wanted: WantedLines
    ) {
        for row in stride(from: 0, to: 16, by: Int(rowsAtATime)) {
            multiplyColumns(a + row, b, count, c + 16 &* row, adding, row == 0 ? wanted : WantedLines())
        }
    }

    /// The same for two panels of B and of C, `bStep` and `cStep` values apart: for ``areTakenInPairs``.
    @inline(__always)
    static func multiplyTransposed(
        _ a: Source, byTwo b: Source, bStep: Int, count: Int, into c: Target, cStep: Int, adding: Bool = false,
        _ wanted: WantedLines
    ) {
        for row in stride(from: 0, to: 16, by: Int(rowsAtATime)) {
            multiplyColumnsTwice(
                a + row, b, bStep, count, c + 16 &* row, cStep, adding, row == 0 ? wanted : WantedLines())
        }
    }

    /// Whether products are made of two panels at a time where there are two.
    static var areTakenInPairs: Bool { panelsInRegisters == 2 }

    @inline(__always) static func load(_ source: Source) -> Wide {
        UnsafeRawPointer(source).loadUnaligned(as: Wide.self)
    }

    @inline(__always) static func store(_ vector: Wide, _ target: Target) {
        UnsafeMutableRawPointer(target).storeBytes(of: vector, as: Wide.self)
    }
}
