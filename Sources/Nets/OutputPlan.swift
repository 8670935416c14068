/// Where the outputs of the nodes lie, from one forward to the last backward that follows it.
struct OutputPlan {
    /// Of each node the value over which, or as which, its output lies; nil where it has a buffer.
    let valuesUnderOutputs: [Int?]
    /// Of each node its buffer.
    let buffers: [Int?]
    let layout: BufferPlan.Layout

    /// Nothing is written over what a later node reads, over what backward reads, or over the caller's input.
    /// `isTrained`: whether there is backward at all.
    init(_ nodes: [NetworkNode], computed layers: [any Layer], shapes: [Shape], rows: Int, isTrained: Bool) {
        // A value that is another under a new shape has the number of that one.
        var contents = [0]
        for (number, node) in nodes.enumerated() {
            contents.append(layers[number].outputMemory == .input ? contents[node.inputs[0]] : number + 1)
        }
        var readers = Array(repeating: [Int](), count: nodes.count + 1)
        for (number, node) in nodes.enumerated() where layers[number].outputMemory != .input {
            for value in node.inputs { readers[contents[value]].append(number) }
        }
        /// Whether the node that makes a value reads it in backward.
        func isReadByMaker(_ content: Int) -> Bool { isTrained && layers[content - 1].backwardReadsOutput }
        func mayGo(_ value: Int) -> Bool {
            let content = contents[value]
            return content > 0 && readers[content].count == 1 && !isReadByMaker(content)
        }
        let under = nodes.indices.map { number -> Int? in
            switch layers[number].outputMemory {
            case .own: nil
            case .input: nodes[number].inputs[0]
            case .overInput: nodes[number].inputs.first(where: mayGo)
            }
        }

        var plan = BufferPlan(), buffers = [Int?](), places: [Int?] = [nil]
        for number in nodes.indices {
            let value = number + 1
            // Layers that may write over their input do not read it in backward.
            let isKept =
                isReadByMaker(value) || isTrained && readers[value].contains { layers[$0].outputMemory == .own }
            let end = isKept ? Int.max : readers[value].last ?? number
            if let under = under[number] {
                buffers.append(nil)
                places.append(places[under])
                if let buffer = places[under] { plan.share(buffer, with: .output(value), to: end) }
            } else {
                let buffer = plan.make(rows * shapes[value].count, for: .output(value), from: number, to: end)
                buffers.append(buffer)
                places.append(buffer)
            }
        }
        (valuesUnderOutputs, self.buffers, layout) = (under, buffers, plan.layout())
    }
}
