import Kernels
import Nets

/// The encoder of a game, and room for what passes between it and the other two.
final class EncoderPass {
    let player: Player
    let kind: Encoder.Kind
    private let example: Shape
    private let codeSize: Int
    /// The gradients with respect to a group's examples, as the generator made them, and to its codes.
    private let ofExamples, ofCodes: FloatBuffer

    /// For groups of at most `rows` examples.
    init(_ player: Player, _ kind: Encoder.Kind, example: Shape, codeSize: Int, rows: Int) {
        (self.player, self.kind, self.example, self.codeSize) = (player, kind, example, codeSize)
        ofExamples = FloatBuffer(count: rows * example.count)
        ofCodes = FloatBuffer(count: rows * codeSize)
    }

    // MARK: - Reconstruction

    /// `factor` times the gradient of its cost with respect to the reconstructions.
    func slopes(_ reconstruction: Reconstruction, of output: Batch, _ examples: Batch, factor: Float) -> Batch {
        let slopes = ofExamples.values[0 ..< output.values.count]
        reconstruction.slopes(of: output.values, examples.values, factor: factor, into: slopes)
        return Batch(slopes, count: output.count, shape: output.shape)
    }

    // MARK: - Pairs

    /// Writes each example with its code after it into `target`.
    func join(_ examples: Batch, _ codes: Batch, into target: Floats) -> Batch {
        let pairs = Batch(
            target[0 ..< examples.count * (example.count + codeSize)], count: examples.count,
            shape: .vector(example.count + codeSize))
        for row in 0 ..< examples.count {
            pairs[row][0 ..< example.count].copy(from: examples[row])
            pairs[row][example.count ..< example.count + codeSize].copy(from: codes[row])
        }
        return pairs
    }

    /// Of the gradient with respect to pairs that with respect to their examples.
    func examples(_ gradient: Batch) -> Batch {
        let examples = Batch(ofExamples.values, count: gradient.count, shape: example)
        for row in 0 ..< gradient.count { examples[row].copy(from: gradient[row][0 ..< example.count]) }
        return examples
    }

    /// And with respect to their codes.
    func codes(_ gradient: Batch) -> Batch {
        let codes = Batch(ofCodes.values, count: gradient.count, shape: .vector(codeSize))
        for row in 0 ..< gradient.count {
            codes[row].copy(from: gradient[row][example.count ..< example.count + codeSize])
        }
        return codes
    }
}
