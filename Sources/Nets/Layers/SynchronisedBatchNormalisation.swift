import Kernels

/// Batch normalisation over all parts of a minibatch, on all ranks, as one batch: ``BatchNormalisation`` with mean
/// and variance those of the R rows of the whole minibatch, forward and backward, and running statistics of the same.
///
/// Forward shares Σ x and Σ x² of each channel and R, backward Σ dy and Σ dy · x̂ and R. The squares are those around
/// the part's own mean, moved to zero in Double, where the variance that is taken from them keeps the digits that it
/// has around the mean in Float.
public struct SynchronisedBatchNormalisation: MinibatchLayer {
    /// The same of a single batch.
    public let single: BatchNormalisation

    public init(epsilon: Float = 1e-5, momentum: Float = 0.1) {
        single = BatchNormalisation(epsilon: epsilon, momentum: momentum)
    }

    public var name: String { single.name }
    public func outputShape(for input: Shape) throws(ShapeError) -> Shape { try single.outputShape(for: input) }
    public func parameters(for input: Shape) -> [ParameterSpec] { single.parameters(for: input) }
    public func statistics(for input: Shape) -> [StatisticSpec] { single.statistics(for: input) }
    public func savedCount(for input: Shape, batch: Int) -> Int { single.savedCount(for: input, batch: batch) }
    public func scratchCount(for input: Shape, batch: Int) -> Int { single.scratchCount(for: input, batch: batch) }

    /// Two sums a channel, then the number of rows.
    public func sharedCount(for input: Shape) -> Int { 2 * input.channels + 1 }

    public func prepareForward(_ input: Batch, _ memory: LayerMemory) {
        let shared = memory.sharedPart, channels = input.shape.channels, rows = input.values.count / channels
        let mean = memory.scratch[0 ..< channels], squares = memory.scratch[channels ..< 2 * channels]
        Normalisation.sum(input.values, channels: channels, into: mean)
        for channel in 0 ..< channels { mean[channel] /= Float(rows) }
        Normalisation.sumSquares(input.values, around: mean, into: squares)
        for channel in 0 ..< channels {
            let mean = Double(mean[channel])
            shared.put(Double(rows) * mean, at: channel)
            shared.put(Double(squares[channel]) + Double(rows) * mean * mean, at: channels + channel)
        }
        shared.put(Double(rows), at: 2 * channels)
    }

    public func forward(_ input: Batch, into output: Batch, _ memory: LayerMemory, mode: Mode) {
        guard case .training = mode else { return single.forward(input, into: output, memory, mode: mode) }
        let totals = memory.sharedPart.totals, channels = input.shape.channels, rows = totals[2 * channels]
        let mean = memory.saved[0 ..< channels], inverse = memory.saved[channels ..< 2 * channels]
        let squares = memory.scratch[0 ..< channels], variance = memory.scratch[channels ..< 2 * channels]
        for channel in 0 ..< channels {
            let exact = totals[channel] / rows
            // Rounding may leave a channel that does not vary just below zero.
            let sum = max(totals[channels + channel] - rows * exact * exact, 0)
            mean[channel] = Float(exact)
            squares[channel] = Float(sum)
            variance[channel] = Float(sum / rows)
        }
        BatchNormalisation.addStatistics(
            mean: mean, squares: squares, rows: Int(rows), examples: input.count, to: memory.batchStatistics)
        Normalisation.inverseDeviation(variance: variance, epsilon: single.epsilon, into: inverse)
        Normalisation.normalise(
            input.values, mean: mean, inverse: inverse,
            scale: memory.parameters[0], shift: memory.parameters[1], slope: single.slope, into: output.values)
    }

    public func prepareBackward(_ outputGradient: Batch, input: Batch, _ memory: LayerMemory, parameterGradients: Bool)
    {
        let shared = memory.sharedPart, channels = input.shape.channels
        let (shiftSums, scaleSums) = single.sumGradients(
            outputGradient, input: input, memory, parameterGradients: parameterGradients)
        for channel in 0 ..< channels {
            shared.put(Double(shiftSums[channel]), at: channel)
            shared.put(Double(scaleSums[channel]), at: channels + channel)
        }
        shared.put(Double(input.values.count / channels), at: 2 * channels)
    }

    public func backward(
        _ outputGradient: Batch, input: Batch, output: Batch,
        into inputGradient: Batch?, _ memory: LayerMemory, parameterGradients: Bool
    ) {
        if memory.isSampling {
            return single.backward(
                outputGradient, input: input, output: output, into: inputGradient, memory,
                parameterGradients: parameterGradients)
        }
        guard let inputGradient else { return }
        let totals = memory.sharedPart.totals, channels = input.shape.channels
        let shiftSums = memory.scratch[0 ..< channels], scaleSums = memory.scratch[channels ..< 2 * channels]
        for channel in 0 ..< channels {
            shiftSums[channel] = Float(totals[channel])
            scaleSums[channel] = Float(totals[channels + channel])
        }
        single.inputGradient(
            outputGradient, input: input, memory, shiftSums: shiftSums, scaleSums: scaleSums,
            rows: Int(totals[2 * channels]), into: inputGradient)
    }

    public func operators(
        _ x: OperatorValue, from input: Shape, in graph: any OperatorGraph
    ) -> OperatorValue? {
        single.operators(x, from: input, in: graph)
    }
}

extension LayerMemory {
    fileprivate var sharedPart: SharedPart {
        guard let shared else {
            preconditionFailure("layer \(layer): a network that was built without sums cannot train it")
        }
        return shared
    }
}
