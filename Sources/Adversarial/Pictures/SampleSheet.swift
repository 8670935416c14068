import Foundation
import Kernels
import Nets
import Storage

/// The generator's answers to fixed latents, drawn again and again through a run, and as an animation at its end. The
/// latents have a purpose of their own in the key of random draws, so that looking never changes the training.
public final class SampleSheet {
    private let sampler: Sampler
    private let latents: Draws
    private let scene: Scene
    private let folder: RunFolder
    /// Images of a sheet; and points of the plane or the line.
    private static let images = 64
    private static let points = 2048
    /// Pictures of an animation, at most; of more, so many evenly apart.
    private static let frames = 150

    /// Nil where the examples cannot be drawn.
    init?(_ trainer: Trainer, _ data: TrainingData, _ folder: RunFolder) throws {
        guard Picture.canDraw(data.shape) else { return nil }
        let configuration = trainer.configuration
        sampler = Sampler(trainer.generator.network, configuration.latent)
        latents = Draws(seed: configuration.seed, purpose: .fixedLatents, step: 0)
        self.folder = folder
        let discriminator = DiscriminatorProbability(
            trainer.discriminator.network, packing: configuration.training.packing)
        scene = Scene(
            mixture: configuration.data.synthetic,
            around: try data.firstValues(count: Scene.enough / data.shape.count + 1), dimension: data.shape.count,
            probability: discriminator.probabilities)
    }

    /// Draws the state after `step` into the run's folder.
    func draw(step: Int) throws -> Pixels {
        let isImage = if case .image = sampler.shape { true } else { false }
        let count = isImage ? Self.images : Self.points
        let samples = try sampler.samples(count: count, latents)
        let picture = try Picture.of(samples, count: count, shape: sampler.shape, range: sampler.range, scene: scene)
        try picture.write(to: folder.sample(step: step))
        return picture
    }

    /// Makes the animation of all pictures up to `step`.
    func animate(through step: Int) throws {
        var pictures = folder.sampleSteps.filter { $0 <= step }
        guard pictures.count > 1 else { return }
        if pictures.count > Self.frames {
            pictures = (0 ..< Self.frames).map { pictures[$0 * (pictures.count - 1) / (Self.frames - 1)] }
        }
        // About eight seconds, and each picture for a tenth to half a second.
        let delay = min(max(800 / pictures.count, 10), 50)
        try GIFAnimation.write(count: pictures.count, delay: delay, last: 200, to: folder.animation) {
            (number) throws(StorageError) in
            try Pixels(file: folder.sample(step: pictures[number]))
        }
    }
}

/// Asks a generator for examples, outside training.
public final class Sampler {
    private let network: Network
    private let latents: Latents

    init(_ network: Network, _ settings: Configuration.Latent) {
        self.network = network
        latents = Latents(settings, capacity: network.capacity)
    }

    public var shape: Shape { network.outputShape }

    /// What the output's activation can reach.
    public var range: ClosedRange<Float> { network.layers.outputRange }

    /// `count` examples, one after another, from latents number `draws.firstSample` on.
    public func samples(count: Int, _ draws: Draws) throws -> FloatBuffer {
        try network.answers(count: count) { start, size in
            let part = Draws(
                seed: draws.seed, purpose: draws.purpose, step: draws.step, inner: draws.inner,
                firstSample: draws.firstSample + start)
            return latents.fill(count: size, part)
        }
    }

    /// The latents that ``samples(count:_:)`` would use.
    func latents(count: Int, _ draws: Draws) -> [[Float]] {
        (0 ..< count).map { number in
            let draw = Draws(
                seed: draws.seed, purpose: draws.purpose, step: draws.step, inner: draws.inner,
                firstSample: draws.firstSample + number)
            return latents.fill(count: 1, draw).values.array
        }
    }

    /// The examples that `latents` give.
    func samples(of latents: FloatBuffer) throws -> FloatBuffer {
        let size = network.inputShape.count
        return try network.answers(count: latents.count / size) { start, count in
            Batch(latents.values[start * size ..< (start + count) * size], count: count, shape: network.inputShape)
        }
    }
}

/// Asks a discriminator what it believes, outside training.
final class DiscriminatorProbability {
    private let network: Network
    private let packing: Int

    init(_ network: Network, packing: Int) {
        self.network = network
        self.packing = packing
    }

    /// D(x) of each of some vectors; of packs, D of the pack of copies of it.
    func probabilities(_ points: FloatBuffer) throws -> [Double] {
        let size = network.inputShape.count / packing, count = points.count / size
        let packs = FloatBuffer(count: count * network.inputShape.count)
        for pack in 0 ..< count {
            for copy in 0 ..< packing {
                packs.values[(pack * packing + copy) * size ..< (pack * packing + copy + 1) * size].copy(
                    from: points.values[pack * size ..< (pack + 1) * size])
            }
        }
        let logits = try network.answers(count: count) { start, part in
            Batch(
                packs.values[start * network.inputShape.count ..< (start + part) * network.inputShape.count],
                count: part, shape: network.inputShape)
        }
        return (0 ..< count).map { sigmoid(Double(logits.values[$0])) }
    }
}

extension Network {
    /// The outputs for `count` inputs, one after another, as many at once as the network was planned for; `input`
    /// gives those from a number on.
    func answers(count: Int, _ input: (_ start: Int, _ count: Int) throws -> Batch) throws -> FloatBuffer {
        let answers = FloatBuffer(count: count * outputShape.count)
        for start in stride(from: 0, to: count, by: capacity) {
            let size = min(capacity, count - start)
            let output = try forward(try input(start, size), parameters: store.values.values, mode: .sampling)
            answers.values[start * outputShape.count ..< (start + size) * outputShape.count].copy(from: output.values)
        }
        return answers
    }
}

extension [any Layer] {
    /// The range of values that the last activation can give: [0, 1] of a sigmoid, else [−1, 1], which is what images
    /// are scaled to where nothing bounds the output.
    var outputRange: ClosedRange<Float> { outputActivation is Sigmoid ? 0 ... 1 : -1 ... 1 }

    /// The same, nil where nothing bounds the output.
    var outputBounds: ClosedRange<Float>? {
        outputActivation is Sigmoid || outputActivation is Tanh ? outputRange : nil
    }

    private var outputActivation: (any Layer)? { last { !($0 is Reshape) && !($0 is Flatten) } }

    /// The value before the last activation that makes it give `value`.
    func inverseOfOutput(_ value: Float) -> Float {
        // pylearn2's clip: a pixel that is always black must not start at minus infinity.
        let margin: Float = 1e-7
        switch outputActivation {
        case is Sigmoid:
            let p = Double(Swift.min(Swift.max(value, margin), 1 - margin))
            return Float(logit(p))
        case is Tanh:
            let p = (Double(Swift.min(Swift.max(value, -1 + margin), 1 - margin)) + 1) / 2
            return Float(logit(p) / 2)
        default:
            return value
        }
    }
}
