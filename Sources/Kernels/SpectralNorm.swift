import CKernels

/// The spectral norm of matrices [out] × [rest] by power iteration: Miyato et al. 2018 (arXiv:1802.05957), Algorithm 1.
///
/// Sums of up to 64 terms a lane are float, what they add up to is double; the order of each depends on the matrix's
/// form alone.
public final class SpectralNorm {
    /// How W lies in memory: as `blocks` matrices [rows, columns], one after another.
    public struct Form: Hashable, Sendable {
        let blocks, rows, columns: Int
        /// W is [blocks · columns] × [rows]; otherwise [rows] × [blocks · columns].
        let isTransposed: Bool

        /// A kernel whose last dimension are its outputs: `IO`, `HWIO`.
        public static func outputsLast(rest: Int, outputs: Int) -> Form {
            Form(blocks: 1, rows: rest, columns: outputs, isTransposed: true)
        }

        /// A kernel whose last but one dimension are its outputs: `HWOI`.
        public static func outputsBeforeInputs(blocks: Int, outputs: Int, inputs: Int) -> Form {
            Form(blocks: blocks, rows: outputs, columns: inputs, isTransposed: false)
        }

        /// Weights in panels of 16 outputs.
        public static func panels(_ panels: WeightPanels) -> Form {
            Form(blocks: panels.outputs / 16, rows: panels.inputs, columns: 16, isTransposed: true)
        }

        public var outputs: Int { isTransposed ? blocks * columns : rows }
        public var rest: Int { isTransposed ? rows : blocks * columns }
        var count: Int { blocks * rows * columns }
    }

    /// A spectral norm below this, that of a weight of zeros, divides nothing.
    public static let smallest = 1e-12

    /// The last product of W and a vector, and its length.
    private let product: UnsafeMutablePointer<Double>
    private var count = 0
    /// Sums of a few rows.
    private let partial: FloatBuffer

    /// For matrices of these forms.
    public init(_ forms: [Form]) {
        let longest = forms.map { max($0.outputs, $0.rest) }.max() ?? 0
        product = .allocate(capacity: max(longest, 1))
        partial = FloatBuffer(count: forms.map(\.columns).max() ?? 0)
    }

    deinit { product.deallocate() }

    /// v ← Wᵀu / ‖Wᵀu‖, u ← W v / ‖W v‖; returns σ = uᵀ W v. A vector of zeros takes the place of none: u and v stay.
    public func iterate(_ weight: Floats, _ form: Form, u: Floats, v: Floats) -> Double {
        multiplyTransposed(weight, form, by: u)
        normalise(into: v)
        multiply(weight, form, by: v)
        normalise(into: u)
        return product(with: u)
    }

    /// σ = uᵀ W v, to the bit what ``iterate(_:_:u:v:)`` that ended with these vectors has returned.
    public func norm(_ weight: Floats, _ form: Form, u: Floats, v: Floats) -> Double {
        multiply(weight, form, by: v)
        return product(with: u)
    }

    // MARK: - What becomes of the weights and of their gradients

    /// W / σ; W itself where σ is less than ``smallest``.
    public static func divide(_ weight: Floats, by norm: Double, into target: Floats) {
        precondition(weight.count == target.count, "\(weight.count) values into \(target.count)")
        kernels().pointee.divide(weight.base, norm < smallest ? 1 : Float(norm), target.base, weight.count)
    }

    /// The gradient with respect to W, given that with respect to W̄ = W / σ: (g − ⟨g, W̄⟩ u vᵀ) / σ, u and v held
    /// constant; g itself where σ is less than ``smallest``. `target` may be `gradient`.
    public static func pullBack(
        _ gradient: Floats, normalised weight: Floats, _ form: Form, u: Floats, v: Floats, norm: Double,
        into target: Floats
    ) {
        if norm < smallest { return target.copy(from: gradient) }
        let inner = Reductions.product(gradient, weight)
        for row in 0 ..< form.blocks * form.rows {
            let ofRow = (form.isTransposed ? v : u)[row % form.rows]
            let start = row / form.rows * form.columns
            let ofColumns = (form.isTransposed ? u : v)[start ..< start + form.columns]
            let offset = row * form.columns
            kernels().pointee.pullBackRow(
                gradient.base + offset, ofColumns.base, Float(inner * Double(ofRow)), Float(norm),
                target.base + offset, form.columns)
        }
    }

    // MARK: - Products with W

    /// product ← W v.
    private func multiply(_ weight: Floats, _ form: Form, by v: Floats) {
        begin(form.outputs)
        if form.isTransposed { addRows(of: weight, form, times: v) } else { addProducts(of: weight, form, with: v) }
    }

    /// product ← Wᵀu.
    private func multiplyTransposed(_ weight: Floats, _ form: Form, by u: Floats) {
        begin(form.rest)
        if form.isTransposed { addProducts(of: weight, form, with: u) } else { addRows(of: weight, form, times: u) }
    }

    private func begin(_ count: Int) {
        self.count = count
        product.update(repeating: 0, count: count)
    }

    /// product[r] += Σ_c W[block, r, c] x[block · columns + c], over all blocks.
    private func addProducts(of weight: Floats, _ form: Form, with x: Floats) {
        for block in 0 ..< form.blocks {
            kernels().pointee.addProductsWithRows(
                form.block(block, weight).base, x.base + block * form.columns, product, form.rows, form.columns)
        }
    }

    /// product[block · columns + c] += Σ_r x[r] W[block, r, c].
    private func addRows(of weight: Floats, _ form: Form, times x: Floats) {
        for block in 0 ..< form.blocks {
            kernels().pointee.addRowsTimes(
                form.block(block, weight).base, x.base, product + block * form.columns, partial.values.base, form.rows,
                form.columns)
        }
    }

    // MARK: - What a product comes to

    /// The product divided by its length; where that is 0 the vector stays.
    private func normalise(into vector: Floats) {
        var square = 0.0
        for index in 0 ..< count { square += product[index] * product[index] }
        let length = square.squareRoot()
        if length < Self.smallest { return }
        for index in 0 ..< count { vector[index] = Float(product[index] / length) }
    }

    private func product(with vector: Floats) -> Double {
        var sum = 0.0
        for index in 0 ..< count { sum += Double(vector[index]) * product[index] }
        return sum
    }
}

extension SpectralNorm.Form {
    fileprivate func block(_ number: Int, _ weight: Floats) -> Floats {
        weight[number * rows * columns ..< (number + 1) * rows * columns]
    }
}
