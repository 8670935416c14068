import Adversarial
import Foundation
import Kernels
import Nets
import Runs
import Storage
import Support

/// The latents whose images are nearest to given ones, and the images beside their reconstructions: can a generator
/// make an image at all?
///
///     argmin_z |G(z) − x|²
///
/// by Adam from the best of a number of latents as G is given them, the best z on the way being kept; a bound of
/// latents is kept to. The cost has other minima: what is found is near to x, not surely the nearest.
public struct NearestLatent {
    public static let standardSteps = 300
    public static let standardRate = 0.05
    /// Latents drawn, of which the descent from each image begins at the best.
    static let starts = 256
    /// Images that are sought at once.
    private static let block = 16

    let steps: Int
    let rate: Double

    public init(steps: Int = standardSteps, rate: Double = standardRate) { (self.steps, self.rate) = (steps, rate) }

    /// Writes the picture `path`: a row an image of `request.data`, of the first `request.count`, with its
    /// reconstruction. Collective.
    public func write(_ request: EvaluationRequest, to path: String, _ context: EvaluationContext) throws {
        var request = request
        request.needsBackward = true
        let inputs = try EvaluationInputs(request, context, heldOut: false)
        let (images, conditions) = try context.communicator.agreed { try self.images(inputs, request) }
        guard case .image(let height, let width, let channels) = inputs.shape else { preconditionFailure("no images") }
        try context.communicator.agreed { try inputs.model?.requireGenerator() }
        let sampler = inputs.sampler!, length = inputs.shape.count, size = sampler.latentSize
        let found = try context.map(
            images.count, block: Self.block, width: length + size + 1, "nearest latents"
        ) { rows in
            try find(images, rows, conditions, sampler, seed: request.seed)
        }
        let sheet = FloatBuffer(count: 2 * images.count * length), range = sampler.range
        var distances: [Double] = [], norms: [Double] = []
        for row in 0 ..< images.count {
            let outcome = found[row * (length + size + 1) ..< (row + 1) * (length + size + 1)],
                start = outcome.startIndex
            for index in 0 ..< length {
                sheet.values[2 * row * length + index] = images.values[row * length + index]
                sheet.values[(2 * row + 1) * length + index] =
                    (outcome[start + index] - range.lowerBound) / (range.upperBound - range.lowerBound)
            }
            norms.append(outcome[(start + length) ..< (start + length + size)].reduce(0) { $0 + Double($1 * $1) })
            distances.append((Double(outcome[start + length + size]) / Double(length)).squareRoot())
        }
        _ = try context.communicator.decidedByRoot {
            try PNGGrid.write(
                sheet.values, shape: [height, width, channels], range: 0 ... 1, columns: 2, to: path)
            return ""
        }
        let typical = norms.map { ($0 / Double(size)).squareRoot() }.mean
        context.console.say(
            "\(path): a row an image, \(images.count) of them, each before G of the latent that comes nearest; root "
                + String(
                    format: "mean square differences of the pixels from %.4f to %.4f, mean %.4f; ", distances.min()!,
                    distances.max()!, distances.mean)
                + String(format: "|z|/√n %.2f, 1 of latents as drawn", typical))
    }

    /// The images, with values in [0, 1], and their conditions.
    private func images(
        _ inputs: EvaluationInputs, _ request: EvaluationRequest
    ) throws(Failure) -> (Examples, FloatBuffer?) {
        guard inputs.shape.isImage, Picture.canDraw(inputs.shape) else {
            throw Failure(
                .badConfiguration, "examples of shape \(inputs.shape) cannot be drawn beside each other",
                remedy: "Use a checkpoint that makes images of at most 16 channels.")
        }
        let count = min(request.count ?? 10, inputs.data.count)
        let images = try Examples(inputs.data, Array(0 ..< count), shape: inputs.shape)
        guard let condition = inputs.condition else { return (images, nil) }
        guard case .classes = condition.condition, let labels = inputs.labels else {
            throw Failure(
                .badConfiguration, "--latent of a conditional generator needs the classes of the images",
                remedy: "Name data that have labels; a condition that is a vector cannot be sought.")
        }
        let classes = try labels.prefix(count).map { (label) throws(Failure) in
            guard let number = condition.labels.firstIndex(of: label) else {
                throw .badData(
                    "an image of \(inputs.dataName) has the label \(label), of which the generator makes none",
                    remedy: "Name images of its classes.")
            }
            return Float(number)
        }
        return (images, FloatBuffer(classes))
    }

    /// Of each of some images: the reconstruction, its latent, and the squared distance in units of [0, 1].
    func find(
        _ images: Examples, _ rows: Range<Int>, _ conditions: FloatBuffer?, _ sampler: Sampler, seed: UInt64
    ) throws -> [Float] {
        let range = sampler.range, width = range.upperBound - range.lowerBound
        let targets = FloatBuffer(images[rows].array.map { range.lowerBound + width * $0 })
        let own = conditions.map { FloatBuffer($0.values[rows].array) }
        let descent = LatentDescent(sampler, targets: targets, conditions: own)
        try descent.start(from: Self.starts, Draws(seed: seed, purpose: .selection, step: 0))
        for step in 1 ... steps { try descent.move(update: step, rate: rate) }
        let answers = try descent.best()
        return (0 ..< rows.count).flatMap { row -> [Float] in
            return answers.images[row].array + answers.latents[row].array
                + [Float(descent.distances[row] / Double(width * width))]
        }
    }
}

/// Latents on their way down |G(z) − x|², one for each of a few images.
private final class LatentDescent {
    private let sampler: Sampler
    private let targets: FloatBuffer
    private let conditions: FloatBuffer?
    private let count: Int
    private let latents, kept, slopes, first, second: FloatBuffer
    /// Of the best latents so far.
    private(set) var distances: [Double]

    private var size: Int { sampler.latentSize }
    private var length: Int { sampler.shape.count }

    init(_ sampler: Sampler, targets: FloatBuffer, conditions: FloatBuffer?) {
        (self.sampler, self.targets, self.conditions) = (sampler, targets, conditions)
        count = targets.count / sampler.shape.count
        func room() -> FloatBuffer { FloatBuffer(count: targets.count / sampler.shape.count * sampler.latentSize) }
        (latents, kept, first, second) = (room(), room(), room(), room())
        slopes = FloatBuffer(count: targets.count)
        distances = [Double](repeating: .infinity, count: count)
    }

    private func target(_ row: Int) -> Floats { targets.values[row * length ..< (row + 1) * length] }

    /// Begins at the nearest of `candidates` latents.
    func start(from candidates: Int, _ draws: Draws) throws {
        let drawn = sampler.latents(count: candidates, draws)
        for row in 0 ..< count {
            let own = conditions.map { FloatBuffer([Float](repeating: $0.values[row], count: candidates)) }
            // Without conditions all images have the same candidates; few images make it cheap all the same.
            let answers = try sampler.samples(of: FloatBuffer(drawn.flatMap { $0 }), conditions: own)
            let distances = (0 ..< candidates).map {
                Distances.squared(answers.values[$0 * length ..< ($0 + 1) * length], target(row))
            }
            let best = distances.indices.min { distances[$0] < distances[$1] }!
            for index in 0 ..< size { latents.values[row * size + index] = drawn[best][index] }
        }
    }

    /// Notes how near the latents are, and moves them.
    func move(update: Int, rate: Double) throws {
        let answers = try compare()
        for index in 0 ..< slopes.count { slopes.values[index] = 2 * (answers.values[index] - targets.values[index]) }
        let gradient = try sampler.slopes(Batch(slopes.values, count: count, shape: sampler.shape))
        _ = OptimiserKernels.adam(
            latents.values, gradients: gradient.values, factor: 1, first: first.values, second: second.values,
            rate: rate, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, update: update)
        guard let bound = sampler.latentBound else { return }
        for index in 0 ..< latents.count { latents.values[index] = min(max(latents.values[index], -bound), bound) }
    }

    /// G of the latents at hand; those that are nearer than all before are kept.
    private func compare() throws -> Batch {
        let answers = try sampler.answers(
            Batch(latents.values, count: count, shape: .vector(size)), conditions?.values ?? .none)
        for row in 0 ..< count {
            let distance = Distances.squared(answers[row], target(row))
            guard distance < distances[row] else { continue }
            distances[row] = distance
            let range = row * size ..< (row + 1) * size
            kept.values[range].copy(from: latents.values[range])
        }
        return answers
    }

    /// The best latents and their images.
    func best() throws -> (images: Batch, latents: Batch) {
        _ = try compare()
        let latents = Batch(kept.values, count: count, shape: .vector(size))
        return (try sampler.answers(latents, conditions?.values ?? .none), latents)
    }
}
