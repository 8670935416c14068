import Kernels
import Support

/// y[n, p, q, :] = (x[n, p, q, :], s), s the mean over all values f of an example of the deviation
/// σ[f] = √(mean over the examples m of n's group of (x[m, f] − mean[f])² + 10⁻⁸): Karras et al. 2018
/// (arXiv:1710.10196), §3. A discriminator sees by it that examples are all alike.
///
/// x [N, H, W, C], y [N, H, W, C + 1]; a vector [N, D] becomes [N, D + 1]. No parameters. A group are neighbours of one
/// part of a minibatch, a shard's real or generated half, so that ranks do not matter: at most `group` of them, in
/// groups as equal as can be, of which the first are larger. 10 examples in groups of 4 are 4, 3 and 3. A part of one
/// example has s = 10⁻⁴.
///
/// It couples examples: no gradient penalty goes through it, and ONNX has no form of it.
public struct MinibatchDeviation: Layer {
    public let group: Int

    /// Added to the variance.
    private static let epsilon: Float = 1e-8

    public init(group: Int = 4) { self.group = group }

    public init(_ settings: any LayerSettings) throws(Failure) {
        group = try settings.integer(
            "group", default: 4, 2 ... 1 << 16, meaning: "examples of a shard's half that are compared, at most")
    }

    public var name: String { "minibatch_deviation" }

    public func outputShape(for input: Shape) throws(ShapeError) -> Shape {
        guard group >= 2 else { throw ShapeError("`group` must be at least 2, not \(group)") }
        return switch input {
        case .vector(let count): .vector(count + 1)
        case .image(let height, let width, let channels):
            .image(height: height, width: width, channels: channels + 1)
        }
    }

    public func forward(_ input: Batch, into output: Batch, _ memory: LayerMemory, mode: Mode) {
        let channels = input.shape.channels
        forEachGroup(input.count) { rows in
            let examples = input[rows], result = output[rows].values
            let deviation = MinibatchDeviationKernels.mean(
                of: examples.values, count: rows.count, epsilon: Self.epsilon)
            MinibatchDeviationKernels.append(deviation, to: examples.values, channels: channels, into: result)
        }
    }

    public func backward(
        _ outputGradient: Batch, input: Batch, output: Batch,
        into inputGradient: Batch?, _ memory: LayerMemory, parameterGradients: Bool
    ) {
        guard let inputGradient else { return }
        let channels = input.shape.channels
        forEachGroup(input.count) { rows in
            let gradients = inputGradient[rows].values
            let slope = MinibatchDeviationKernels.divide(
                outputGradient[rows].values, channels: channels, into: gradients)
            MinibatchDeviationKernels.addGradient(
                of: input[rows].values, count: rows.count, epsilon: Self.epsilon, slope: slope, to: gradients)
        }
    }

    private func forEachGroup(_ count: Int, _ body: (Range<Int>) -> Void) {
        let groups = (count + group - 1) / group
        var start = 0
        for number in 0 ..< groups {
            let end = start + count / groups + (number < count % groups ? 1 : 0)
            body(start ..< end)
            start = end
        }
    }
}
