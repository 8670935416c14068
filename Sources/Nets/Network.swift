import Kernels

/// Layers one after another, their parameters, and all the memory that the batches need.
///
/// A batch is run whole, or in ``parts`` of at most ``capacity`` examples each: then every layer is run part by part before the
/// next layer, and each part gives the bits that it gives alone. Only a ``MinibatchLayer`` makes one part depend on others.
///
/// Everything is planned when the network is built; ``forward(_:mode:parts:batchStatistics:)`` and
/// ``backward(from:into:adding:inputGradient:ready:)`` allocate nothing. Each forward overwrites what the one before left.
public final class Network {
    public let name: String
    public let layers: [any Layer]
    public let inputShape: Shape
    public let outputShape: Shape
    /// Examples in a part of a batch, at most.
    public let capacity: Int
    /// Parts of a batch, at most.
    public let parts: Int
    public let store: ParameterStore

    /// The layers as they are computed: a layer that the one before can apply is part of that one.
    private let computed: [any Layer]
    let plans: [LayerPlan]
    let scratch: FloatBuffer
    /// Backward goes to and fro between these two.
    let gradients: [FloatBuffer]
    private let lowestWithParameters: Int
    /// What each layer was given in the last forward.
    private var inputs: [Floats]
    private var lastOutput = Floats.none
    private var lastWasTraining = false
    /// The rows of each part of the last forward.
    private var lastParts: [Range<Int>] = []
    private var lastCount = 0

    /// The shape of each layer's output.
    public var outputShapes: [Shape] { plans.map(\.output) }

    /// Throws where a layer cannot take the output of the one before: `generator: layer 3 (dense): its input is …`.
    ///
    /// `sums` makes the sums of so many numbers over all parts of a minibatch for each ``MinibatchLayer``; a network without
    /// cannot train those.
    public init(_ layers: [any Layer], input: Shape, capacity: Int, parts: Int = 1, name: String,
                sums: ((Int) -> any SharedSums)? = nil) throws(ShapeError) {
        precondition(capacity > 0 && parts > 0, "\(name): planned for batches of \(parts) × \(capacity)")
        guard !layers.isEmpty else { throw ShapeError("\(name): it has no layers") }
        self.name = name
        self.layers = layers
        self.capacity = capacity
        self.parts = parts
        inputShape = input

        let shapes = try Self.shapes(of: layers, input: input, name: name)
        outputShape = shapes[layers.count]
        store = ParameterStore(layers: layers, inputs: Array(shapes.dropLast()))
        computed = Self.joined(layers)
        plans = Self.plan(computed, shapes: shapes, capacity: capacity, parts: parts, store: store, sums: sums)
        lowestWithParameters = store.entries.first?.layer ?? layers.count
        inputs = Array(repeating: .none, count: layers.count)
        lastParts.reserveCapacity(parts)
        // A smaller batch may need more: it is computed in another form, or in fewer blocks.
        let counts = zip(computed, shapes).flatMap { layer, shape in
            (1 ... capacity).map { layer.scratchCount(for: shape, batch: $0) }
        }
        scratch = FloatBuffer(count: counts.max()!)
        let largest = capacity * parts * shapes.map(\.count).max()!
        gradients = [FloatBuffer(count: largest), FloatBuffer(count: largest)]
    }

    /// The output for `input`, valid until the next forward. `input` itself must stay as it is until the last backward.
    ///
    /// - Parameters:
    ///   - parts: the rows of each part, in order and without gaps; nil: the batch is run whole.
    ///   - batchStatistics: where in training layers with running statistics add n · (the part's statistics), in the store's layout
    ///     for each part, one after another: average it over all shards, then ``ParameterStore/applyStatistics(_:samples:)``. Nil:
    ///     nobody wants them.
    ///
    /// Throws what ``SharedSums/sum()`` throws, and nothing else.
    public func forward(_ input: Batch, mode: Mode, parts: [Range<Int>]? = nil, batchStatistics: Floats? = nil) throws -> Batch {
        precondition(input.shape == inputShape, "\(name): a batch of \(input.shape) where \(inputShape) was planned")
        precondition(input.count > 0, "\(name): an empty batch")
        divide(input.count, into: parts)
        if case .training = mode { lastWasTraining = true } else { lastWasTraining = false }

        var current = input
        for number in layers.indices {
            let plan = plans[number]
            inputs[number] = current.values
            let output = Batch(plan.outputValues ?? current.values, count: input.count, shape: plan.output)
            if lastWasTraining, let shared = plan.shared {
                for part in lastParts.indices { shared.layer.prepareForward(current[lastParts[part]], memory(number, part)) }
                try shared.sums.sum()
            }
            for part in lastParts.indices {
                let rows = lastParts[part]
                computed[number].forward(current[rows], into: output[rows], memory(number, part, batchStatistics: batchStatistics),
                                       mode: mode.from(sample: rows.lowerBound))
            }
            current = output
        }
        lastOutput = current.values
        return current
    }

    /// Takes the gradient of a sum over the batch with respect to the output of the last forward (in training) back through
    /// the layers. Several gradients may be taken back after one forward.
    ///
    /// - Parameters:
    ///   - gradient: not changed.
    ///   - target: flat, of the store's layout for each part, one after another, for the parameters' gradients. Nil: the network is
    ///     frozen, and no work is spent on them.
    ///   - adding: whether to add to what is in `target`, rather than overwrite it (all but the padding).
    ///   - inputGradient: whether to return the gradient with respect to the input (valid until the next backward).
    ///   - ready: called with each range of every part's gradient that is final, last layer first: together a growing suffix, in
    ///     the end all.
    ///
    /// Throws what `ready` and ``SharedSums/sum()`` throw, and nothing else.
    public func backward(
        from gradient: Batch, into target: Floats?, adding: Bool = false, inputGradient: Bool, ready: (Range<Int>) throws -> Void = { _ in }
    ) throws -> Batch? {
        precondition(lastWasTraining, "\(name): backward without a forward in training")
        precondition(gradient.shape == outputShape && gradient.count == lastCount,
                     "\(name): a gradient of \(gradient.count) × \(gradient.shape) for \(lastCount) × \(outputShape)")
        precondition(target == nil || target!.count == lastParts.count * store.count,
                     "\(name): \(target!.count) gradients for \(lastParts.count) parts of \(store.count) values")

        precondition(target != nil || inputGradient, "\(name): backward of which nothing is wanted")
        let lowest = inputGradient ? 0 : lowestWithParameters
        var current = gradient
        var side = -1
        var final = store.count
        var number = layers.count
        while number > lowest {
            number -= 1
            let plan = plans[number]
            let wanted = number > lowest || inputGradient
            let memory = computed[number].outputMemory
            let inPlace = memory == .input || (memory == .overInput && side >= 0)
            var next: Batch?
            if wanted {
                if !inPlace { side = side == 0 ? 1 : 0 }
                next = Batch(inPlace ? current.values : gradients[side].values, count: lastCount, shape: plan.input)
            }
            let gradientFirst = plan.gradientFirst && target != nil && next != nil
            try backward(number, from: current, into: gradientFirst ? nil : next, target, adding: adding)
            if target != nil, let start = plan.parameterStart {
                try ready(start ..< final)
                final = start
            }
            if gradientFirst { try backward(number, from: current, into: next, nil, adding: adding) }
            if let next { current = next }
        }
        return inputGradient ? current : nil
    }

    /// One layer of ``backward(from:into:adding:inputGradient:ready:)``, part by part.
    private func backward(_ number: Int, from gradient: Batch, into inputGradient: Batch?, _ target: Floats?, adding: Bool) throws {
        let plan = plans[number]
        let input = Batch(inputs[number], count: lastCount, shape: plan.input)
        let output = Batch(number + 1 < layers.count ? inputs[number + 1] : lastOutput, count: lastCount, shape: plan.output)
        if let shared = plan.shared {
            for part in lastParts.indices {
                let rows = lastParts[part]
                shared.layer.prepareBackward(gradient[rows], input: input[rows], memory(number, part, gradients: target, adding: adding),
                                             parameterGradients: target != nil)
            }
            try shared.sums.sum()
        }
        for part in lastParts.indices {
            let rows = lastParts[part]
            computed[number].backward(gradient[rows], input: input[rows], output: output[rows], into: inputGradient?[rows],
                                    memory(number, part, gradients: target, adding: adding), parameterGradients: target != nil)
        }
    }

    /// The keep masks (1 kept, 0 dropped) that the dropout layers drew in the last forward in training, part by part.
    public var dropoutMasks: [(name: String, rows: Range<Int>, mask: Floats)] {
        layers.indices.filter { layers[$0] is Dropout }.flatMap { number in
            lastParts.indices.map { part in
                let mask = memory(number, part).saved[0 ..< lastParts[part].count * plans[number].input.count]
                return ("\(number).\(layers[number].name)", lastParts[part], mask)
            }
        }
    }

    /// Takes note of the parts of a batch.
    private func divide(_ count: Int, into parts: [Range<Int>]?) {
        lastCount = count
        lastParts.removeAll(keepingCapacity: true)
        if let parts { lastParts.append(contentsOf: parts) } else { lastParts.append(0 ..< count) }
        precondition(lastParts.count <= self.parts, "\(name): a batch in \(lastParts.count) parts where at most \(self.parts) were planned")
        var end = 0
        for part in lastParts.indices {
            let rows = lastParts[part]
            precondition(rows.lowerBound == end && !rows.isEmpty, "\(name): rows \(rows) after a part that ends at \(end)")
            precondition(rows.count <= capacity, "\(name): \(rows.count) examples where at most \(capacity) were planned")
            end = rows.upperBound
        }
        precondition(end == count, "\(name): parts of \(end) examples for a batch of \(count)")
    }

    private func memory(_ number: Int, _ part: Int, gradients: Floats? = nil, adding: Bool = false, batchStatistics: Floats? = nil) -> LayerMemory {
        let plan = plans[number]
        func mine(_ all: Floats?, _ count: Int) -> Floats { all?[part * count ..< (part + 1) * count] ?? .none }
        return LayerMemory(
            parameters: Parts(buffer: store.values.values, ranges: plan.parameterRanges),
            gradients: Parts(buffer: mine(gradients, store.count), ranges: plan.parameterRanges), addsGradients: adding,
            statistics: Parts(buffer: store.statistics.values, ranges: plan.statisticRanges),
            batchStatistics: Parts(buffer: mine(batchStatistics, store.statistics.count), ranges: plan.statisticRanges),
            saved: mine(plan.saved.values, plan.savedCount), scratch: scratch.values, layer: number,
            shared: plan.shared.map { SharedPart(sums: $0.sums, part: part) })
    }
}

extension Mode {
    /// The same for a batch that begins with example `sample` of the batch at hand.
    fileprivate func from(sample: Int) -> Mode {
        guard case .training(let draws) = self else { return self }
        return .training(Draws(seed: draws.seed, purpose: draws.purpose, step: draws.step, inner: draws.inner,
                               firstSample: draws.firstSample + sample))
    }
}
