import Adversarial
import Foundation
import Kernels
import Nets
import Recipes
import Storage
import Support

/// The generator's answers to fixed latents, drawn again and again through a run, and as an animation at its end. The
/// latents have a purpose of their own in the key of random draws, so that looking never changes the training.
public final class SampleSheet {
    private let sampler: Sampler
    private let maker: any ExampleMaker
    private let latents: Draws
    /// Of images, a row a class; of points, drawn.
    private let conditions: FloatBuffer?
    private let columns: Int?
    private let count: Int
    private let scene: Scene
    private let folder: RunFolder
    /// Images of a sheet; and points of the plane or the line.
    private static let images = 64
    private static let points = 2048
    /// Pictures of an animation, at most; of more, so many evenly apart.
    private static let frames = 150

    /// Nil where the examples cannot be drawn.
    init?(
        _ trainer: any NetworkTrainer, _ configuration: any GeneratorConfiguration, _ data: TrainingData,
        _ folder: RunFolder
    ) throws {
        guard Picture.canDraw(data.shape) else { return nil }
        (sampler, maker) = (trainer.sampler, trainer.maker)
        latents = Draws(seed: configuration.seed, purpose: .fixedLatents, step: 0)
        if sampler.shape.isImage, case .classes(let classes) = sampler.conditioning?.condition {
            // Whole rows, of the first classes where there are more than fit.
            let shown = min(classes, Self.images)
            count = Self.images / shown * shown
            let grid = ClassGrid(count: count, classes: shown)
            (conditions, columns) = (grid.conditions, grid.columns)
        } else {
            count = min(sampler.shape.isImage ? Self.images : Self.points, maker.most ?? .max)
            (conditions, columns) = (sampler.conditions(count: count, latents), nil)
        }
        self.folder = folder
        scene = Scene(
            mixture: configuration.data.synthetic,
            around: try data.firstValues(count: Scene.enough / data.shape.count + 1), dimension: data.shape.count,
            probability: (trainer as? Trainer)?.probabilities ?? (trainer as? DiscriminatorTrainer)?.probabilities)
    }

    /// Draws the state after `step` into the run's folder.
    func draw(step: Int) throws -> Pixels {
        let samples = try maker.samples(count: count, latents, conditions: conditions)
        let picture = try Picture.of(
            samples, count: count, shape: sampler.shape, range: sampler.range, columns: columns, scene: scene)
        try picture.write(to: folder.sample(step: step))
        return picture
    }

    /// Makes the animation of all pictures of a run up to `step`.
    static func animate(_ folder: RunFolder, through step: Int) throws {
        var pictures = folder.sampleSteps.filter { $0 <= step }
        guard pictures.count > 1 else { return }
        if pictures.count > frames {
            pictures = (0 ..< frames).map { pictures[$0 * (pictures.count - 1) / (frames - 1)] }
        }
        // About eight seconds, and each picture for a tenth to half a second.
        let delay = min(max(800 / pictures.count, 10), 50)
        try GIFAnimation.write(count: pictures.count, delay: delay, last: 200, to: folder.animation) {
            (number) throws(Failure) in
            try Pixels(file: folder.sample(step: pictures[number]))
        }
    }
}

extension DiscriminatorTrainer {
    /// What D believes of points.
    fileprivate var probabilities: ((FloatBuffer) throws -> [Double])? {
        DiscriminatorProbability(discriminator.network, parameters: discriminator.parameters, packing: 1).probabilities
    }
}

extension Trainer {
    /// What D believes of points; nil where its logits are no log-odds, or are of conditions or codes too.
    fileprivate var probabilities: ((FloatBuffer) throws -> [Double])? {
        guard game.objective.isLogOdds, game.conditioning == nil, game.encoder == nil else { return nil }
        return DiscriminatorProbability(
            discriminator.network, parameters: discriminator.parameters, packing: game.packing
        ).probabilities
    }
}
