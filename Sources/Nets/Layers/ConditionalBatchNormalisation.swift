import Kernels
import Support

/// y = scale[c] · x̂ + shift[c], x̂ = (x − mean) / √(variance + ε) per channel: batch normalisation with a scale and a
/// shift a class (Dumoulin et al. 2017, arXiv:1610.07629, eq. 5; de Vries et al. 2017).
///
/// N examples, C channels: x and y [N, …, C], c the class of the example, `scale` and `shift` [classes, C]. Mean and
/// variance are those of all rows of a shard, whatever their classes; statistics as in ``BatchNormalisation``.
public struct ConditionalBatchNormalisation: BatchStatisticsLayer, ConditionalLayer {
    public let condition: Condition
    public let epsilon: Float
    /// The share of a step's statistics in the running ones.
    public let momentum: Float

    public init(of condition: Condition, epsilon: Float = 1e-5, momentum: Float = 0.1) {
        (self.condition, self.epsilon, self.momentum) = (condition, epsilon, momentum)
    }

    public var name: String { "conditional_batch_normalisation" }

    private var single: BatchNormalisation { BatchNormalisation(epsilon: epsilon, momentum: momentum) }

    public func outputShape(for input: Shape) throws(ShapeError) -> Shape { try single.outputShape(for: input) }

    public func parameters(for input: Shape) -> [ParameterSpec] {
        [("scale", Initialiser.constant(1)), ("shift", .zero)].map {
            condition.table($0.0, size: input.channels, initialiser: $0.1, layout: "NC")
        }
    }

    public func statistics(for input: Shape) -> [StatisticSpec] { single.statistics(for: input) }

    /// Two sums of the batch a channel, two of an example, and ones.
    public func scratchCount(for input: Shape, batch: Int) -> Int { 5 * input.channels }

    public func normalise(_ input: Batch, into output: Batch, _ memory: LayerMemory) {
        let channels = input.shape.channels
        let (mean, inverse) = memory.moments(channels)
        for number in 0 ..< input.count {
            let range = parameters(of: number, memory, channels)
            Normalisation.normalise(
                input[number], mean: mean, inverse: inverse, scale: memory.parameters[0][range],
                shift: memory.parameters[1][range], slope: 1, into: output[number])
        }
    }

    /// Σ g and Σ g · x̂ of each channel, g = scale[c] · dy, in scratch memory. Σ dy and Σ dy · x̂ of each example are
    /// added to the gradients of the tables' rows where those are wanted.
    public func sumGradients(
        _ outputGradient: Batch, input: Batch, _ memory: LayerMemory, parameterGradients: Bool
    ) -> (shiftSums: Floats, scaleSums: Floats) {
        let channels = input.shape.channels
        let (mean, inverse) = memory.moments(channels)
        let shiftSums = scratch(0, memory, channels), scaleSums = scratch(1, memory, channels)
        let ofShift = scratch(2, memory, channels), ofScale = scratch(3, memory, channels)
        let targets = parameterGradients ? (scale: memory.gradientToAdd(0), shift: memory.gradientToAdd(1)) : nil
        shiftSums.fill(0)
        scaleSums.fill(0)
        for number in 0 ..< input.count {
            let range = parameters(of: number, memory, channels), scale = memory.parameters[0][range]
            // With a slope of 1 scale and shift decide nothing here.
            Normalisation.sumGradients(
                outputGradient[number], input: input[number], mean: mean, inverse: inverse, scale: scale, shift: scale,
                slope: 1, shiftSums: ofShift, scaleSums: ofScale)
            if let targets {
                Reductions.add(ofScale, to: targets.scale[range])
                Reductions.add(ofShift, to: targets.shift[range])
            }
            for channel in 0 ..< channels {
                shiftSums[channel] += scale[channel] * ofShift[channel]
                scaleSums[channel] += scale[channel] * ofScale[channel]
            }
        }
        return (shiftSums, scaleSums)
    }

    /// dx = (g − mean g − x̂ · mean (g x̂)) / √(variance + ε), given the sums over the `rows` rows that mean and
    /// variance were taken over.
    public func inputGradient(
        _ outputGradient: Batch, input: Batch, _ memory: LayerMemory, shiftSums: Floats, scaleSums: Floats, rows: Int,
        into inputGradient: Batch
    ) {
        let channels = input.shape.channels
        let (mean, inverse) = memory.moments(channels)
        for number in 0 ..< input.count {
            let scale = memory.parameters[0][parameters(of: number, memory, channels)]
            let gradient = outputGradient[number], target = inputGradient[number]
            for start in stride(from: 0, to: gradient.count, by: channels) {
                for channel in 0 ..< channels { target[start + channel] = gradient[start + channel] * scale[channel] }
            }
        }
        let ones = scratch(4, memory, channels)
        ones.fill(1)
        Normalisation.inputGradient(
            inputGradient.values, input: input.values, mean: mean, inverse: inverse, scale: ones, shift: ones, slope: 1,
            shiftSums: shiftSums, scaleSums: scaleSums, rows: rows, into: inputGradient.values)
    }

    private func scratch(_ number: Int, _ memory: LayerMemory, _ channels: Int) -> Floats {
        memory.scratch[number * channels ..< (number + 1) * channels]
    }

    /// Where the scale and the shift of an example lie in their tables.
    private func parameters(of number: Int, _ memory: LayerMemory, _ channels: Int) -> Range<Int> {
        var range = 0 ..< 0
        condition.forEachTerm(of: number, in: memory.condition) { row, _ in
            range = row * channels ..< (row + 1) * channels
        }
        return range
    }

    public func operators(
        _ x: OperatorValue, from input: Shape, in graph: any OperatorGraph
    ) -> OperatorValue? {
        let channels = input.channels
        func shaped(_ value: OperatorValue, _ first: [Int]) -> OperatorValue {
            input.isImage ? graph.node("Reshape", [value, graph.constant(first + [channels, 1, 1])]) : value
        }
        let epsilon = graph.node("Constant", [], ["value_float": .float(epsilon)])
        let deviation = graph.node("Sqrt", [graph.node("Add", [graph.statistic(1), epsilon])])
        let centred = graph.node("Sub", [x, shaped(graph.statistic(0), [])])
        let normalised = graph.node("Div", [centred, shaped(deviation, [])])
        let scale = shaped(condition.embedding(graph.parameter(0), in: graph), [0])
        let shift = shaped(condition.embedding(graph.parameter(1), in: graph), [0])
        return graph.node("Add", [graph.node("Mul", [normalised, scale]), shift])
    }
}

/// With `statistics: shard`, the usual, each shard is normalised alone, with `minibatch` all of them together.
func conditionalBatchNormalisation(_ settings: any LayerSettings) throws(Failure) -> any Layer {
    let (epsilon, momentum, scope) = try normalisationSettings(settings)
    let condition = try settings.condition(classesOnly: true)
    return switch scope {
    case .shard: ConditionalBatchNormalisation(of: condition, epsilon: epsilon, momentum: momentum)
    case .minibatch:
        Synchronised(ConditionalBatchNormalisation(of: condition, epsilon: epsilon, momentum: momentum))
    }
}
