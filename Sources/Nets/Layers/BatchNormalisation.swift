import Kernels
import Support

/// y = scale · x̂ + shift, x̂ = (x − mean) / √(variance + ε), per channel: Ioffe & Szegedy 2015, Algorithm 1.
///
/// In training mean and variance are those of the batch over its R = N · H · W rows (variance with 1/R); in sampling
/// the running ones. The running variance follows the unbiased estimate (1/(R − 1)), as in PyTorch. For C channels:
/// `scale` [C], `shift` [C], statistics `mean` [C], `variance` [C]. A batch of a single row has no variance: its
/// output is the shift.
public struct BatchNormalisation: BatchStatisticsLayer {
    public let epsilon: Float
    /// The share of a step's statistics in the running ones.
    public let momentum: Float

    /// Of the (leaky) ReLU that is applied to y in the same pass through memory; 1: none.
    let slope: Float

    public init(epsilon: Float = 1e-5, momentum: Float = 0.1) {
        self.init(epsilon: epsilon, momentum: momentum, slope: 1)
    }

    private init(epsilon: Float, momentum: Float, slope: Float) {
        self.epsilon = epsilon
        self.momentum = momentum
        self.slope = slope
    }

    public func applying(_ next: any Layer, to input: Shape) -> (any Layer)? {
        switch next {
        case is ReLU: Self(epsilon: epsilon, momentum: momentum, slope: 0)
        case let next as LeakyReLU: Self(epsilon: epsilon, momentum: momentum, slope: next.slope)
        default: nil
        }
    }

    public var name: String { "batch_normalisation" }

    public func outputShape(for input: Shape) throws(ShapeError) -> Shape {
        guard epsilon > 0 && epsilon.isFinite else { throw ShapeError("`epsilon` must be positive, not \(epsilon)") }
        guard momentum >= 0 && momentum <= 1 else { throw ShapeError("`momentum` must be in 0 ... 1, not \(momentum)") }
        return input
    }

    public func parameters(for input: Shape) -> [ParameterSpec] {
        let channels = input.channels
        return [
            ParameterSpec("scale", [channels], layout: "C", initialiser: .constant(1), fanIn: 1, fanOut: 1),
            ParameterSpec("shift", [channels], layout: "C", initialiser: .zero, fanIn: 1, fanOut: 1),
        ]
    }

    public func statistics(for input: Shape) -> [StatisticSpec] {
        [
            StatisticSpec("mean", count: input.channels, initial: 0, momentum: momentum),
            StatisticSpec("variance", count: input.channels, initial: 1, momentum: momentum),
        ]
    }

    /// Two sums a channel in backward, and what they are made of in forward.
    public func scratchCount(for input: Shape, batch: Int) -> Int { 3 * input.channels }

    public func normalise(_ input: Batch, into output: Batch, _ memory: LayerMemory) {
        let (mean, inverse) = memory.moments(input.shape.channels)
        Normalisation.normalise(
            input.values, mean: mean, inverse: inverse,
            scale: memory.parameters[0], shift: memory.parameters[1], slope: slope, into: output.values)
    }

    /// Σ dy and Σ dy · x̂ of each channel, in scratch memory; added to the parameters' gradients where those are
    /// wanted.
    public func sumGradients(
        _ outputGradient: Batch, input: Batch, _ memory: LayerMemory, parameterGradients: Bool
    ) -> (shiftSums: Floats, scaleSums: Floats) {
        let channels = input.shape.channels
        let shiftSums = memory.scratch[0 ..< channels], scaleSums = memory.scratch[channels ..< 2 * channels]
        Normalisation.sumGradients(
            outputGradient.values, input: input.values, mean: memory.saved[0 ..< channels],
            inverse: memory.saved[channels ..< 2 * channels], scale: memory.parameters[0],
            shift: memory.parameters[1], slope: slope, shiftSums: shiftSums, scaleSums: scaleSums)
        if parameterGradients {
            Reductions.add(scaleSums, to: memory.gradientToAdd(0))
            Reductions.add(shiftSums, to: memory.gradientToAdd(1))
        }
        return (shiftSums, scaleSums)
    }

    public func inputGradient(
        _ outputGradient: Batch, input: Batch, _ memory: LayerMemory, shiftSums: Floats, scaleSums: Floats,
        rows: Int, into inputGradient: Batch
    ) {
        let channels = input.shape.channels
        Normalisation.inputGradient(
            outputGradient.values, input: input.values, mean: memory.saved[0 ..< channels],
            inverse: memory.saved[channels ..< 2 * channels], scale: memory.parameters[0],
            shift: memory.parameters[1], slope: slope, shiftSums: shiftSums, scaleSums: scaleSums, rows: rows,
            into: inputGradient.values)
    }

    public func operators(
        _ x: OperatorValue, from input: Shape, in graph: any OperatorGraph
    ) -> OperatorValue? {
        graph.node(
            "BatchNormalization",
            [x, graph.parameter(0), graph.parameter(1), graph.statistic(0), graph.statistic(1)],
            ["epsilon": .float(epsilon)])
    }
}

/// With `statistics: shard`, the usual, each shard is normalised alone, with `minibatch` all of them together.
func batchNormalisation(_ settings: any LayerSettings) throws(Failure) -> any Layer {
    let (epsilon, momentum, scope) = try normalisationSettings(settings)
    return switch scope {
    case .shard: BatchNormalisation(epsilon: epsilon, momentum: momentum)
    case .minibatch: Synchronised(BatchNormalisation(epsilon: epsilon, momentum: momentum))
    }
}

/// What every batch normalisation asks for.
func normalisationSettings(
    _ settings: any LayerSettings
) throws(Failure) -> (epsilon: Float, momentum: Float, scope: StatisticsScope) {
    let epsilon = Float(try settings.number("epsilon", default: 1e-5, 1e-12 ... 1, meaning: "added to the variance"))
    let momentum = Float(
        try settings.number(
            "momentum", default: 0.1, 0 ... 1,
            meaning: "the share of a step's mean and variance in the running ones, which sampling uses"))
    let scope = try settings.choice(
        "statistics", default: StatisticsScope.shard,
        meaning: "over which examples: each shard's, or the whole minibatch's on all ranks")
    return (epsilon, momentum, scope)
}

enum StatisticsScope: String, CaseIterable { case shard, minibatch }

extension Network {
    /// The first layer that would normalise a single value a channel, which has no variance, where the smallest part
    /// of a minibatch of `batch` examples has `fewest`.
    public func layerWithoutVariance(fewest: Int, batch: Int) -> NetworkNode? {
        zip(nodes, inputShapes).first { node, input in
            let pixels = input.count / input.channels
            return switch node.layer {
            case is BatchNormalisation, is ConditionalBatchNormalisation: fewest * pixels < 2
            case is Synchronised<BatchNormalisation>, is Synchronised<ConditionalBatchNormalisation>: batch * pixels < 2
            default: false
            }
        }?.0
    }
}
