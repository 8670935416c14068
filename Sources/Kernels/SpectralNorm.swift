import CVector

/// The spectral norm of matrices [out] × [rest] by power iteration: Miyato et al. 2018 (arXiv:1802.05957), Algorithm 1.
///
/// Sums of up to 64 terms a lane are float, what they add up to is double; the order of each depends on the matrix's
/// form alone.
public final class SpectralNorm {
    /// How W lies in memory: as `blocks` matrices [rows, columns], one after another.
    public struct Form: Hashable, Sendable {
        let blocks, rows, columns: Int
        /// W is [columns] × [rows] of the one block; otherwise [rows] × [blocks · columns].
        let isTransposed: Bool

        /// A kernel whose last dimension are its outputs: `IO`, `HWIO`.
        public static func outputsLast(rest: Int, outputs: Int) -> Form {
            Form(blocks: 1, rows: rest, columns: outputs, isTransposed: true)
        }

        /// A kernel whose last but one dimension are its outputs: `HWOI`.
        public static func outputsBeforeInputs(blocks: Int, outputs: Int, inputs: Int) -> Form {
            Form(blocks: blocks, rows: outputs, columns: inputs, isTransposed: false)
        }

        public var outputs: Int { isTransposed ? columns : rows }
        public var rest: Int { isTransposed ? rows : blocks * columns }
        var count: Int { blocks * rows * columns }
    }

    /// A spectral norm below this, that of a weight of zeros, divides nothing.
    public static let smallest = 1e-12

    private static let termsInFloat = 64

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
        let divisors = Vector(repeating: norm < smallest ? 1 : Float(norm))
        forEachEight(weight.count) { index, lanes in
            target.setLanes(weight.lanes(at: index, lanes) / divisors, at: index, lanes)
        }
    }

    /// The gradient with respect to W, given that with respect to W̄ = W / σ: (g − ⟨g, W̄⟩ u vᵀ) / σ, u and v held
    /// constant; g itself where σ is less than ``smallest``. `target` may be `gradient`.
    public static func pullBack(
        _ gradient: Floats, normalised weight: Floats, _ form: Form, u: Floats, v: Floats, norm: Double,
        into target: Floats
    ) {
        if norm < smallest { return target.copy(from: gradient) }
        let inner = Reductions.product(gradient, weight), divisors = Vector(repeating: Float(norm))
        for row in 0 ..< form.blocks * form.rows {
            let ofRow = form.isTransposed ? v[row] : u[row % form.rows]
            let start = form.isTransposed ? 0 : row / form.rows * form.columns
            let ofColumns = (form.isTransposed ? u : v)[start ..< start + form.columns]
            let factors = Vector(repeating: Float(inner * Double(ofRow))), offset = row * form.columns
            forEachEight(form.columns) { column, lanes in
                let change = factors * ofColumns.lanes(at: column, lanes)
                target.setLanes(
                    (gradient.lanes(at: offset + column, lanes) - change) / divisors, at: offset + column, lanes)
            }
        }
    }

    // MARK: - Products with W

    /// product ← W v.
    private func multiply(_ weight: Floats, _ form: Form, by v: Floats) {
        begin(form.outputs)
        if form.isTransposed { return addRows(of: weight, times: v, at: 0) }
        for block in 0 ..< form.blocks {
            addProducts(of: form.block(block, weight), with: v[block * form.columns ..< (block + 1) * form.columns])
        }
    }

    /// product ← Wᵀu.
    private func multiplyTransposed(_ weight: Floats, _ form: Form, by u: Floats) {
        begin(form.rest)
        if form.isTransposed { return addProducts(of: weight, with: u) }
        for block in 0 ..< form.blocks {
            addRows(of: form.block(block, weight), times: u, at: block * form.columns)
        }
    }

    private func begin(_ count: Int) {
        self.count = count
        product.update(repeating: 0, count: count)
    }

    /// product[r] += Σ_c matrix[r, c] x[c].
    private func addProducts(of matrix: Floats, with x: Floats) {
        let columns = x.count
        for row in 0 ..< matrix.count / columns {
            for start in stride(from: 0, to: columns, by: 32 * Self.termsInFloat) {
                let end = min(start + 32 * Self.termsInFloat, columns)
                product[row] += Self.product(matrix[row * columns + start ..< row * columns + end], x[start ..< end])
            }
        }
    }

    @inline(__always)
    private static func product(_ first: Floats, _ second: Floats) -> Double {
        var sum0 = Vector.zero, sum1 = sum0, sum2 = sum0, sum3 = sum0
        var index = 0
        while index + 32 <= first.count {
            sum0 += first.lanes(at: index) * second.lanes(at: index)
            sum1 += first.lanes(at: index + 8) * second.lanes(at: index + 8)
            sum2 += first.lanes(at: index + 16) * second.lanes(at: index + 16)
            sum3 += first.lanes(at: index + 24) * second.lanes(at: index + 24)
            index += 32
        }
        while index < first.count {
            let lanes = min(8, first.count - index)
            sum0 +=
                lanes == 8
                ? first.lanes(at: index) * second.lanes(at: index)
                : first.lanes(at: index, lanes) * second.lanes(at: index, lanes)
            index += lanes
        }
        let sum = (sum0 + sum1) + (sum2 + sum3)
        var total = 0.0
        for lane in 0 ..< 8 { total += Double(sum[lane]) }
        return total
    }

    /// product[start + c] += Σ_r x[r] matrix[r, c]: eight rows at a time, as each needs the partial sum read and
    /// written.
    private func addRows(of matrix: Floats, times x: Floats, at start: Int) {
        let columns = matrix.count / x.count, partial = partial.values[0 ..< columns]
        var row = 0
        while row < x.count {
            let end = min(row + Self.termsInFloat, x.count)
            partial.fill(0)
            while row + 8 <= end {
                Self.addEightRows(of: matrix[row * columns ..< (row + 8) * columns], times: x[row ..< row + 8], partial)
                row += 8
            }
            while row < end {
                let factors = Vector(repeating: x[row]), offset = row * columns
                forEachEight(columns) { column, lanes in
                    let sum = partial.lanes(at: column, lanes) + factors * matrix.lanes(at: offset + column, lanes)
                    partial.setLanes(sum, at: column, lanes)
                }
                row += 1
            }
            for column in 0 ..< columns { product[start + column] += Double(partial[column]) }
        }
    }

    private static func addEightRows(of rows: Floats, times x: Floats, _ sums: Floats) {
        let columns = sums.count, factors = x.lanes(at: 0)
        let factor0 = Vector(repeating: factors[0]), factor1 = Vector(repeating: factors[1]),
            factor2 = Vector(repeating: factors[2]), factor3 = Vector(repeating: factors[3]),
            factor4 = Vector(repeating: factors[4]), factor5 = Vector(repeating: factors[5]),
            factor6 = Vector(repeating: factors[6]), factor7 = Vector(repeating: factors[7])
        forEachEight(columns) { column, lanes in
            func term(_ row: Int, _ factor: Vector) -> Vector { factor * rows.lanes(at: row * columns + column, lanes) }
            let first = (term(0, factor0) + term(1, factor1)) + (term(2, factor2) + term(3, factor3))
            let second = (term(4, factor4) + term(5, factor5)) + (term(6, factor6) + term(7, factor7))
            sums.setLanes(sums.lanes(at: column, lanes) + (first + second), at: column, lanes)
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
