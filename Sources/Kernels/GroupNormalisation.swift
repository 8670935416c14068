import CKernels

/// Normalisation of the channels of one example in groups: Wu & He 2018.
///
/// An example is a matrix [rows, channels]; neighbouring channels make a group. With m values x of a group,
/// v = (x − mean) / d, d = √(variance + ε). What a group has in common stands at each of its channels. The Jacobian of
/// v is symmetric: J t = (P t − v ⟨v, t⟩ / m) / d, P t = t − mean(t).
public struct GroupNormalisationKernels {
    let groups: Int
    /// Of each channel, as its group has them: the mean and 1/d.
    let mean: Floats
    let inverse: Floats

    /// `mean` and `inverse`: where ``measure(_:epsilon:sums:)`` puts them, a value a channel.
    public init(groups: Int, mean: Floats, inverse: Floats) {
        precondition(
            mean.count == inverse.count && mean.count % groups == 0, "\(mean.count) channels in \(groups) groups")
        (self.groups, self.mean, self.inverse) = (groups, mean, inverse)
    }

    private var channels: Int { mean.count }

    /// Sets mean and 1/d. The variance in a second pass, for Σx² − (Σx)²/m would cancel where the mean is large.
    /// `sums`: scratch, a value a channel.
    public func measure(_ input: Floats, epsilon: Float, sums: Floats) {
        let count = Double(input.count / groups)
        Normalisation.sum(input, channels: channels, into: sums)
        forEachGroup { group in mean[group].fill(Float(total(sums, group) / count)) }
        Normalisation.sumSquares(input, around: mean, into: sums)
        forEachGroup { group in
            inverse[group].fill(Float(1 / (total(sums, group) / count + Double(epsilon)).squareRoot()))
        }
    }

    /// y = v · scale + shift.
    public func normalise(_ input: Floats, scale: Floats, shift: Floats, into output: Floats) {
        Normalisation.normalise(
            input, mean: mean, inverse: inverse, scale: scale, shift: shift, slope: 1, into: output)
    }

    /// first[c] = Σ_r a[r, c], second[c] = Σ_r a[r, c] · v[r, c].
    public func sum(_ a: Floats, input: Floats, first: Floats, second: Floats) {
        check(a, input)
        first.fill(0)
        second.fill(0)
        kernels().pointee.sumWithStandardised(
            a.base, input.base, mean.base, inverse.base, first.base, second.base, a.count / channels, channels)
    }

    /// J (factors · a) into `output`, which may be a, given the ``sum(_:input:first:second:)`` of a, in whose place it
    /// puts the groups' means. `after`: the result is multiplied by these too. `share`: so much of v is added.
    public func derivative(
        _ a: Floats, input: Floats, first: Floats, second: Floats, factors: Floats? = nil, after: Floats? = nil,
        share: Float = 0, into output: Floats
    ) {
        check(a, input)
        average(first, factors, of: input.count)
        average(second, factors, of: input.count)
        kernels().pointee.groupDerivative(
            a.base, input.base, mean.base, inverse.base, first.base, second.base, factors?.base, after?.base, share,
            output.base, input.count / channels, channels)
    }

    /// c (+)= ∂⟨e, J t⟩ / ∂x = −(⟨a, b⟩ v + ⟨b, v⟩ a + ⟨a, v⟩ b − 3/m ⟨a, v⟩ ⟨b, v⟩ v) / (m d²), a = P e, b = P t, of
    /// e = factors · `gradient`. `scratch`: five values a channel.
    public func curvature(
        _ gradient: Floats, tangent: Floats, input: Floats, factors: Floats, scratch: Floats,
        into inputGradient: Floats,
        adding: Bool
    ) {
        check(gradient, input)
        check(tangent, input)
        let rows = input.count / channels, count = channels
        func part(_ number: Int) -> Floats { scratch[number * count ..< (number + 1) * count] }
        let (ofE, ofT, ab, av, bv) = (part(0), part(1), part(2), part(3), part(4))
        scratch[0 ..< 5 * count].fill(0)
        kernels().pointee.sumGroupGradients(
            gradient.base, factors.base, tangent.base, ofE.base, ofT.base, rows, count)
        average(ofE, nil, of: input.count)
        average(ofT, nil, of: input.count)
        kernels().pointee.sumGroupProducts(
            gradient.base, factors.base, tangent.base, input.base, mean.base, inverse.base, ofE.base, ofT.base,
            ab.base, av.base, bv.base, rows, count)
        setCoefficients(ab: ab, av: av, bv: bv, of: input.count)
        kernels().pointee.groupCurvature(
            gradient.base, factors.base, tangent.base, input.base, mean.base, inverse.base, ofE.base, ofT.base,
            ab.base, av.base, bv.base, inputGradient.base, adding, rows, count)
    }

    /// Of each group's products the factors of v (in place of ⟨a, b⟩), of b (⟨a, v⟩) and of a (⟨b, v⟩).
    private func setCoefficients(ab: Floats, av: Floats, bv: Floats, of values: Int) {
        let count = Double(values / groups)
        forEachGroup { group in
            let (abTotal, avTotal, bvTotal) = (total(ab, group), total(av, group), total(bv, group))
            let inverse = Double(inverse[group.lowerBound]), factor = -inverse * inverse / count
            ab[group].fill(Float(factor * (abTotal - 3 / count * avTotal * bvTotal)))
            av[group].fill(Float(factor * avTotal))
            bv[group].fill(Float(factor * bvTotal))
        }
    }

    /// Each group's Σ_c factors[c] · sums[c], divided by the values of a group, in place of its sums.
    private func average(_ sums: Floats, _ factors: Floats?, of values: Int) {
        let count = Double(values / groups)
        forEachGroup { group in
            var total = 0.0
            for channel in group { total += Double(sums[channel]) * Double(factors?[channel] ?? 1) }
            sums[group].fill(Float(total / count))
        }
    }

    private func total(_ sums: Floats, _ group: Range<Int>) -> Double {
        var total = 0.0
        for channel in group { total += Double(sums[channel]) }
        return total
    }

    private func forEachGroup(_ body: (Range<Int>) -> Void) {
        let size = channels / groups
        for group in 0 ..< groups { body(group * size ..< (group + 1) * size) }
    }

    private func check(_ a: Floats, _ input: Floats) {
        precondition(
            a.count == input.count && a.count % channels == 0,
            "\(a.count) and \(input.count) values of \(channels) channels")
    }
}
