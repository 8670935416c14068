import Kernels
import Nets

/// A discriminator that is asked for the logit s(x) of each example and for ∇ₓ s(x), outside training: without
/// dropout, with running statistics.
public final class TrainedDiscriminator {
    private let network: Network
    private let parameters: Floats
    private let ones: FloatBuffer

    /// `network` is one with memory for backward. `parameters`: those to compute with, which must outlive this; nil:
    /// its own.
    public init(_ network: Network, parameters: Floats? = nil) {
        precondition(
            network.isTrained && network.outputShape.count == 1, "\(network.name): no logits, or none to go back from")
        self.network = network
        self.parameters = parameters ?? network.store.values.values
        ones = FloatBuffer([Float](repeating: 1, count: network.capacity))
    }

    /// Examples at a time, at most.
    var capacity: Int { network.capacity }

    /// s of each example; valid until the next call. `conditions` stand beside them, where there are any.
    public func logits(_ examples: Batch, conditions: Floats = .none) throws -> Floats {
        try network.forward(examples, parameters: parameters, mode: .sampling, conditions: conditions).values
    }

    func sumOfLogits(_ examples: Batch) throws -> Double {
        let logits = try logits(examples)
        return (0 ..< logits.count).reduce(0) { $0 + Double(logits[$1]) }
    }

    /// s of examples of one value each, as many as there are.
    public func logits(of points: [Float]) throws -> [Float] {
        let points = FloatBuffer(points)
        return try network.answers(count: points.count, parameters) { start, count in
            Batch(points.values[start ..< start + count], count: count, shape: .vector(1))
        }.array
    }

    /// ∇ₓ s of each example, of its shape; valid until the next call.
    public func gradient(_ examples: Batch, conditions: Floats = .none) throws -> Batch {
        _ = try logits(examples, conditions: conditions)
        return try slopes(count: examples.count)
    }

    /// The same of the `count` examples that ``logits(_:conditions:)`` was last asked about.
    func slopes(count: Int) throws -> Batch {
        let slopes = Batch(ones.values, count: count, shape: network.outputShape)
        return try network.backward(from: slopes, parameters: parameters, into: nil, inputGradient: true)!
    }

    /// Whether an example's logit depends on the examples beside it.
    public static func couplesExamples(_ network: Network) -> Bool {
        network.nodes.contains { $0.layer is MinibatchDeviation }
    }
}
