import Collectives
import Foundation
import Kernels
import Mixtures
import Nets
import Recipes
import Storage
import Support

/// The mixture of Gaussians of a checkpoint, to be asked for examples and for densities.
public final class MixtureModel {
    public let configuration: MixtureConfiguration
    /// Steps of expectation–maximisation.
    public let step: Int
    let shape: Shape
    public let mixture: GaussianMixture
    public let principal: PrincipalComponents?

    /// Nil where the checkpoint is of another model; throws 65 where it is not whole.
    public init?(_ checkpoint: Checkpoint) throws {
        guard
            case .mixture(let configuration) = try ModelConfiguration(
                stored: checkpoint.configuration(), source: checkpoint.path)
        else { return nil }
        self.configuration = configuration
        step = checkpoint.contents.step
        shape = try checkpoint.exampleShape()
        principal = try checkpoint.principalComponents(configuration)
        mixture = try checkpoint.mixture(configuration, dimension: principal?.count ?? shape.count)
    }

    init(
        _ configuration: MixtureConfiguration, step: Int, shape: Shape, _ mixture: GaussianMixture,
        _ principal: PrincipalComponents?
    ) {
        (self.configuration, self.step, self.shape, self.mixture, self.principal) = (
            configuration, step, shape, mixture, principal
        )
    }

    /// Samples `first` ..< `first` + `count`, one after another, images within 0 … 1; and the component of each.
    public func examples(count: Int, first: Int = 0, seed: UInt64) -> (values: [Float], labels: [Int]) {
        let (rows, labels) = mixture.sample(count: count, first: first, seed: seed)
        let values = principal?.reconstruct(rows) ?? rows
        let range = MixtureData.imageRange
        return (
            values.map { shape.isImage ? min(max(Float($0), range.lowerBound), range.upperBound) : Float($0) }, labels
        )
    }

    /// Samples as a picture.
    func picture(count: Int, seed: UInt64, synthetic: SyntheticKind?, around points: [Float]) throws -> Pixels {
        let values = FloatBuffer(examples(count: count, seed: seed).values)
        return try Picture.of(
            values, count: count, shape: shape, range: MixtureData.imageRange,
            scene: Scene(mixture: synthetic, around: points, dimension: shape.count))
    }

    /// Writes `count` examples as a PNG grid, or as an HDF5 dataset with the component of each as its label. Rank 0
    /// makes them: a mixture is fast. Collective.
    public func write(count: Int, seed: UInt64, to path: String, _ communicator: any Communicator) throws {
        try communicator.agreed(namingRank: false) {
            guard communicator.rank == 0 else { return }
            if path.hasSuffix(".png") {
                let points = examples(count: min(count, Scene.enough), seed: seed).values
                let drawn = try picture(
                    count: count, seed: seed, synthetic: configuration.data.synthetic, around: points)
                return try drawn.write(to: path)
            }
            let description = DatasetDescription(
                name: "samples of \(configuration.name) at step \(step)", source: "gan-dist sample, seed \(seed)",
                license: "that of the training data", dimensions: [count] + shape.dimensions, element: .float32,
                range: shape.isImage ? [0, 1] : nil)
            try DatasetWriter.write(path, description) { (writer) throws(Failure) in
                var all: [Int] = []
                for start in stride(from: 0, to: count, by: 1024) {
                    let (values, labels) = examples(count: min(1024, count - start), first: start, seed: seed)
                    try writer.append(values)
                    all += labels
                }
                writer.labels = all
            }
        }
    }

    /// The mean of ln p over the examples of a file, in nats: of their principal components, where the mixture is one
    /// of these. The same bits on as many ranks as the run has shards, and on fewer. Collective.
    public func logLikelihood(of file: String, dataset: String?, _ communicator: any Communicator) throws -> Double {
        var settings = configuration.data
        settings.file = file
        settings.dataset = dataset ?? settings.dataset
        settings.synthetic = nil
        let shards = configuration.exchange.shards ?? 1
        let rows = try communicator.agreed { [settings] in
            let data = try MixtureData(settings, seed: configuration.seed)
            guard data.shape == shape else {
                throw Failure.badData(
                    "\(file) has examples of \(data.shape), and the mixture is of \(shape)",
                    remedy: "Name a file of the same kind.")
            }
            let table = try ShardTable(shards: max(shards, communicator.size), communicator: communicator)
            return try data.rows(table, limit: settings.memoryLimit)
        }
        return try mixture.meanLogLikelihood(of: principal?.project(rows) ?? rows, communicator)
    }
}

extension Checkpoint {
    /// What the mixture is of, with the sizes that its configuration has.
    func mixture(_ configuration: MixtureConfiguration, dimension: Int) throws(Failure) -> GaussianMixture {
        let settings = configuration.mixture
        return GaussianMixture(
            covariance: settings.covariance, components: settings.components, dimension: dimension,
            weights: try doubles("mixture/weights", count: settings.components),
            means: try doubles("mixture/means", count: settings.components * dimension),
            covariances: try doubles(
                "mixture/covariances", count: settings.components * settings.covariance.count(dimension)))
    }

    func principalComponents(_ configuration: MixtureConfiguration) throws(Failure) -> PrincipalComponents? {
        guard let count = configuration.mixture.principal else { return nil }
        let size = try exampleShape().count
        guard case .double(let explained)? = contents.attribute("explained_variance") else {
            throw broken("it does not say what its principal components explain")
        }
        return PrincipalComponents(
            mean: try doubles("principal/mean", count: size),
            directions: try doubles("principal/directions", count: count * size), count: count, explained: explained)
    }

    func exampleShape() throws(Failure) -> Shape {
        let sizes = (contents.string("example_shape") ?? "").split(separator: " ").compactMap { Int($0) }
        switch sizes.count {
        case 1: return .vector(sizes[0])
        case 3: return .image(height: sizes[0], width: sizes[1], channels: sizes[2])
        default: throw broken("it does not say what its examples are")
        }
    }

    private func doubles(_ name: String, count: Int) throws(Failure) -> [Double] {
        guard let values = contents.array(name)?.doubles else { throw broken("it has no array '\(name)' of float64") }
        guard values.count == count else { throw broken("'\(name)' has \(values.count) values, not \(count)") }
        return values
    }
}
