import Adversarial
import Autoencoders
import Kernels
import Nets
import Storage

/// The first examples of the data and what is made of their codes, or of the means of these, drawn again and again
/// through a run: of images each beside its reconstruction, of points the reconstructions.
final class ReconstructionSheet {
    private let autoencoder: TrainedAutoencoder
    private let examples: FloatBuffer
    private let range: ClosedRange<Float>
    private let folder: RunFolder
    /// Of a sheet.
    private static let images = 32
    private static let points = 2048

    /// Nil of a model without an encoder, and where the examples cannot be drawn.
    init?(_ trainer: any NetworkTrainer, _ data: TrainingData, _ folder: RunFolder) throws {
        guard let autoencoder = trainer.autoencoder, Picture.canDraw(data.shape) else { return nil }
        (self.autoencoder, range, self.folder) = (autoencoder, trainer.sampler.range, folder)
        examples = FloatBuffer(try data.firstValues(count: data.shape.isImage ? Self.images : Self.points))
    }

    /// Draws the state after `step` into the run's folder.
    func draw(step: Int) throws -> Pixels {
        let picture = try autoencoder.picture(of: examples, range: range)
        try picture.write(to: folder.reconstructions(step: step))
        return picture
    }
}

extension TrainedAutoencoder {
    /// Examples, with values of the range that the decoder makes, as ``ReconstructionSheet`` shows them.
    public func picture(of examples: FloatBuffer, range: ClosedRange<Float>) throws -> Pixels {
        let shape = exampleShape, length = shape.count, count = examples.count / length
        let made = try reconstructions(examples)
        let scene = Scene(mixture: nil, around: examples.array, dimension: length)
        guard shape.isImage else { return try Picture.of(made, count: count, shape: shape, range: range, scene: scene) }
        let both = FloatBuffer(count: 2 * examples.count)
        for number in 0 ..< count {
            for (place, source) in [examples, made].enumerated() {
                both.values[(2 * number + place) * length ..< (2 * number + place + 1) * length].copy(
                    from: source.values[number * length ..< (number + 1) * length])
            }
        }
        return try Picture.of(
            both, count: 2 * count, shape: shape, range: range, columns: 2 * min(4, count), scene: scene)
    }
}
