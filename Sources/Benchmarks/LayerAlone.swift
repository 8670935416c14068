import Adversarial
import Collectives
import Kernels
import Nets

/// A layer, or two that are computed as one, as a network of its own, with random values to compute on.
final class LayerAlone {
    /// Multiplications of the direct form for the whole batch; 0 for layers without weights to multiply by.
    let multiplications: Int
    /// As it is computed.
    let layer: any Layer
    /// Its number in the network.
    private let place: Int
    private let network: Network
    /// x and, of the penalties' passes, t at the input; e at the output.
    private let inputMemory, tangentMemory, gradientMemory: FloatBuffer
    /// What a pass makes at either side, and the slopes of the rows.
    private let resultMemory, rowWeights: FloatBuffer
    private let target: FloatBuffer
    private let conditions: FloatBuffer
    private let draws = Draws(seed: 1, purpose: .sample, step: 0)
    private let batch: Int

    init(_ layers: [any Layer], input: Shape, batch: Int, name: String) throws {
        self.batch = batch
        let communicator = SoloCommunicator()
        let table = try ShardTable(shards: 1, communicator: communicator)
        let network = try Network(layers, input: input, capacity: batch, name: name) {
            LayerSums(count: $0, table: table, communicator)
        }
        self.network = network
        place = layers.indices.first { !network.nodesComputed(at: $0).isEmpty }!
        layer = network.computed[place]
        network.store.initialise(seed: 1, role: 0)
        let output = network.outputShape
        inputMemory = FloatBuffer(count: batch * input.count)
        tangentMemory = FloatBuffer(count: batch * input.count)
        gradientMemory = FloatBuffer(count: batch * output.count)
        resultMemory = FloatBuffer(count: batch * max(input.count, output.count))
        rowWeights = FloatBuffer(count: batch)
        target = FloatBuffer(count: network.store.count)
        // Of zeros: the first class of all.
        conditions = FloatBuffer(count: batch * (network.condition?.width ?? 0))
        let shapes = zip(network.inputShapes, network.outputShapes)
        multiplications =
            batch
            * zip(layers, shapes).reduce(0) {
                $0 + Self.multiplications($1.0, input: $1.1.0, output: $1.1.1)
            }
        for memory in [inputMemory, tangentMemory, gradientMemory, rowWeights] {
            draws.fillNormal(memory.values, samples: batch)
        }
    }

    var outputShape: Shape { network.outputShape }
    /// Of input and output.
    var bytes: Int { batch * (network.inputShape.count + outputShape.count) * MemoryLayout<Float>.size }
    var hasParameters: Bool { network.store.count > 0 }

    private var parameters: Floats { network.store.values.values }
    private var gradient: Batch { Batch(gradientMemory.values, count: batch, shape: network.outputShape) }

    /// Runs one pass; all but the first after a forward.
    func run(_ pass: LayerPass) throws {
        switch pass {
        case .forward:
            _ = try network.forward(
                Batch(inputMemory.values, count: batch, shape: network.inputShape), parameters: parameters,
                mode: .training(draws), conditions: conditions.values)
        case .inputGradient, .adjoint:
            _ = try network.backward(from: gradient, parameters: parameters, into: nil, inputGradient: true)
        case .weightGradient:
            _ = try network.backward(
                from: gradient, parameters: parameters, into: target.values, inputGradient: false)
        case .tangent, .curvature, .parameterGradients: runOfPenalty(pass, layer as! any TangentLayer)
        }
    }

    private func runOfPenalty(_ pass: LayerPass, _ layer: any TangentLayer) {
        let (input, output, memory) = network.lastCall(
            of: place, parameters: parameters, gradients: target.values, rowWeights: rowWeights.values)
        let tangent = Batch(tangentMemory.values, count: batch, shape: input.shape)
        func result(_ shape: Shape) -> Batch {
            Batch(resultMemory.values[0 ..< batch * shape.count], count: batch, shape: shape)
        }
        switch pass {
        case .tangent:
            layer.tangent(tangent, input: input, output: output, into: result(output.shape), memory)
        case .curvature:
            layer.curvature(
                gradient, tangent: tangent, input: input, output: output, into: result(input.shape), adding: false,
                memory)
        default: layer.tangentGradients(gradient, tangent: tangent, input: input, output: output, memory)
        }
    }

    private static func multiplications(_ layer: any Layer, input: Shape, output: Shape) -> Int {
        if let attention = layer as? SelfAttention { return attention.multiplications(for: input) }
        guard let weight = layer.parameters(for: input).first(where: { $0.name == "weight" }) else { return 0 }
        switch (input, output) {
        case (.vector, _): return weight.count
        case (.image(let height, let width, _), .image(let outputHeight, let outputWidth, _)):
            // A convolution multiplies by the whole kernel at every place of its smaller side.
            return weight.count * min(height * width, outputHeight * outputWidth)
        default: return 0
        }
    }
}
