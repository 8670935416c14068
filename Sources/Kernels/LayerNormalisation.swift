/// Layer normalisation of one example at a time: Ba, Kiros & Hinton 2016.
///
/// With m values x of an example, v = (x − mean) / d, d = √(variance + ε); `inverse` is 1/d. The Jacobian of v is
/// symmetric: J t = (P t − v ⟨v, t⟩ / m) / d, P t = t − mean(t).
public enum LayerNormalisationKernels {
    /// The mean and 1/√(variance + ε). The variance in a second pass, for Σx² − (Σx)²/m would cancel where the mean
    /// is large.
    public static func moments(of input: Floats, epsilon: Float) -> (mean: Float, inverse: Float) {
        let count = Double(input.count)
        var sum = RunningSum()
        forEachEight(input.count) { index, lanes in sum.add(input.lanes(at: index, lanes)) }
        let mean = Float(sum.total / count)
        var squares = RunningSum()
        forEachEight(input.count) { index, lanes in
            let deviation = input.lanes(at: index, lanes) - mean
            squares.add(lanes == 8 ? deviation * deviation : first(lanes, of: deviation * deviation))
        }
        return (mean, Float(1 / (squares.total / count + Double(epsilon)).squareRoot()))
    }

    /// v = (x − mean) · inverse.
    public static func standardise(_ input: Floats, mean: Float, inverse: Float, into output: Floats) {
        precondition(input.count == output.count, "\(input.count) values into \(output.count)")
        forEachEight(input.count) { index, lanes in
            output.setLanes((input.lanes(at: index, lanes) - mean) * inverse, at: index, lanes)
        }
    }

    /// y[r, c] = x[r, c] · scale[c] + shift[c]; without a shift y[r, c] = x[r, c] · scale[c].
    public static func scale(_ input: Floats, by scale: Floats, shift: Floats? = nil, into output: Floats) {
        let columns = scale.count
        precondition(
            input.count == output.count && input.count % columns == 0,
            "\(input.count) values of \(columns) channels into \(output.count)")
        forEachEight(rows: input.count / columns, columns: columns) { offset, column, lanes in
            let scaled = input.lanes(at: offset, lanes) * scale.lanes(at: column, lanes)
            output.setLanes(shift.map { scaled + $0.lanes(at: column, lanes) } ?? scaled, at: offset, lanes)
        }
    }

    /// sums[c] += Σ_r a[r, c] · b[r, c].
    public static func addProducts(_ a: Floats, _ b: Floats, to sums: Floats) {
        precondition(
            a.count == b.count && a.count % sums.count == 0,
            "products of \(a.count) and \(b.count) values into \(sums.count) sums")
        Reductions.addColumnSums(rows: a.count / sums.count, columns: sums.count, to: sums) { offset, _, lanes in
            a.lanes(at: offset, lanes) * b.lanes(at: offset, lanes)
        }
    }

    /// J t, which may lie over t.
    public static func derivative(_ tangent: Floats, standardised v: Floats, inverse: Float, into output: Floats) {
        precondition(
            tangent.count == v.count && output.count == v.count,
            "\(tangent.count) tangents of \(v.count) values into \(output.count)")
        var sum = RunningSum(), product = RunningSum()
        forEachEight(v.count) { index, lanes in
            let t = tangent.lanes(at: index, lanes)
            sum.add(t)
            product.add(t * v.lanes(at: index, lanes))
        }
        let mean = Float(sum.total / Double(v.count)), along = Float(product.total / Double(v.count))
        forEachEight(v.count) { index, lanes in
            let result = (tangent.lanes(at: index, lanes) - mean - v.lanes(at: index, lanes) * along) * inverse
            output.setLanes(result, at: index, lanes)
        }
    }

    /// c = ∂⟨e, J t⟩ / ∂x = −(⟨a, b⟩ v + ⟨b, v⟩ a + ⟨a, v⟩ b − 3/m ⟨a, v⟩ ⟨b, v⟩ v) / (m d²), a = P e, b = P t.
    public static func curvature(
        _ gradient: Floats, tangent: Floats, standardised v: Floats, inverse: Float, into inputGradient: Floats,
        adding: Bool
    ) {
        precondition(
            gradient.count == v.count && tangent.count == v.count && inputGradient.count == v.count,
            "\(gradient.count) gradients and \(tangent.count) tangents of \(v.count) values into \(inputGradient.count)"
        )
        let count = Double(v.count)
        var sums = (RunningSum(), RunningSum())
        forEachEight(v.count) { index, lanes in
            sums.0.add(gradient.lanes(at: index, lanes))
            sums.1.add(tangent.lanes(at: index, lanes))
        }
        let means = (Float(sums.0.total / count), Float(sums.1.total / count))
        var ab = RunningSum(), av = RunningSum(), bv = RunningSum()
        forEachEight(v.count) { index, lanes in
            let a = first(lanes, of: gradient.lanes(at: index, lanes) - means.0)
            let b = first(lanes, of: tangent.lanes(at: index, lanes) - means.1)
            let v = v.lanes(at: index, lanes)
            ab.add(a * b)
            av.add(a * v)
            bv.add(b * v)
        }
        let factor = -Double(inverse) * Double(inverse) / count
        let ofV = Float(factor * (ab.total - 3 / count * av.total * bv.total))
        let ofA = Float(factor * bv.total), ofB = Float(factor * av.total)
        forEachEight(v.count) { index, lanes in
            let a = gradient.lanes(at: index, lanes) - means.0, b = tangent.lanes(at: index, lanes) - means.1
            let c = v.lanes(at: index, lanes) * ofV + a * ofA + b * ofB
            inputGradient.setLanes(adding ? inputGradient.lanes(at: index, lanes) + c : c, at: index, lanes)
        }
    }

    /// The others are zero: where a vector holds fewer values, what was subtracted stands in the rest.
    @inline(__always)
    private static func first(_ lanes: Int, of vector: Vector) -> Vector {
        if lanes == 8 { return vector }
        var result = Vector.zero
        for lane in 0 ..< lanes { result[lane] = vector[lane] }
        return result
    }
}
