import Kernels

/// A layer that normalises each channel by the mean and the variance of a batch: x̂ = (x − mean) / √(variance + ε) in
/// training, with running statistics in sampling.
///
/// Its parts in the order of a pass; between them ``Synchronised`` puts the sums over other parts of the minibatch.
public protocol BatchStatisticsLayer: Layer {
    /// Added to the variance.
    var epsilon: Float { get }
    /// y, given mean and 1/√(variance + ε) in ``LayerMemory/saved``.
    func normalise(_ input: Batch, into output: Batch, _ memory: LayerMemory)
    /// Σ g and Σ g · x̂ of each channel, g the gradient with respect to x̂ or a fixed multiple of it a channel, in
    /// scratch memory. Adds to the parameters' gradients where those are wanted.
    func sumGradients(
        _ outputGradient: Batch, input: Batch, _ memory: LayerMemory, parameterGradients: Bool
    ) -> (shiftSums: Floats, scaleSums: Floats)
    /// The input gradient, given the sums over the `rows` rows that mean and variance were taken over.
    func inputGradient(
        _ outputGradient: Batch, input: Batch, _ memory: LayerMemory, shiftSums: Floats, scaleSums: Floats, rows: Int,
        into inputGradient: Batch)
}

extension BatchStatisticsLayer {
    /// The batch's mean and 1/√(variance + ε).
    public func savedCount(for input: Shape, batch: Int) -> Int { 2 * input.channels }

    public func forward(_ input: Batch, into output: Batch, _ memory: LayerMemory, mode: Mode) {
        let channels = input.shape.channels, (mean, inverse) = memory.moments(channels)
        switch mode {
        case .training:
            let rows = input.values.count / channels, sums = memory.scratch[0 ..< channels]
            Normalisation.moments(
                of: input.values, mean: mean, squares: sums, partial: memory.scratch[channels ..< 3 * channels])
            memory.addStatistics(mean: mean, squares: sums, rows: rows, examples: input.count)
            for channel in 0 ..< channels { sums[channel] /= Float(rows) }
            Normalisation.inverseDeviation(variance: sums, epsilon: epsilon, into: inverse)
        case .sampling:
            mean.copy(from: memory.statistics[0])
            Normalisation.inverseDeviation(variance: memory.statistics[1], epsilon: epsilon, into: inverse)
        }
        normalise(input, into: output, memory)
    }

    public func backward(
        _ outputGradient: Batch, input: Batch, output: Batch,
        into inputGradient: Batch?, _ memory: LayerMemory, parameterGradients: Bool
    ) {
        let (shiftSums, scaleSums) = sumGradients(
            outputGradient, input: input, memory, parameterGradients: parameterGradients)
        guard let inputGradient else { return }
        if memory.isSampling {
            shiftSums.fill(0)
            scaleSums.fill(0)
        }
        self.inputGradient(
            outputGradient, input: input, memory, shiftSums: shiftSums, scaleSums: scaleSums,
            rows: input.values.count / input.shape.channels, into: inputGradient)
    }
}

extension LayerMemory {
    /// Mean and 1/√(variance + ε) of a batch.
    func moments(_ channels: Int) -> (mean: Floats, inverse: Floats) {
        (saved[0 ..< channels], saved[channels ..< 2 * channels])
    }

    /// ``batchStatistics`` += examples · (mean, unbiased variance), given Σ (x − mean)² over `rows` rows.
    func addStatistics(mean: Floats, squares: Floats, rows: Int, examples: Int) {
        guard !batchStatistics.isEmpty else { return }
        let means = batchStatistics[0], variances = batchStatistics[1]
        for channel in 0 ..< mean.count {
            means[channel] += Float(examples) * mean[channel]
            variances[channel] += Float(examples) * (squares[channel] / Float(max(rows - 1, 1)))
        }
    }
}
