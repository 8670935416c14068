import Kernels

/// Layers, their parameters, and all the memory that the batches need.
///
/// A list of layers is computed as a list of nodes (``NetworkNode``), each a layer with the numbers of the values that
/// it reads. A batch is run whole, or in parts (``BatchPart``) of at most ``capacity`` examples each: then every node
/// is run part by part before the next one, or the halves of a shard as one where ``Layer/joinsParts``.
///
/// The network does not own the values that it computes with: forward and backward take the vector of parameters, of
/// the layout of ``store``. Everything is planned when the network is built;
/// ``forward(_:parameters:mode:parts:batchStatistics:conditions:)`` and
/// ``backward(from:parameters:into:adding:only:inputGradient:ready:)`` allocate nothing. Each forward overwrites what
/// the one before left.
public final class Network {
    public let name: String
    public let nodes: [NetworkNode]
    public let inputShape: Shape
    public let outputShape: Shape
    /// Examples in a part of a batch, at most.
    public let capacity: Int
    /// Shards that a batch holds, at most: each has a gradient of its own.
    public let shards: Int
    /// Halves of a shard, each of at most ``capacity`` examples: 1; 2, real and generated; or up to 4 with what
    /// penalties alone look at.
    public let halves: Int
    /// Whether it has memory for backward.
    public let isTrained: Bool
    public let store: ParameterStore
    /// What its layers are conditioned on; nil where none is.
    public let condition: Condition?

    private let joined: JoinedLayers
    let plans: [LayerPlan]
    let outputPlan: OutputPlan
    let activations: FloatBuffer
    let scratch: FloatBuffer
    /// Of each value, whether it depends on parameters.
    let leadsToParameters: [Bool]
    let gradientPlan: GradientPlan
    /// Where the network was built for penalties.
    let penaltyPlan: PenaltyPlan?
    /// Of the activations, for the passes backward.
    let gradients: FloatBuffer
    /// What there is of each value since the last forward.
    private var values: [Floats]
    /// What stood beside the rows of the last forward.
    private var conditions = Floats.none
    private var lastWasTraining = false
    private(set) var lastParts: [BatchPart] = []
    private(set) var lastCount = 0

    /// The layers of the nodes.
    public var layers: [any Layer] { nodes.map(\.layer) }

    /// The nodes' layers as they are computed: neighbours may be one.
    public var computed: [any Layer] { joined.layers }

    /// The nodes that are computed in the place of node `number`, in their order: itself, a neighbour with it, or none.
    public func nodesComputed(at number: Int) -> [Int] { joined.nodesComputed(at: number) }

    /// The shape of each node's input, of a sum's both.
    public let inputShapes: [Shape]

    /// The shape of each node's output.
    public let outputShapes: [Shape]

    /// Throws where a layer cannot take the output of the one before: `generator: layer 3 (dense): its input is …`;
    /// within a residual it is layer `3.residual.body.0`.
    ///
    /// `sums` makes the sums of so many numbers over all shards of a minibatch, for each ``MinibatchLayer`` and half;
    /// a network without cannot train those layers. `penalised`: whether its batches may have penalised parts, which
    /// takes memory of its own; every layer must then be a ``TangentLayer``. `isTrained` false: it only samples.
    /// `memory`: for the store's values. `store`: that of a network of the same layers but for some without
    /// parameters, whose values this one shares.
    public init(
        _ layers: [any Layer], input: Shape, capacity: Int, shards: Int = 1, halves: Int = 1, name: String,
        penalised: Bool = false, isTrained: Bool = true, values memory: FloatBuffer? = nil,
        store shared: ParameterStore? = nil,
        sums: ((Int) -> any SharedSums)? = nil
    ) throws(ShapeError) {
        precondition(
            capacity > 0 && shards > 0 && halves > 0,
            "\(name): planned for batches of \(shards) × \(halves) × \(capacity)")
        guard !layers.isEmpty else { throw ShapeError("\(name): it has no layers") }
        let nodes = NetworkNode.list(of: layers)
        self.name = name
        self.nodes = nodes
        self.capacity = capacity
        self.shards = shards
        self.halves = halves
        self.isTrained = isTrained
        inputShape = input

        let shapes = try Self.shapes(of: nodes, input: input, name: name), rows = capacity * shards * halves
        outputShape = shapes[nodes.count]
        inputShapes = nodes.map { shapes[$0.inputs[0]] }
        outputShapes = Array(shapes.dropFirst())
        store = shared ?? ParameterStore(nodes, shapes: shapes, in: memory)
        condition = layers.conditions.first?.condition
        joined = try JoinedLayers(nodes, shapes: shapes)
        let computed = joined.layers, shapesOfValues = joined.shapes
        outputPlan = OutputPlan(nodes, computed: computed, shapes: shapesOfValues, rows: rows, isTrained: isTrained)
        activations = FloatBuffer(count: outputPlan.layout.count)
        plans = Self.plan(
            nodes, computed, shapes: shapesOfValues, outputPlan, in: activations.values, capacity: capacity,
            parts: shards * halves, halves: halves, store: store, sums: sums)
        let hasParameters = plans.map { $0.parameterStart != nil }
        leadsToParameters = nodes.indices.reduce(into: [false]) { leads, number in
            leads.append(hasParameters[number] || nodes[number].inputs.contains { leads[$0] })
        }
        let planner = GradientPlanner(
            nodes, computed: computed, shapes: shapesOfValues, rows: rows, leadsToParameters: leadsToParameters)
        gradientPlan = GradientPlan(planner)
        penaltyPlan =
            penalised
            ? PenaltyPlan(
                try Self.tangentLayers(nodes, computed: computed, name: name), planner, hasParameters: hasParameters)
            : nil
        gradients = FloatBuffer(
            count: isTrained ? max(gradientPlan.layout.count, penaltyPlan?.layout.count ?? 0) : 0)
        values = Array(repeating: .none, count: nodes.count + 1)
        lastParts.reserveCapacity(shards * halves)
        // A smaller batch may need more: it is computed in another form, or in fewer blocks.
        let counts = zip(computed, plans).flatMap { layer, plan in
            (1 ... (layer.joinsParts ? capacity * halves : capacity)).map {
                layer.scratchCount(for: plan.input, batch: $0)
            }
        }
        scratch = FloatBuffer(count: counts.max()!)
    }

    /// The output for `input`, valid until the next forward. `input` itself must stay as it is until the last backward.
    ///
    /// - Parameters:
    ///   - parameters: of the store's layout.
    ///   - parts: in order and without gaps; nil: the batch is run whole.
    ///   - batchStatistics: where in training layers with running statistics add n · (the part's statistics), in the
    ///     store's layout, for each part one after another: average it over all shards, then
    ///     ``ParameterStore/applyStatistics(_:samples:)``. Nil: nobody wants them.
    ///   - conditions: ``Condition/width`` numbers for each row, for every ``ConditionalLayer``; they must stay as
    ///     `input` must. None where no layer asks for them.
    ///
    /// Throws what ``SharedSums/sum()`` throws, and nothing else.
    public func forward(
        _ input: Batch, parameters: Floats, mode: Mode, parts: [BatchPart]? = nil, batchStatistics: Floats? = nil,
        conditions: Floats = .none
    ) throws -> Batch {
        precondition(input.shape == inputShape, "\(name): a batch of \(input.shape) where \(inputShape) was planned")
        precondition(input.count > 0, "\(name): an empty batch")
        precondition(
            parameters.count == store.count, "\(name): \(parameters.count) parameters where it has \(store.count)")
        precondition(
            condition.map { $0.width * input.count == conditions.count } ?? true,
            "\(name): \(conditions.count) numbers of conditions for \(input.count) examples")
        divide(input.count, into: parts, mode)
        self.conditions = conditions

        values[0] = input.values
        for number in nodes.indices {
            let node = nodes[number], plan = plans[number]
            let current = Batch(values[node.inputs[0]], count: input.count, shape: plan.input)
            let output = Batch(
                plan.outputValues ?? values[plan.valueUnderOutput!], count: input.count, shape: plan.output)
            values[number + 1] = output.values
            if node.isSum {
                Addition.add(current.values, values[node.inputs[1]], into: output.values)
                continue
            }
            if lastWasTraining, let shared = plan.shared {
                for index in lastParts.indices {
                    shared.layer.prepareForward(
                        current[lastParts[index].rows], memory(number, index ..< index + 1, parameters))
                }
                try sum(shared.sums, of: lastParts.indices)
            }
            forEachSpan(of: lastParts.indices, number) { span, rows in
                computed[number].forward(
                    current[rows], into: output[rows],
                    memory(number, span, parameters, batchStatistics: batchStatistics),
                    mode: lastParts[span.lowerBound].mode(mode))
            }
        }
        return Batch(values[nodes.count], count: input.count, shape: outputShape)
    }

    /// Takes the gradient of a sum over the batch with respect to the output of the last forward back through the
    /// layers. Several gradients may be taken back after one forward. Of a forward in sampling it is the gradient of
    /// what that computes: of running statistics, and without dropout.
    ///
    /// - Parameters:
    ///   - gradient: not changed.
    ///   - parameters: those of the forward.
    ///   - target: flat, of the store's layout for each shard, one after another, for the parameters' gradients. Nil:
    ///     the network is
    ///     frozen, and no work is spent on them.
    ///   - adding: whether to add to what is in `target`, rather than overwrite it (all but the padding).
    ///   - parts: those of the last forward that have a gradient; nil: all of them. The rows of the others are
    ///     neither read nor written.
    ///   - inputGradient: whether to return the gradient with respect to the input (valid until the next backward).
    ///   - ready: called with each range of every shard's gradient that is final, last layer first: together a
    ///     growing suffix, in
    ///     the end all.
    ///
    /// Throws what `ready` and ``SharedSums/sum()`` throw, and nothing else.
    public func backward(
        from gradient: Batch, parameters: Floats, into target: Floats?, adding: Bool = false,
        only parts: Range<Int>? = nil,
        inputGradient: Bool, ready: (Range<Int>) throws -> Void = { _ in }
    ) throws -> Batch? {
        check(gradient, target)
        precondition(target != nil || inputGradient, "\(name): backward of which nothing is wanted")
        let parts = parts ?? lastParts.indices
        let room = GradientMemory(values: gradients.values, layout: gradientPlan.layout, given: gradient.values)
        var final = store.count
        for number in nodes.indices.reversed() where inputGradient || leadsToParameters[number + 1] {
            let plan = plans[number], node = gradientPlan.nodes[number]
            let current = room.batch(node.source!, lastCount, plan.output)
            if !nodes[number].isSum {
                let wanted = inputGradient || leadsToParameters[nodes[number].inputs[0]]
                let next = wanted ? room.batch(node.flows[0]!.target, lastCount, plan.input) : nil
                let gradientFirst = plan.gradientFirst && target != nil && next != nil
                try backward(
                    number, parts, from: current, into: gradientFirst ? nil : next, parameters, target, adding: adding)
                if target != nil, let start = plan.parameterStart {
                    try ready(start ..< final)
                    final = start
                }
                if gradientFirst {
                    try backward(number, parts, from: current, into: next, parameters, nil, adding: adding)
                }
            }
            for place in node.flows.indices
            where inputGradient || leadsToParameters[nodes[number].inputs[place]] {
                for index in parts {
                    room.finish(node.flows[place]!, lastParts[index].rows, of: lastCount, plan.input)
                }
            }
        }
        return inputGradient ? room.batch(gradientPlan.input, lastCount, inputShape) : nil
    }

    func check(_ gradient: Batch, _ target: Floats?) {
        precondition(isTrained, "\(name): backward of a network without memory for it")
        precondition(
            gradient.shape == outputShape && gradient.count == lastCount,
            "\(name): a gradient of \(gradient.count) × \(gradient.shape) for \(lastCount) × \(outputShape)")
        precondition(
            target == nil || target!.count % max(store.count, 1) == 0,
            "\(name): \(target!.count) gradients for shards of \(store.count) values")
    }

    /// What node `number` was given in the last forward, and what it made of it, as far as that still stands.
    func ends(_ number: Int) -> (input: Batch, output: Batch) {
        (
            Batch(values[nodes[number].inputs[0]], count: lastCount, shape: plans[number].input),
            Batch(values[number + 1], count: lastCount, shape: plans[number].output)
        )
    }

    /// One layer of ``backward(from:parameters:into:adding:only:inputGradient:ready:)``.
    private func backward(
        _ number: Int, _ parts: Range<Int>, from gradient: Batch, into inputGradient: Batch?, _ parameters: Floats,
        _ target: Floats?, adding: Bool
    ) throws {
        let plan = plans[number]
        let (input, output) = ends(number)
        if lastWasTraining, let shared = plan.shared {
            for index in parts {
                let rows = lastParts[index].rows
                shared.layer.prepareBackward(
                    gradient[rows], input: input[rows],
                    memory(
                        number, index ..< index + 1, parameters, gradients: target,
                        adding: adding || isAdded(index, parts)),
                    parameterGradients: target != nil)
            }
            try sum(shared.sums, of: parts)
        }
        forEachSpan(of: parts, number) { span, rows in
            computed[number].backward(
                gradient[rows], input: input[rows], output: output[rows], into: inputGradient?[rows],
                memory(
                    number, span, parameters, gradients: target, adding: adding || isAdded(span.lowerBound, parts)),
                parameterGradients: target != nil)
        }
    }

    /// Adds up the numbers of the halves that `parts` belong to.
    private func sum(_ sums: [any SharedSums], of parts: Range<Int>) throws {
        for half in 0 ..< halves {
            for index in parts where lastParts[index].half == half {
                try sums[half].sum()
                break
            }
        }
    }

    /// The keep masks (1 kept, 0 dropped) that the dropout layers drew in the last forward in training, part by part.
    public var dropoutMasks: [(name: String, part: BatchPart, mask: Floats)] {
        nodes.indices.filter { nodes[$0].layer is Dropout }.flatMap { number in
            lastParts.indices.map { index in
                let mask = savedValues(number, index ..< index + 1)[
                    0 ..< lastParts[index].rows.count * plans[number].input.count]
                return (nodes[number].path, lastParts[index], mask)
            }
        }
    }

    /// Takes note of the parts of a batch.
    private func divide(_ count: Int, into parts: [BatchPart]?, _ mode: Mode) {
        lastCount = count
        lastParts.removeAll(keepingCapacity: true)
        if let parts { lastParts.append(contentsOf: parts) }
        switch mode {
        case .training(let draws):
            precondition(isTrained, "\(name): training of a network without memory for backward")
            lastWasTraining = true
            if parts == nil {
                lastParts.append(BatchPart(rows: 0 ..< count, firstSample: draws.firstSample, purpose: draws.purpose))
            }
        case .sampling:
            lastWasTraining = false
            if parts == nil { lastParts.append(BatchPart(rows: 0 ..< count, firstSample: 0, purpose: .sample)) }
        }
        var end = 0
        for index in lastParts.indices {
            let part = lastParts[index]
            precondition(
                part.rows.lowerBound == end && !part.rows.isEmpty,
                "\(name): rows \(part.rows) after a part that ends at \(end)")
            precondition(
                part.rows.count <= capacity,
                "\(name): \(part.rows.count) examples where at most \(capacity) were planned")
            precondition(
                part.shard < shards && part.half < halves,
                "\(name): half \(part.half) of shard \(part.shard) was not planned")
            precondition(
                !part.joinsPrevious || index > 0 && lastParts[index - 1].shard == part.shard,
                "\(name): rows \(part.rows) join those of another shard")
            end = part.rows.upperBound
        }
        precondition(end == count, "\(name): parts of \(end) examples for a batch of \(count)")
        precondition(
            lastParts.count <= shards * halves,
            "\(name): a batch in \(lastParts.count) parts where at most \(shards * halves) were planned")
    }

    /// Of parts that run as one: row by row, so that each has its own whichever run with it.
    private func savedValues(_ number: Int, _ span: Range<Int>) -> Floats {
        let count = plans[number].savedCount, saved = plans[number].saved.values
        guard computed[number].joinsParts else { return saved[span.lowerBound * count ..< span.upperBound * count] }
        let ofRow = count / capacity
        return saved[
            lastParts[span.lowerBound].rows.lowerBound * ofRow
                ..< lastParts[span.upperBound - 1].rows.upperBound * ofRow]
    }

    /// What layer `number` is lent for the parts of a span.
    func memory(
        _ number: Int, _ span: Range<Int>, _ parameters: Floats, gradients: Floats? = nil, adding: Bool = false,
        rowWeights: Floats = .none, batchStatistics: Floats? = nil
    ) -> LayerMemory {
        let plan = plans[number], part = lastParts[span.lowerBound], width = conditions.count / lastCount
        let rows = part.rows.lowerBound ..< lastParts[span.upperBound - 1].rows.upperBound
        func slice(_ all: Floats?, _ number: Int, _ count: Int) -> Floats {
            all?[number * count ..< (number + 1) * count] ?? .none
        }
        return LayerMemory(
            parameters: Parts(buffer: parameters, ranges: plan.parameterRanges),
            gradients: Parts(buffer: slice(gradients, part.shard, store.count), ranges: plan.parameterRanges),
            addsGradients: adding,
            statistics: Parts(buffer: store.statistics.values, ranges: plan.statisticRanges),
            batchStatistics: Parts(
                buffer: slice(batchStatistics, span.lowerBound, store.statistics.count), ranges: plan.statisticRanges),
            saved: savedValues(number, span), scratch: scratch.values, layer: number, rowWeights: rowWeights,
            condition: conditions[rows.lowerBound * width ..< rows.upperBound * width],
            isSampling: !lastWasTraining,
            shared: plan.shared.map { SharedPart(sums: $0.sums[part.half], part: part.shard) }, parts: lastParts[span])
    }
}
