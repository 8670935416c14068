import CVector

/// The products of a dense layer, y = x W + b and its two adjoints, with W as it lies in memory.
///
/// BLAS first copies the matrix with which a batch is multiplied into an order of its own. For a batch of 64 that
/// costs a sixth of the product. Here the batch is copied, which is small: into ``Panels`` of 16 examples, transposed,
/// so that the lanes of a vector are examples and each weight is read as a factor for 16 or 32 of them. Where examples
/// are many, a block of weights at a time is copied too:
///
///     y[n, j] = Σ_k x[n, k] · W[k, j],    dx[n, k] = Σ_j dy[n, j] · W[k, j],    dW[k, j] (+)= Σ_n x[n, k] · dy[n, j].
///
/// N `rows`, K `inputs`, J `outputs`: x [N, K], W [K, J], b [J], y [N, J]. The order of each sum is that of its
/// terms, in blocks.
public struct BatchProduct: Sendable {
    let rows: Int
    let inputs: Int
    let outputs: Int
    /// Whether this form pays; otherwise the products are BLAS's.
    private let suits: Bool

    public init(rows: Int, inputs: Int, outputs: Int) {
        self.init(
            rows: rows, inputs: inputs, outputs: outputs,
            suits: hasFusedProducts == 1 && 8 ... 512 ~= rows && min(inputs, outputs) >= 16)
    }

    init(rows: Int, inputs: Int, outputs: Int, suits: Bool) {
        precondition(
            rows >= 0 && inputs > 0 && outputs > 0, "a product of \(rows) × \(inputs) and \(inputs) × \(outputs)")
        precondition(
            !suits || min(inputs, outputs) >= 16,
            "\(inputs) inputs and \(outputs) outputs: there are to be sixteen of both")
        (self.rows, self.inputs, self.outputs, self.suits) = (rows, inputs, outputs, suits)
    }

    /// Terms that are summed at a time, of sixteen columns of the product: a block of weights is so many cache lines,
    /// and fills an eighth of the smallest cache.
    private static let termsAtATime = 16 << logLinesOfTerms, logLinesOfTerms = 2

    public var scratchCount: Int {
        guard suits else { return 0 }
        let panels = (rows + 15) / 16, most = max(inputs, outputs)
        return max(
            16 * panels * (most + 16) + 256 + 16 * Self.termsAtATime, Self.panelled(inputs + 16 + outputs) * rows + 512)
    }

    private static func panelled(_ columns: Int) -> Int { (columns + 15) / 16 * 16 }

    /// y = x W + b; without a bias y = x W.
    public func forward(_ x: Floats, weight: Floats, bias: Floats?, into y: Floats, scratch: Floats) {
        check(x, weight, y, scratch)
        if suits {
            multiply(
                x.base, count: inputs, by: weight.base, columns: outputs, columnStep: 1, step: outputs,
                bias: bias?.base,
                into: y.base, scratch: scratch.base)
        } else {
            if let bias { Reductions.setRows(of: y, to: bias) }
            Matrix.multiply(x, by: weight, into: y, rows: rows, columns: outputs, inner: inputs, adding: bias != nil)
        }
    }

    /// dx = dy Wᵀ.
    public func inputGradient(_ dy: Floats, weight: Floats, into dx: Floats, scratch: Floats) {
        check(dx, weight, dy, scratch)
        if suits {
            multiply(
                dy.base, count: outputs, by: weight.base, columns: inputs, columnStep: outputs, step: 1, bias: nil,
                into: dx.base, scratch: scratch.base)
        } else {
            Matrix.multiply(
                dy, by: weight, secondTransposed: true, into: dx, rows: rows, columns: inputs, inner: outputs)
        }
    }

    /// dW = xᵀ dy, or dW += xᵀ dy if `adding`.
    public func weightGradient(_ x: Floats, _ dy: Floats, into weightGradient: Floats, adding: Bool, scratch: Floats) {
        check(x, weightGradient, dy, scratch)
        if suits {
            multiplyTransposed(x.base, dy.base, into: weightGradient.base, adding: adding, scratch: scratch.base)
        } else {
            Matrix.multiply(
                x, transposed: true, by: dy, into: weightGradient, rows: inputs, columns: outputs, inner: rows,
                adding: adding)
        }
    }

    private func check(_ x: Floats, _ weight: Floats, _ y: Floats, _ scratch: Floats) {
        precondition(
            x.count >= rows * inputs && weight.count >= inputs * outputs && y.count >= rows * outputs,
            "\(x.count), \(weight.count) and \(y.count) values for \(rows) rows of \(inputs) by \(outputs)")
        precondition(
            scratch.count >= scratchCount, "\(scratch.count) values of scratch where \(scratchCount) are needed")
    }

    private typealias Source = UnsafePointer<Float>
    private typealias Target = UnsafeMutablePointer<Float>

    // MARK: Rows by weights

    /// c[n, j] = b[j] + Σ_k x[n, k] · a[j · columnStep + k · step] over `count` terms.
    private func multiply(
        _ x: Source, count: Int, by a: Source, columns: Int, columnStep: Int, step: Int, bias: Source?, into c: Target,
        scratch: Target
    ) {
        let panels = (rows + 15) / 16
        let sums = scratch, work = sums + panels * 256, copied = work + 256
        let transposed = copied + 16 * Self.termsAtATime
        transposeRows(x, count: count, into: transposed)
        // Weights that several panels are multiplied by are worth copying to where they lie close: rows of some
        // kilobytes apart lie in pages of their own and, if the distance is a power of two, in few places of the cache.
        let areCopied = rows >= 32 && (step > 1 || Panels.areTakenInPairs)
        for first in stride(from: 0, to: columns, by: 16) {
            // The last columns of all begin early enough to be sixteen.
            let column = min(first, columns - 16)
            for term in stride(from: 0, to: count, by: Self.termsAtATime) {
                let terms = min(Self.termsAtATime, count - term), block = a + column * columnStep + term * step
                let next = term + terms < count ? block + terms * step : a + (column + 16) * columnStep
                let wanted =
                    step == 1
                    ? WantedLines(first: next, step: columnStep, logLines: Self.logLinesOfTerms)
                    : WantedLines(first: next, step: step, logLines: 0)
                if areCopied {
                    copy(block, columnStep, step, terms, into: copied)
                    multiplyPanels(
                        panels, copied, terms, transposed, count: count, term: term, into: sums, wanted)
                } else {
                    for panel in 0 ..< panels {
                        multiplyGroup(
                            block, columnStep, step, terms, transposed + panel * 16 * count + term * width(of: panel),
                            width(of: panel), sums + panel * 256, adding: term > 0, panel == 0 ? wanted : WantedLines())
                    }
                }
            }
            for panel in 0 ..< panels {
                writeRows(sums + panel * 256, panel, column: column, columns, bias, into: c, work)
            }
        }
    }

    /// A last panel of no more than eight rows is only so wide.
    @inline(__always) private func width(of panel: Int) -> Int { rows - 16 * panel <= 8 ? 8 : 16 }

    /// xᵀ in panels of 16 examples: [panels][terms][16], the last perhaps of 8; zero where there are no more examples.
    private func transposeRows(_ x: Source, count: Int, into transposed: Target) {
        for panel in 0 ..< (rows + 15) / 16 {
            let width = width(of: panel), present = min(rows - 16 * panel, 16)
            let source = x + 16 * panel * count, target = transposed + 16 * panel * count
            let whole = present == 16 ? count / 16 * 16 : 0
            for term in stride(from: 0, to: whole, by: 16) { transpose16(source + term, count, target + 16 * term) }
            for term in whole ..< count {
                for row in 0 ..< width {
                    target[term &* width &+ row] = row < present ? source[row &* count &+ term] : 0
                }
            }
        }
    }

    /// A block of weights as [terms][16 columns].
    private func copy(_ block: Source, _ columnStep: Int, _ step: Int, _ terms: Int, into copied: Target) {
        guard step == 1 else {
            for term in 0 ..< terms { Panels.store(Panels.load(block + term &* step), copied + 16 &* term) }
            return
        }
        let whole = terms / 16 * 16
        for term in stride(from: 0, to: whole, by: 16) { transpose16(block + term, columnStep, copied + 16 &* term) }
        for term in whole ..< terms {
            for column in 0 ..< 16 { copied[16 &* term &+ column] = block[column &* columnStep &+ term] }
        }
    }

    /// Sixteen columns of the product, of weights that have been copied, for all examples.
    private func multiplyPanels(
        _ panels: Int, _ a: Source, _ terms: Int, _ transposed: Source, count: Int, term: Int, into sums: Target,
        _ wanted: WantedLines
    ) {
        func examples(_ panel: Int) -> Source { transposed + panel &* 16 &* count + term &* width(of: panel) }
        var panel = 0
        while panel < panels {
            let wanted = panel == 0 ? wanted : WantedLines()
            if Panels.areTakenInPairs && panel + 1 < panels && width(of: panel + 1) == 16 {
                Panels.multiplyTransposed(
                    a, byTwo: examples(panel), bStep: 16 &* count, count: terms, into: sums + panel &* 256, cStep: 256,
                    adding: term > 0, wanted)
                panel &+= 2
            } else if width(of: panel) == 16 {
                Panels.multiplyTransposed(
                    a, by: examples(panel), count: terms, into: sums + panel &* 256, adding: term > 0, wanted)
                panel &+= 1
            } else {
                multiplyGroup(a, 1, 16, terms, examples(panel), 8, sums + panel &* 256, adding: term > 0, wanted)
                panel &+= 1
            }
        }
    }

    /// Sixteen columns of the product for the examples of one panel.
    @inline(__always)
    private func multiplyGroup(
        _ a: Source, _ columnStep: Int, _ step: Int, _ terms: Int, _ b: Source, _ width: Int, _ sums: Target,
        adding: Bool, _ wanted: WantedLines
    ) {
        for column in stride(from: 0, to: 16, by: Int(rowsAtATime)) {
            if width == 16 {
                multiplyStrided(
                    a + column &* columnStep, columnStep, step, terms, b, sums + column &* 16, adding,
                    column == 0 ? wanted : WantedLines())
            } else {
                multiplyStridedNarrow(a + column &* columnStep, columnStep, step, terms, b, sums + column &* 8, adding)
            }
        }
    }

    /// Writes sixteen columns, plus the bias, of the rows of one panel.
    private func writeRows(
        _ sums: Source, _ panel: Int, column: Int, _ columns: Int, _ bias: Source?, into c: Target, _ work: Target
    ) {
        let present = min(rows - 16 * panel, 16)
        if width(of: panel) == 16 {
            transpose16(sums, 16, work)
        } else {
            for row in 0 ..< 8 { for column in 0 ..< 16 { work[row &* 16 &+ column] = sums[column &* 8 &+ row] } }
        }
        let shift = bias.map { Panels.load($0 + column) } ?? .zero
        for row in 0 ..< present {
            Panels.store(Panels.load(work + 16 &* row) + shift, c + ((16 &* panel &+ row) &* columns &+ column))
        }
    }

    // MARK: The weights' gradient

    private func multiplyTransposed(
        _ x: Source, _ dy: Source, into weightGradient: Target, adding: Bool, scratch: Target
    ) {
        let work = scratch, left = work + 512, right = left + Self.panelled(inputs) * rows
        copyPanels(x, columns: inputs, into: left)
        copyPanels(dy, columns: outputs, into: right)
        for input in stride(from: 0, to: inputs, by: 16) {
            var output = 0
            while output < outputs {
                let isPair = Panels.areTakenInPairs && output + 16 < outputs
                if isPair {
                    Panels.multiplyTransposed(
                        left + input * rows, byTwo: right + output * rows, bStep: 16 * rows, count: rows, into: work,
                        cStep: 256, WantedLines())
                } else {
                    Panels.multiplyTransposed(
                        left + input * rows, by: right + output * rows, count: rows, into: work, WantedLines())
                }
                for panel in 0 ..< (isPair ? 2 : 1) {
                    writeWeights(work + panel * 256, input, output + 16 * panel, into: weightGradient, adding: adding)
                }
                output += isPair ? 32 : 16
            }
        }
    }

    /// Writes up to sixteen rows and columns of the weights' gradient, or adds them.
    @inline(__always)
    private func writeWeights(_ sums: Source, _ input: Int, _ output: Int, into weightGradient: Target, adding: Bool) {
        let width = min(outputs - output, 16)
        for row in 0 ..< min(inputs - input, 16) {
            let source = sums + 16 &* row, target = weightGradient + ((input &+ row) &* outputs &+ output)
            if width == 16 {
                let sum = Panels.load(source)
                Panels.store(adding ? Panels.load(target) + sum : sum, target)
                prefetch(target + 32)
            } else {
                for column in 0 ..< width { target[column] = adding ? target[column] + source[column] : source[column] }
            }
        }
    }

    /// The rows in panels of 16 columns: [panels][rows][16], zero where there are no more columns.
    private func copyPanels(_ matrix: Source, columns: Int, into panels: Target) {
        for column in stride(from: 0, to: columns, by: 16) {
            let width = min(columns - column, 16), target = panels + column * rows
            for row in 0 ..< rows {
                let source = matrix + (row &* columns &+ column)
                if width == 16 {
                    Panels.store(Panels.load(source), target + 16 &* row)
                } else {
                    for index in 0 ..< 16 { target[16 &* row &+ index] = index < width ? source[index] : 0 }
                }
            }
        }
    }
}
