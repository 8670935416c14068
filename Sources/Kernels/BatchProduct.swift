import CKernels

/// The products of a dense layer, y = x W + b and its two adjoints, with W as it lies in memory: in ``WeightPanels``,
/// which have products of their own, or by rows.
///
/// Of weights by rows BLAS first copies the matrix with which a batch is multiplied into an order of its own. For a
/// batch of 64 that costs a sixth of the product. Here the batch is copied, which is small: into ``Panels`` of 16
/// examples, transposed, so that the lanes of a vector are examples and each weight is read as a factor for 16 or 32 of
/// them. Where examples are many, a block of weights at a time is copied too, or, with AVX-512 and few weights, these
/// alone, and the lanes are columns:
///
///     y[n, j] = Σ_k x[n, k] · W[k, j],    dx[n, k] = Σ_j dy[n, j] · W[k, j],    dW[k, j] (+)= Σ_n x[n, k] · dy[n, j].
///
/// N `rows`, K `inputs`, J `outputs`: x [N, K], W [K, J], b [J], y [N, J]. The order of each sum is that of its
/// terms, in blocks.
public struct BatchProduct: Sendable {
    let rows: Int
    let inputs: Int
    let outputs: Int
    /// In which of the products this form pays; otherwise they are BLAS's.
    private let suits: Passes
    /// How W and dW lie in memory; nil: by rows.
    private let panels: WeightPanels?

    private struct Passes: OptionSet {
        let rawValue: Int
        static let forward = Passes(rawValue: 1), inputGradient = Passes(rawValue: 2)
        static let weightGradient = Passes(rawValue: 4), all: Passes = [.forward, .inputGradient, .weightGradient]
    }

    /// W by rows.
    public init(rows: Int, inputs: Int, outputs: Int) {
        self.init(rows: rows, inputs: inputs, outputs: outputs, Self.passes(rows, inputs, outputs), nil)
    }

    /// W in panels.
    public init(rows: Int, of panels: WeightPanels) {
        self.init(rows: rows, inputs: panels.inputs, outputs: panels.outputs, [], panels)
    }

    /// For tests: this form of all products by rows, or none.
    init(rows: Int, inputs: Int, outputs: Int, suits: Bool) {
        self.init(rows: rows, inputs: inputs, outputs: outputs, suits ? .all : [], nil)
    }

    private init(rows: Int, inputs: Int, outputs: Int, _ suits: Passes, _ panels: WeightPanels?) {
        precondition(
            rows >= 0 && inputs > 0 && outputs > 0, "a product of \(rows) × \(inputs) and \(inputs) × \(outputs)")
        precondition(
            suits.isEmpty || min(inputs, outputs) >= 16,
            "\(inputs) inputs and \(outputs) outputs: there are to be sixteen of both")
        (self.rows, self.inputs, self.outputs, self.suits) = (rows, inputs, outputs, suits)
        self.panels = panels
    }

    /// Where this form is no slower than OpenBLAS, by measurement (`gan-dist bench layers --only dense`). Of many rows,
    /// a copy of the weights in an order of its own costs BLAS little; of few, and of weights that a cache holds, it
    /// copies nothing.
    private static func passes(_ rows: Int, _ inputs: Int, _ outputs: Int) -> Passes {
        let weights = inputs * outputs, isWide = kernels().pointee.panelsInRegisters == 2
        let most = isWide && max(inputs, outputs) <= 512 ? 256 : 128
        guard kernels().pointee.hasFusedProducts, min(inputs, outputs) >= 16, 2 ... most ~= rows,
            rows >= 16 || weights >= 1 << 18
        else { return [] }
        var passes: Passes = .inputGradient
        // Of 64 rows the largest weights pay for BLAS's copy: forward with AVX2, their gradient with AVX-512.
        let isLarge = rows >= 64 && weights >= 1 << 22
        if 16 ... (isWide ? most : 64) ~= rows, isWide || !isLarge { passes.insert(.forward) }
        if !(isWide && isLarge) { passes.insert(.weightGradient) }
        return passes
    }

    /// What computes it, as benchmarks name it.
    public var algorithmName: String {
        if panels != nil { return "stored panels" }
        return suits == .all ? "panels" : suits.isEmpty ? "BLAS" : "panels and BLAS"
    }

    public var scratchCount: Int {
        if let panels { return panels.scratchCount(rows: rows) }
        guard !suits.isEmpty else { return 0 }
        let panels = (rows + 15) / 16, most = max(inputs, outputs)
        return max(
            16 * panels * (most + 64) + 256 + 64 * Int(termsAtATime), Self.panelled(inputs + 16 + outputs) * rows + 512)
    }

    private static func panelled(_ columns: Int) -> Int { (columns + 15) / 16 * 16 }

    /// y = x W + b; without a bias y = x W.
    public func forward(_ x: Floats, weight: Floats, bias: Floats?, into y: Floats, scratch: Floats) {
        check(x, weight, y, scratch)
        if let panels {
            panels.forward(x, rows: rows, weight: weight, bias: bias, into: y)
        } else if suits.contains(.forward) {
            kernels().pointee.multiplyBatch(
                x.base, rows, inputs, weight.base, outputs, 1, outputs, bias?.base, y.base, scratch.base)
        } else {
            if let bias { Reductions.setRows(of: y, to: bias) }
            Matrix.multiply(x, by: weight, into: y, rows: rows, columns: outputs, inner: inputs, adding: bias != nil)
        }
    }

    /// dx = dy Wᵀ.
    public func inputGradient(_ dy: Floats, weight: Floats, into dx: Floats, scratch: Floats) {
        check(dx, weight, dy, scratch)
        if let panels {
            panels.inputGradient(dy, rows: rows, weight: weight, into: dx, scratch: scratch)
        } else if suits.contains(.inputGradient) {
            kernels().pointee.multiplyBatch(
                dy.base, rows, outputs, weight.base, inputs, outputs, 1, nil, dx.base, scratch.base)
        } else {
            Matrix.multiply(
                dy, by: weight, secondTransposed: true, into: dx, rows: rows, columns: inputs, inner: outputs)
        }
    }

    /// dW = xᵀ dy, or dW += xᵀ dy if `adding`.
    public func weightGradient(_ x: Floats, _ dy: Floats, into weightGradient: Floats, adding: Bool, scratch: Floats) {
        check(x, weightGradient, dy, scratch)
        if let panels {
            panels.weightGradient(x, dy, rows: rows, into: weightGradient, adding: adding, scratch: scratch)
        } else if suits.contains(.weightGradient) {
            kernels().pointee.multiplyBatchTransposed(
                x.base, dy.base, rows, inputs, outputs, weightGradient.base, adding, scratch.base)
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
}
