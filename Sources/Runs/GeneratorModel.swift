import Adversarial
import Kernels
import Nets
import Recipes
import Storage
import Support

/// The generator of a checkpoint, to be asked for examples.
public final class GeneratorModel {
    public let configuration: Configuration
    public let network: Network
    public let sampler: Sampler
    /// Alternation steps it was trained for.
    public let step: Int

    public init(_ checkpoint: Checkpoint) throws {
        configuration = try Configuration(stored: checkpoint.configuration(), source: checkpoint.path)
        step = checkpoint.contents.step
        network = try checkpoint.network(
            configuration.generator, input: .vector(configuration.latent.size), capacity: 64,
            name: "generator")
        sampler = Sampler(network, configuration.latent)
    }

    /// Writes `count` examples as a PNG grid or, where `path` does not end in `.png`, as an HDF5 dataset of the
    /// program's own form, with their latents if wanted.
    public func write(count: Int, seed: UInt64, latents: Bool, to path: String) throws {
        let draws = Draws(seed: seed, purpose: .sample, step: 0)
        let samples = try sampler.samples(count: count, draws)
        if path.hasSuffix(".png") {
            let scene = Scene(
                mixture: configuration.data.synthetic, around: samples.values.array, dimension: sampler.shape.count)
            try Picture.of(samples, count: count, shape: sampler.shape, range: sampler.range, scene: scene).write(
                to: path)
        } else {
            let shape = network.outputShape
            var range: [Double]?
            if case .image = shape { range = [Double(sampler.range.lowerBound), Double(sampler.range.upperBound)] }
            let description = DatasetDescription(
                name: "samples of \(configuration.name) at step \(step)", source: "gan-dist sample, seed \(seed)",
                license: "that of the training data",
                dimensions: [count] + shape.dimensions, element: .float32, range: range)
            try DatasetWriter.write(path, description) { (writer) throws(Failure) in
                try writer.append(samples.values.array)
                if latents {
                    writer.latents = (configuration.latent.size, sampler.latents(count: count, draws).flatMap { $0 })
                }
            }
        }
    }
}

/// The discriminator of a checkpoint, to be asked about examples.
public final class DiscriminatorModel {
    /// Examples that it judges as one.
    public let packing: Int
    /// What it was trained on: the range of the generator's output.
    public let range: ClosedRange<Float>
    private let network: Network
    private let packs: Packing
    private let exampleShape: Shape
    /// Packs that go through the network at once.
    private static let capacity = 64

    public init(_ checkpoint: Checkpoint) throws {
        let configuration = try Configuration(stored: checkpoint.configuration(), source: checkpoint.path)
        range = configuration.outputRange
        packing = configuration.training.packing
        exampleShape = try configuration.exampleShape()
        packs = Packing(size: packing, example: exampleShape, capacity: Self.capacity * packing)
        network = try checkpoint.network(
            configuration.discriminator, input: packs.shape, capacity: Self.capacity, name: "discriminator"
        )
    }

    /// D's logit of each pack of examples, one after another, scaled as its training data were; without dropout, with
    /// running statistics.
    public func logits(_ examples: FloatBuffer) throws -> [Float] {
        let length = exampleShape.count * packing
        precondition(
            examples.count % length == 0, "\(examples.count) values in packs of \(packing) examples of \(exampleShape)")
        var logits: [Float] = []
        for start in stride(from: 0, to: examples.count, by: Self.capacity * length) {
            let part = examples.values[start ..< min(start + Self.capacity * length, examples.count)]
            let joined = packs.join(Batch(part, count: part.count / exampleShape.count, shape: exampleShape))
            logits += try network.forward(joined, parameters: network.store.values.values, mode: .sampling).values.array
        }
        return logits
    }
}

extension Checkpoint {
    /// The network of `layers` with the arrays stored under `name`; throws 65 where they do not fit each other.
    public func network(_ layers: [any Layer], input: Shape, capacity: Int, name: String) throws(Failure) -> Network {
        let network: Network
        do {
            network = try Network(layers, input: input, capacity: capacity, name: name)
        } catch {
            throw broken("its configuration does not make a network: \(error)")
        }
        for array in network.store.named(network.store.values.values) {
            try copy("\(name)/\(array.name)", to: array.values)
        }
        for entry in network.store.statisticEntries {
            try copy("\(name)/statistics/\(entry.name)", to: network.store.statistics.values[entry.range])
        }
        return network
    }
}
