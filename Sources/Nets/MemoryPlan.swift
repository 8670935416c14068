import Kernels

/// What the network keeps for one of its layers.
struct LayerPlan {
    let input: Shape
    let output: Shape
    /// Nil where the output lies in the memory of the input.
    let outputValues: Floats?
    let outputBuffer: FloatBuffer?
    /// One after another for the parts of a batch, `savedCount` each.
    let saved: FloatBuffer
    let savedCount: Int
    let parameterRanges: [Range<Int>]
    /// Where the layer's part of the flat buffers begins; nil where it has none.
    let parameterStart: Int?
    /// Whether its gradient is made before the input's, so that it can travel while the rest of the layer is computed.
    let gradientFirst: Bool
    let statisticRanges: [Range<Int>]
    /// Where the layer treats all parts of a minibatch as one batch: with the sums of each half.
    let shared: (layer: any MinibatchLayer, sums: [any SharedSums])?
}

extension Network {
    /// The shape that `layers` make of `input`; throws as ``init(_:input:capacity:shards:halves:name:sums:)`` does.
    public static func outputShape(of layers: [any Layer], input: Shape, name: String) throws(ShapeError) -> Shape {
        try shapes(of: layers, input: input, name: name).last!
    }

    /// Values that training surely keeps, before any memory is taken: each parameter `copies` times (its value, its
    /// gradient, its moments) and the layers' outputs for `rows` examples. A Double, for a mistyped configuration may
    /// ask for more than an Int counts.
    public static func leastValues(
        of layers: [any Layer], input: Shape, name: String, rows: Int, copies: Int
    ) throws(ShapeError) -> Double {
        let shapes = try shapes(of: layers, input: input, name: name)
        return layers.indices.reduce(0) { sum, number in
            let parameters = layers[number].parameters(for: shapes[number]).reduce(0) {
                $0 + $1.dimensions.reduce(1) { $0 * Double($1) }
            }
            let outputs = layers[number].outputMemory == .own ? Double(rows) * Double(shapes[number + 1].count) : 0
            return sum + Double(copies) * parameters + outputs
        }
    }

    /// The shape of the input and of each layer's output.
    static func shapes(of layers: [any Layer], input: Shape, name: String) throws(ShapeError) -> [Shape] {
        var shapes = [input]
        for (number, layer) in layers.enumerated() {
            do throws(ShapeError) {
                shapes.append(try layer.outputShape(for: shapes[number]))
            } catch {
                throw ShapeError("\(name): layer \(number) (\(layer.name)): its input is \(shapes[number]); \(error)")
            }
        }
        return shapes
    }

    /// The layers with each that the one before applies put into that one; in its own place nothing remains to be done.
    static func joined(_ layers: [any Layer]) -> [any Layer] {
        var computed = layers
        for number in layers.indices.dropLast() {
            if let both = layers[number].applying(layers[number + 1]) {
                computed[number] = both
                computed[number + 1] = AppliedBefore(name: layers[number + 1].name)
            }
        }
        return computed
    }

    static func plan(
        _ layers: [any Layer], shapes: [Shape], capacity: Int, parts: Int, halves: Int, store: ParameterStore,
        sums: ((Int) -> any SharedSums)?
    ) -> [LayerPlan] {
        // The network's input belongs to the caller: nothing is written over it.
        var mustStay = true
        return layers.indices.map { number in
            let layer = layers[number]
            let inInput =
                switch layer.outputMemory {
                case .own: false
                case .overInput: !mustStay
                case .input: true
                }
            let buffer = inInput ? nil : FloatBuffer(count: capacity * parts * shapes[number + 1].count)
            let ranges = store.entries.filter { $0.layer == number }.map(\.range)
            if layer.outputMemory != .input { mustStay = layer.backwardReadsOutput }
            let saved = layer.savedCount(for: shapes[number], batch: capacity)
            var shared: (any MinibatchLayer, [any SharedSums])?
            if let layer = layer as? any MinibatchLayer, let sums {
                shared = (layer, (0 ..< halves).map { _ in sums(layer.sharedCount(for: shapes[number])) })
            }
            return LayerPlan(
                input: shapes[number], output: shapes[number + 1],
                outputValues: buffer?.values, outputBuffer: buffer,
                saved: FloatBuffer(count: parts * saved), savedCount: saved,
                parameterRanges: ranges, parameterStart: ranges.first?.lowerBound,
                gradientFirst: shared == nil && ranges.contains { $0.count >= 1 << 16 },
                statisticRanges: store.statisticEntries.filter { $0.layer == number }.map(\.range), shared: shared)
        }
    }

    /// A table of the layers, for people: output shape, parameters, and megabytes (10⁶ bytes) of activations kept for
    /// the largest batch. A layer computed in its input's memory shows none.
    public var memoryPlan: String {
        func row(_ cells: [String]) -> String {
            zip(cells, [26, 18, 12, 10]).enumerated().map { column, cell in
                let space = String(repeating: " ", count: max(cell.1 - cell.0.count, 1))
                return column == 0 ? cell.0 + space : space + cell.0
            }.joined()
        }
        func megabytes(_ values: Int) -> String {
            let tenths = (values * MemoryLayout<Float>.stride + 50_000) / 100_000
            return "\(tenths / 10).\(tenths % 10)"
        }
        var lines = [
            "\(name): input \(inputShape), batches of at most \(shards > 1 ? "\(shards) shards of " : "")\(capacity)"
                + (halves > 1 ? " real and as many generated examples" : "")
                + (halves > 2 ? ", and \(halves - 2) × as many for penalties alone" : ""),
            row(["layer", "output", "parameters", "MB"]),
        ]
        for (number, plan) in plans.enumerated() {
            lines.append(
                row([
                    "\(number) \(layers[number].name)", "\(plan.output)",
                    "\(plan.parameterRanges.reduce(0) { $0 + $1.count })",
                    megabytes((plan.outputValues?.count ?? 0) + plan.saved.count),
                ]))
        }
        lines.append(row(["parameters", "", "\(store.parameterCount)", megabytes(store.count)]))
        lines.append(row(["gradients of activations", "", "", megabytes(gradients.reduce(0) { $0 + $1.count })]))
        if !penalised.isEmpty { lines.append(row(["kept for penalties", "", "", megabytes(penaltyValues)])) }
        lines.append(row(["scratch", "", "", megabytes(scratch.count)]))
        return lines.joined(separator: "\n")
    }
}
