import Kernels

/// A batch normalisation over all parts of a minibatch, on all ranks, as one batch: with mean and variance those of the
/// R rows of the whole minibatch, forward and backward, and running statistics of the same.
///
/// Forward shares Σ x and Σ x² of each channel and R, backward Σ dy and Σ dy · x̂ and R: see ``SharedMoments``.
public struct Synchronised<Single: BatchStatisticsLayer>: MinibatchLayer {
    /// The same of a single batch.
    public let single: Single

    public init(_ single: Single) { self.single = single }

    public var name: String { single.name }
    public func outputShape(for input: Shape) throws(ShapeError) -> Shape { try single.outputShape(for: input) }
    public func parameters(for input: Shape) -> [ParameterSpec] { single.parameters(for: input) }
    public func statistics(for input: Shape) -> [StatisticSpec] { single.statistics(for: input) }
    public func savedCount(for input: Shape, batch: Int) -> Int { single.savedCount(for: input, batch: batch) }
    public func scratchCount(for input: Shape, batch: Int) -> Int { single.scratchCount(for: input, batch: batch) }
    public func sharedCount(for input: Shape) -> Int { SharedMoments.count(for: input) }

    public func prepareForward(_ input: Batch, _ memory: LayerMemory) { SharedMoments.put(of: input, memory) }

    public func forward(_ input: Batch, into output: Batch, _ memory: LayerMemory, mode: Mode) {
        guard case .training = mode else { return single.forward(input, into: output, memory, mode: mode) }
        SharedMoments.take(for: input, epsilon: single.epsilon, memory)
        single.normalise(input, into: output, memory)
    }

    public func prepareBackward(_ outputGradient: Batch, input: Batch, _ memory: LayerMemory, parameterGradients: Bool)
    {
        let (shiftSums, scaleSums) = single.sumGradients(
            outputGradient, input: input, memory, parameterGradients: parameterGradients)
        SharedMoments.putGradients(shiftSums: shiftSums, scaleSums: scaleSums, of: input, memory)
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
        let (shiftSums, scaleSums, rows) = SharedMoments.takeGradients(for: input, memory)
        single.inputGradient(
            outputGradient, input: input, memory, shiftSums: shiftSums, scaleSums: scaleSums, rows: rows,
            into: inputGradient)
    }

    public func operators(
        _ x: OperatorValue, from input: Shape, in graph: any OperatorGraph
    ) -> OperatorValue? {
        single.operators(x, from: input, in: graph)
    }
}

extension Synchronised: ConditionalLayer where Single: ConditionalLayer {
    public var condition: Condition { single.condition }
}

/// What the parts of a minibatch that is normalised as one put down and take up: two sums a channel, then the number
/// of rows.
///
/// The squares are those around the part's own mean, moved to zero in Double, where the variance that is taken from
/// them keeps the digits that it has around the mean in Float.
private enum SharedMoments {
    static func count(for input: Shape) -> Int { 2 * input.channels + 1 }

    /// Σ x, Σ x² and R of a part.
    static func put(of input: Batch, _ memory: LayerMemory) {
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

    /// Puts mean and 1/√(variance + ε) of all parts in saved memory; adds to the batch's statistics.
    static func take(for input: Batch, epsilon: Float, _ memory: LayerMemory) {
        let totals = memory.sharedPart.totals, channels = input.shape.channels, rows = totals[2 * channels]
        let (mean, inverse) = memory.moments(channels)
        let squares = memory.scratch[0 ..< channels], variance = memory.scratch[channels ..< 2 * channels]
        for channel in 0 ..< channels {
            let exact = totals[channel] / rows
            // Rounding may leave a channel that does not vary just below zero.
            let sum = max(totals[channels + channel] - rows * exact * exact, 0)
            mean[channel] = Float(exact)
            squares[channel] = Float(sum)
            variance[channel] = Float(sum / rows)
        }
        memory.addStatistics(mean: mean, squares: squares, rows: Int(rows), examples: input.count)
        Normalisation.inverseDeviation(variance: variance, epsilon: epsilon, into: inverse)
    }

    /// The sums of a part's gradients, and its rows.
    static func putGradients(shiftSums: Floats, scaleSums: Floats, of input: Batch, _ memory: LayerMemory) {
        let shared = memory.sharedPart, channels = input.shape.channels
        for channel in 0 ..< channels {
            shared.put(Double(shiftSums[channel]), at: channel)
            shared.put(Double(scaleSums[channel]), at: channels + channel)
        }
        shared.put(Double(input.values.count / channels), at: 2 * channels)
    }

    /// Those of all parts, in scratch memory.
    static func takeGradients(
        for input: Batch, _ memory: LayerMemory
    ) -> (shiftSums: Floats, scaleSums: Floats, rows: Int) {
        let totals = memory.sharedPart.totals, channels = input.shape.channels
        let shiftSums = memory.scratch[0 ..< channels], scaleSums = memory.scratch[channels ..< 2 * channels]
        for channel in 0 ..< channels {
            shiftSums[channel] = Float(totals[channel])
            scaleSums[channel] = Float(totals[channels + channel])
        }
        return (shiftSums, scaleSums, Int(totals[2 * channels]))
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
