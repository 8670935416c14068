import CKernels

/// How large weights W [inputs, outputs] of a dense layer lie in memory: in panels of 16 outputs,
///
///     [outputs / 16][inputs][16],
///
/// the order in which products read them. By rows the values that belong to one panel lie kilobytes apart, each in a
/// page of its own, so that a product of few rows waits for memory, and one of many copies them first. Files have the
/// natural order.
public struct WeightPanels: Hashable, Sendable {
    public let inputs, outputs: Int

    /// Nil where W lies by rows: where it is small enough to stay in a cache, its outputs do not fill panels, or the
    /// kernels lack fused products, so that BLAS multiplies.
    public init?(inputs: Int, outputs: Int) {
        // By measurement (`gan-dist bench layers --only dense`): from here on a pass is as fast as OpenBLAS's or
        // faster, but for the weights' gradient of hundreds of rows, and for one row of weights that a cache holds.
        guard kernels().pointee.hasFusedProducts, inputs >= 16, outputs % 16 == 0, inputs * outputs >= 1 << 18 else {
            return nil
        }
        self.init(always: inputs, outputs: outputs)
    }

    /// For tests: of weights of any size.
    init(always inputs: Int, outputs: Int) {
        precondition(inputs >= 16 && outputs % 16 == 0, "panels of [\(inputs), \(outputs)]")
        (self.inputs, self.outputs) = (inputs, outputs)
    }

    /// From the natural order, [inputs, outputs].
    public func store(_ natural: Floats, into panels: Floats) {
        forEachRowOfPanel(natural, panels) { (row, ofPanel) in ofPanel.copy(from: row) }
    }

    /// To the natural order.
    public func restore(_ panels: Floats, into natural: Floats) {
        forEachRowOfPanel(natural, panels) { (row, ofPanel) in row.copy(from: ofPanel) }
    }

    /// The 16 values of each input and panel, in both orders.
    private func forEachRowOfPanel(_ natural: Floats, _ panels: Floats, _ body: (Floats, Floats) -> Void) {
        precondition(
            natural.count == inputs * outputs && panels.count == natural.count,
            "\(natural.count) and \(panels.count) values of weights [\(inputs), \(outputs)]")
        for output in stride(from: 0, to: outputs, by: 16) {
            for input in 0 ..< inputs {
                let start = input * outputs + output, place = output * inputs + 16 * input
                body(natural[start ..< start + 16], panels[place ..< place + 16])
            }
        }
    }

    // MARK: - Products

    /// Values of scratch memory that each product of `rows` rows may use.
    func scratchCount(rows: Int) -> Int {
        func rounded(_ count: Int) -> Int { (count + 15) / 16 * 16 }
        // Sums of all inputs and dy transposed, of so many rows at a time; or x and dy in panels.
        let atATime = min(rounded(rows), 128)
        return max(atATime * (rounded(inputs) + outputs), rows * (rounded(inputs) + outputs)) + 512
    }

    /// y = x W + b.
    func forward(_ x: Floats, rows: Int, weight: Floats, bias: Floats?, into y: Floats) {
        kernels().pointee.multiplyStored(x.base, rows, inputs, weight.base, outputs, bias?.base, y.base)
    }

    /// dx = dy Wᵀ.
    func inputGradient(_ dy: Floats, rows: Int, weight: Floats, into dx: Floats, scratch: Floats) {
        kernels().pointee.multiplyStoredTransposed(
            dy.base, rows, outputs, weight.base, inputs, dx.base, scratch.base)
    }

    /// dW (+)= xᵀ dy.
    func weightGradient(
        _ x: Floats, _ dy: Floats, rows: Int, into gradient: Floats, adding: Bool, scratch: Floats
    ) {
        kernels().pointee.multiplyIntoStored(
            x.base, dy.base, rows, inputs, outputs, gradient.base, adding, scratch.base)
    }
}
