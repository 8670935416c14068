import Kernels

/// Whether a network learns or is only asked.
public enum Mode: Sendable {
    /// Dropout drops, batch normalisation uses the batch's own statistics.
    case training(Draws)
    /// Dropout passes everything, batch normalisation uses the running statistics.
    case sampling
}

/// One parameter of a layer: what the store makes room for and how it starts.
public struct ParameterSpec: Sendable {
    /// `weight`, `bias`, `scale`, `shift`.
    public let name: String
    public let dimensions: [Int]
    /// Names of the dimensions, as stored beside the values in a checkpoint: `IO`, `HWIO`, `HWOI`, `C`.
    public let layout: String
    public let initialiser: Initialiser
    /// Values that feed one output, and outputs that one input feeds: what He and Glorot scale by.
    public let fanIn: Int
    public let fanOut: Int
    /// Whether the layer computes with W / σ(W): see ``SpectralNormalisation``.
    public let isSpectral: Bool
    /// How the values lie in memory; nil: in the order of the dimensions.
    public let panels: WeightPanels?

    public init(
        _ name: String, _ dimensions: [Int], layout: String, initialiser: Initialiser, fanIn: Int, fanOut: Int,
        isSpectral: Bool = false, panels: WeightPanels? = nil
    ) {
        self.name = name
        self.dimensions = dimensions
        self.layout = layout
        self.initialiser = initialiser
        self.fanIn = fanIn
        self.fanOut = fanOut
        self.isSpectral = isSpectral
        self.panels = panels
    }

    public var count: Int { dimensions.reduce(1, *) }
}

/// Running statistics of a layer, which no gradient changes: what the store makes room for and how they follow the
/// batches.
public struct StatisticSpec: Sendable {
    /// `mean`, `variance`.
    public let name: String
    public let count: Int
    public let initial: Float
    /// The share of a step's average in running ← (1 − momentum) · running + momentum · average.
    public let momentum: Float

    public init(_ name: String, count: Int, initial: Float, momentum: Float) {
        self.name = name
        self.count = count
        self.initial = initial
        self.momentum = momentum
    }
}

/// One layer's parts of a flat buffer, one a ``ParameterSpec`` or ``StatisticSpec``, in their order.
public struct Parts {
    let buffer: Floats
    let ranges: [Range<Int>]

    public subscript(index: Int) -> Floats { buffer[ranges[index]] }
    public var isEmpty: Bool { buffer.count == 0 }
}

/// The memory a layer is lent for one call; it owns none.
public struct LayerMemory {
    public let parameters: Parts
    /// Of the same layout. Empty where the network is frozen.
    public let gradients: Parts
    /// Whether backward adds to ``gradients`` or overwrites them.
    public let addsGradients: Bool
    /// Running statistics (batch normalisation's mean and variance), in the order of ``Layer/statistics(for:)``.
    public let statistics: Parts
    /// Where a forward in training adds n · (this batch's statistics), n its examples; empty where nobody wants them.
    public let batchStatistics: Parts
    /// Kept from forward to the backward that follows.
    public let saved: Floats
    /// For use within one call; shared by all layers.
    public let scratch: Floats
    /// The layer's number in its network: part of the key of its random draws.
    public let layer: Int
    /// In the parameters' gradient of ``TangentLayer/tangentGradients(_:tangent:input:output:_:)``: one an example.
    /// Empty elsewhere.
    public let rowWeights: Floats
    /// What stands beside the part's rows: ``Condition/width`` numbers for each; none where a forward was given none.
    public let condition: Floats
    /// Whether the last forward was in sampling: backward then is that of dropout that passes everything and of
    /// running statistics, which do not depend on the batch.
    public let isSampling: Bool
    /// What the part at hand shares with the others of its minibatch; nil in sampling and for layers that treat each
    /// part alone.
    public let shared: SharedPart?
    /// What runs as one.
    let parts: ArraySlice<BatchPart>

    /// Gradient of parameter `index` for a backward that only adds (`+=`) to it: filled with zeros first where
    /// ``addsGradients`` says that it is to be overwritten. For parameters so few that a further pass over them costs
    /// nothing. Once a call of backward, and only where parameter gradients are wanted.
    public func gradientToAdd(_ index: Int) -> Floats {
        if !addsGradients { gradients[index].fill(0) }
        return gradients[index]
    }

    /// Makes the gradient of parameter `index`, which is added to every row of the output: db (+)= Σ_n dy_n, or
    /// Σ_n w_n dy_n with ``rowWeights``. Part by part, for the slopes of real and of generated examples may be
    /// opposite, and few sums then cancel to the bit: ``Reductions/addColumnSums(of:columns:to:)``.
    func addBiasGradient(_ outputGradient: Floats, _ index: Int) {
        let gradient = gradientToAdd(index), first = parts.first!.rows.lowerBound
        let ofRow = outputGradient.count / (parts.last!.rows.upperBound - first)
        for part in parts {
            let rows = part.rows.lowerBound - first ..< part.rows.upperBound - first
            let slopes = outputGradient[rows.lowerBound * ofRow ..< rows.upperBound * ofRow]
            if rowWeights.count == 0 {
                Reductions.addColumnSums(of: slopes, columns: gradient.count, to: gradient)
            } else {
                Reductions.addColumnSums(of: slopes, times: rowWeights[rows], to: gradient)
            }
        }
    }
}

/// Numbers of each part of a minibatch, and their sums over all parts, those of other ranks too.
public protocol SharedSums: AnyObject {
    /// Number `index` of a part of this rank.
    subscript(part: Int, index: Int) -> Double { get set }
    /// Adds up over all parts. Every rank calls it together.
    func sum() throws
    /// What the last ``sum()`` came to.
    var totals: [Double] { get }
}

/// One part's view of ``SharedSums``.
public struct SharedPart {
    let sums: any SharedSums
    let part: Int

    /// Puts down a number of this part.
    public func put(_ value: Double, at index: Int) { sums[part, index] = value }
    /// The sums over all parts, once all have been put down.
    public var totals: [Double] { sums.totals }
}

/// Where a network puts the output of a layer.
public enum OutputMemory: Sendable {
    /// In memory of its own.
    case own
    /// Over the input where nothing reads that again: value i of the output depends on value i of the input alone,
    /// the same holds for the gradients, and backward does not read the input.
    case overInput
    /// The output *is* the input, under another shape.
    case input
}

/// A differentiable map applied to each example of a batch. It describes; it owns no memory.
///
/// Forward and backward overwrite the output and the input gradient, and overwrite or add to parameter gradients, as
/// ``LayerMemory/addsGradients`` says. Backward changes nothing that forward left, so that several gradients can be
/// taken back through one forward.
public protocol Layer: Sendable {
    /// The name in the configuration and in a checkpoint: `dense`, `convolution`.
    var name: String { get }
    var outputMemory: OutputMemory { get }
    /// Backward reads the output, so the next layer may not write over it.
    var backwardReadsOutput: Bool { get }
    /// Whether the halves of a shard run through it as one: nothing is drawn or shared among rows, what is saved lies
    /// row by row, and one product of more rows costs less than two.
    var joinsParts: Bool { get }
    /// This layer followed by `next`, as one layer of `input`, where that usually takes less; of the two only one has
    /// parameters, which are those of both.
    func applying(_ next: any Layer, to input: Shape) -> (any Layer)?
    /// Throws where `input` does not fit or the layer's own settings are impossible, saying what it wants.
    func outputShape(for input: Shape) throws(ShapeError) -> Shape
    func parameters(for input: Shape) -> [ParameterSpec]
    func statistics(for input: Shape) -> [StatisticSpec]
    /// Values of ``LayerMemory/saved`` for a batch of at most `batch`.
    func savedCount(for input: Shape, batch: Int) -> Int
    func scratchCount(for input: Shape, batch: Int) -> Int
    /// What computes its products, for benchmarks; nil where it has none, or one way alone.
    func algorithm(for input: Shape, batch: Int) -> String?
    func forward(_ input: Batch, into output: Batch, _ memory: LayerMemory, mode: Mode)
    /// `inputGradient` nil: not wanted. `parameterGradients` false: the network is frozen.
    func backward(
        _ outputGradient: Batch, input: Batch, output: Batch,
        into inputGradient: Batch?, _ memory: LayerMemory, parameterGradients: Bool)
    /// Adds the layer, as it is in sampling, to a graph of ONNX operators, where `x` is its input; returns its output.
    /// Nil where ONNX has no form of it.
    func operators(_ x: OperatorValue, from input: Shape, in graph: any OperatorGraph) -> OperatorValue?
}

/// A layer that treats all parts of a minibatch, wherever they are computed, as one batch.
///
/// In training every part first puts down a few numbers; when those of all parts of all ranks have been summed,
/// `forward` or `backward` is called for each part and finds the sums in ``LayerMemory/shared``.
public protocol MinibatchLayer: Layer {
    /// How many numbers a part puts down, in forward and in backward alike.
    func sharedCount(for input: Shape) -> Int
    func prepareForward(_ input: Batch, _ memory: LayerMemory)
    func prepareBackward(_ outputGradient: Batch, input: Batch, _ memory: LayerMemory, parameterGradients: Bool)
}

extension Layer {
    public var outputMemory: OutputMemory { .own }
    public var backwardReadsOutput: Bool { false }
    public var joinsParts: Bool { false }
    public func applying(_ next: any Layer, to input: Shape) -> (any Layer)? { nil }
    public func parameters(for input: Shape) -> [ParameterSpec] { [] }
    public func statistics(for input: Shape) -> [StatisticSpec] { [] }
    public func savedCount(for input: Shape, batch: Int) -> Int { 0 }
    public func scratchCount(for input: Shape, batch: Int) -> Int { 0 }
    public func algorithm(for input: Shape, batch: Int) -> String? { nil }
    public func operators(_ x: OperatorValue, from input: Shape, in graph: any OperatorGraph) -> OperatorValue? { nil }
}
