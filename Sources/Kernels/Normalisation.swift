import CVector

/// Batch normalisation over the rows of a matrix [rows, channels]: Ioffe & Szegedy 2015, Algorithm 1 and §3.
///
/// Each phase is a function of its own, because a batch in several parts needs the sums of all of them between the phases.
public enum Normalisation {
    /// sums[c] = Σ_r x[r, c].
    public static func sum(_ input: Floats, channels: Int, into sums: Floats) {
        sums.fill(0)
        Reductions.addColumnSums(of: input, columns: channels, to: sums)
    }

    /// squares[c] = Σ_r (x[r, c] − mean[c])². A second pass: Σx² − (Σx)²/n would cancel where the mean is large.
    public static func sumSquares(_ input: Floats, around mean: Floats, into squares: Floats) {
        let channels = mean.count
        precondition(input.count % channels == 0 && squares.count == channels,
                     "\(input.count) values of \(channels) channels into \(squares.count) sums")
        squares.fill(0)
        Reductions.addColumnSums(rows: input.count / channels, columns: channels, to: squares) { offset, column, lanes in
            let deviation = input.lanes(at: offset, lanes) - mean.lanes(at: column, lanes)
            return deviation * deviation
        }
    }

    /// inverse[c] = 1 / √(variance[c] + ε).
    public static func inverseDeviation(variance: Floats, epsilon: Float, into inverse: Floats) {
        precondition(variance.count == inverse.count, "\(variance.count) variances into \(inverse.count)")
        forEachEight(variance.count) { index, lanes in
            inverse.setLanes(1 / squareRoots(variance.lanes(at: index, lanes) + epsilon), at: index, lanes)
        }
    }

    /// y = (x − mean) · inverse · scale + shift.
    public static func normalise(
        _ input: Floats, mean: Floats, inverse: Floats, scale: Floats, shift: Floats, into output: Floats
    ) {
        let channels = mean.count
        precondition(input.count == output.count && input.count % channels == 0,
                     "\(input.count) values of \(channels) channels into \(output.count)")
        forEachEight(rows: input.count / channels, columns: channels) { offset, column, lanes in
            let factor = inverse.lanes(at: column, lanes) * scale.lanes(at: column, lanes)
            let deviation = input.lanes(at: offset, lanes) - mean.lanes(at: column, lanes)
            output.setLanes(deviation * factor + shift.lanes(at: column, lanes), at: offset, lanes)
        }
    }

    /// shiftSums[c] = Σ_r dy, scaleSums[c] = Σ_r dy · x̂ with x̂ = (x − mean) · inverse: the gradients of shift and scale.
    public static func sumGradients(
        _ gradient: Floats, input: Floats, mean: Floats, inverse: Floats, shiftSums: Floats, scaleSums: Floats
    ) {
        let channels = mean.count
        precondition(gradient.count == input.count && input.count % channels == 0,
                     "\(gradient.count) gradients of \(input.count) values of \(channels) channels")
        shiftSums.fill(0)
        scaleSums.fill(0)
        Reductions.addColumnSums(of: gradient, columns: channels, to: shiftSums)
        Reductions.addColumnSums(rows: input.count / channels, columns: channels, to: scaleSums) { offset, column, lanes in
            let deviation = input.lanes(at: offset, lanes) - mean.lanes(at: column, lanes)
            return gradient.lanes(at: offset, lanes) * (deviation * inverse.lanes(at: column, lanes))
        }
    }

    /// dx = scale · inverse · (dy − shiftSums / n − x̂ · scaleSums / n), n the rows over which mean and sums were taken.
    public static func inputGradient(
        _ gradient: Floats, input: Floats, mean: Floats, inverse: Floats, scale: Floats,
        shiftSums: Floats, scaleSums: Floats, rows: Int, into inputGradient: Floats
    ) {
        let channels = mean.count
        precondition(gradient.count == input.count && inputGradient.count == input.count && input.count % channels == 0,
                     "\(gradient.count) gradients of \(input.count) values into \(inputGradient.count)")
        let share = 1 / Float(rows)
        forEachEight(rows: input.count / channels, columns: channels) { offset, column, lanes in
            let inverse = inverse.lanes(at: column, lanes)
            let normalised = (input.lanes(at: offset, lanes) - mean.lanes(at: column, lanes)) * inverse
            let common = shiftSums.lanes(at: column, lanes) * share
            let along = normalised * (scaleSums.lanes(at: column, lanes) * share)
            let centred = gradient.lanes(at: offset, lanes) - common - along
            inputGradient.setLanes(scale.lanes(at: column, lanes) * inverse * centred, at: offset, lanes)
        }
    }
}
