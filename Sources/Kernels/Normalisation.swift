import CKernels

/// Batch normalisation over the rows of a matrix [rows, channels]: Ioffe & Szegedy 2015, Algorithm 1 and §3.
///
/// Each phase is a function of its own, because a batch in several parts needs the sums of all of them between the
/// phases.
public enum Normalisation {
    /// sums[c] = Σ_r x[r, c].
    public static func sum(_ input: Floats, channels: Int, into sums: Floats) {
        sums.fill(0)
        Reductions.addColumnSums(of: input, columns: channels, to: sums)
    }

    /// squares[c] = Σ_r (x[r, c] − mean[c])². A second pass: Σx² − (Σx)²/n would cancel where the mean is large.
    public static func sumSquares(_ input: Floats, around mean: Floats, into squares: Floats) {
        let channels = mean.count
        precondition(
            input.count % channels == 0 && squares.count == channels,
            "\(input.count) values of \(channels) channels into \(squares.count) sums")
        squares.fill(0)
        kernels().pointee.addColumnSumsOfSquares(
            input.base, mean.base, input.count / channels, channels, squares.base)
    }

    /// mean[c] and squares[c] = Σ_r (x[r, c] − mean[c])² in one pass through memory: both are taken of a few rows
    /// that stay in the cache, and joined as in Chan, Golub & LeVeque 1983, eq. 1.5. `partial` has room for two
    /// values a channel.
    public static func moments(of input: Floats, mean: Floats, squares: Floats, partial: Floats) {
        let channels = mean.count, rows = input.count / channels
        precondition(
            input.count % channels == 0 && squares.count == channels && partial.count >= 2 * channels,
            "\(input.count) values of \(channels) channels into \(squares.count) sums by way of \(partial.count)")
        let newMean = partial[0 ..< channels], newSquares = partial[channels ..< 2 * channels]
        mean.fill(0)
        squares.fill(0)
        let block = max(valuesAtATime / channels, 1)
        for first in stride(from: 0, to: rows, by: block) {
            let end = min(first + block, rows), part = input[first * channels ..< end * channels]
            sum(part, channels: channels, into: newMean)
            for channel in 0 ..< channels { newMean[channel] /= Float(end - first) }
            sumSquares(part, around: newMean, into: newSquares)
            let share = Float(end - first) / Float(end)
            for channel in 0 ..< channels {
                let difference = newMean[channel] - mean[channel]
                mean[channel] += difference * share
                squares[channel] += newSquares[channel] + difference * difference * (share * Float(first))
            }
        }
    }

    /// Of a block of rows that is read more than once: 256 KB.
    private static let valuesAtATime = 1 << 16

    /// inverse[c] = 1 / √(variance[c] + ε).
    public static func inverseDeviation(variance: Floats, epsilon: Float, into inverse: Floats) {
        precondition(variance.count == inverse.count, "\(variance.count) variances into \(inverse.count)")
        for channel in 0 ..< variance.count { inverse[channel] = 1 / (variance[channel] + epsilon).squareRoot() }
    }

    /// y = f(x̂ · scale + shift), x̂ = (x − mean) · inverse, f(z) = z where z > 0, slope · z elsewhere.
    public static func normalise(
        _ input: Floats, mean: Floats, inverse: Floats, scale: Floats, shift: Floats, slope: Float, into output: Floats
    ) {
        let channels = mean.count
        precondition(
            input.count == output.count && input.count % channels == 0,
            "\(input.count) values of \(channels) channels into \(output.count)")
        kernels().pointee.normalise(
            input.base, mean.base, inverse.base, scale.base, shift.base, slope, output.base, input.count / channels,
            channels)
    }

    /// shiftSums[c] = Σ_r dz, scaleSums[c] = Σ_r dz · x̂: the gradients of shift and scale, given that of y = f(z).
    public static func sumGradients(
        _ gradient: Floats, input: Floats, mean: Floats, inverse: Floats, scale: Floats, shift: Floats, slope: Float,
        shiftSums: Floats, scaleSums: Floats
    ) {
        let channels = mean.count
        precondition(
            gradient.count == input.count && input.count % channels == 0,
            "\(gradient.count) gradients of \(input.count) values of \(channels) channels")
        shiftSums.fill(0)
        scaleSums.fill(0)
        var statistics = BatchStatistics(mean: mean.base, inverse: inverse.base, scale: scale.base, shift: shift.base)
        kernels().pointee.sumBatchGradients(
            gradient.base, input.base, &statistics, slope, shiftSums.base, scaleSums.base, input.count / channels,
            channels)
    }

    /// dx = scale · inverse · (dz − shiftSums / n − x̂ · scaleSums / n), n the rows over which mean and sums were
    /// taken.
    public static func inputGradient(
        _ gradient: Floats, input: Floats, mean: Floats, inverse: Floats, scale: Floats, shift: Floats, slope: Float,
        shiftSums: Floats, scaleSums: Floats, rows: Int, into inputGradient: Floats
    ) {
        let channels = mean.count
        precondition(
            gradient.count == input.count && inputGradient.count == input.count && input.count % channels == 0,
            "\(gradient.count) gradients of \(input.count) values into \(inputGradient.count)")
        var statistics = BatchStatistics(mean: mean.base, inverse: inverse.base, scale: scale.base, shift: shift.base)
        kernels().pointee.batchInputGradient(
            gradient.base, input.base, &statistics, slope, shiftSums.base, scaleSums.base, 1 / Float(rows),
            inputGradient.base, input.count / channels, channels)
    }
}
