import Kernels

/// What the network keeps for one of its nodes.
struct LayerPlan {
    let input: Shape
    let output: Shape
    /// Nil where the output lies in the memory of an earlier value.
    let outputValues: Floats?
    let valueUnderOutput: Int?
    /// One after another for the parts of a batch, `savedCount` each; row by row where ``Layer/joinsParts``.
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
    static func plan(
        _ nodes: [NetworkNode], _ layers: [any Layer], shapes: [Shape], _ outputs: OutputPlan, in activations: Floats,
        capacity: Int, parts: Int, halves: Int, store: ParameterStore, sums: ((Int) -> any SharedSums)?
    ) -> [LayerPlan] {
        nodes.indices.map { number in
            let layer = layers[number], input = shapes[nodes[number].inputs[0]], output = shapes[number + 1]
            let values = outputs.buffers[number].map { buffer in
                let start = outputs.layout.offsets[buffer]
                return activations[start ..< start + capacity * parts * output.count]
            }
            let ranges = store.entries.filter { $0.layer == number }.map(\.range)
            let saved = layer.savedCount(for: input, batch: capacity)
            var shared: (any MinibatchLayer, [any SharedSums])?
            if let layer = layer as? any MinibatchLayer, let sums {
                shared = (layer, (0 ..< halves).map { _ in sums(layer.sharedCount(for: input)) })
            }
            return LayerPlan(
                input: input, output: output, outputValues: values,
                valueUnderOutput: outputs.valuesUnderOutputs[number], saved: FloatBuffer(count: parts * saved),
                savedCount: saved,
                parameterRanges: ranges, parameterStart: ranges.first?.lowerBound,
                gradientFirst: shared == nil && ranges.contains { $0.count >= 1 << 16 },
                statisticRanges: store.statisticEntries.filter { $0.layer == number }.map(\.range), shared: shared)
        }
    }

    /// A table of the layers, for people: output shape, parameters, and megabytes (10⁶ bytes) of activations kept for
    /// the largest batch. What is computed in the memory of an earlier value shows none; of all outputs, and of the
    /// gradients of activations, it says what they take together, and what each apart would.
    public var memoryPlan: String {
        let names = nodes.map { "\($0.place) \($0.layer.name)" }
        let widths = [max(26, names.map(\.count).max()! + 2), 18, 12, 10]
        func row(_ cells: [String]) -> String {
            zip(cells, widths).enumerated().map { column, cell in
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
                    names[number], "\(outputShapes[number])",
                    "\(plan.parameterRanges.reduce(0) { $0 + $1.count })",
                    megabytes((plan.outputValues?.count ?? 0) + plan.saved.count),
                ]))
        }
        lines.append(row(["parameters", "", "\(store.parameterCount)", megabytes(store.count)]))
        func add(_ name: String, _ layout: BufferPlan.Layout) {
            lines.append(row([name, "\(megabytes(layout.countApart)) MB apart", "", megabytes(layout.count)]))
        }
        add("outputs", outputPlan.layout)
        if isTrained { add("gradients of activations", gradientPlan.layout) }
        if let penaltyPlan { add("the same with penalties", penaltyPlan.layout) }
        lines.append(row(["scratch", "", "", megabytes(scratch.count)]))
        return lines.joined(separator: "\n")
    }
}
