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

    /// `live`: with the parameters of the last step, also where their average was kept.
    public init(_ checkpoint: Checkpoint, live: Bool = false) throws {
        configuration = try Configuration(stored: checkpoint.configuration(), source: checkpoint.path)
        step = checkpoint.contents.step
        network = try checkpoint.network(
            .generator, configuration, input: .vector(configuration.latent.size), capacity: 64, live: live)
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
    /// Whether its logits are log-odds: only then their sigmoid is a probability.
    public let isLogOdds: Bool
    private let network: Network
    private let packs: Packing
    private let exampleShape: Shape
    /// Packs that go through the network at once.
    private static let capacity = 64

    public init(_ checkpoint: Checkpoint) throws {
        let configuration = try Configuration(stored: checkpoint.configuration(), source: checkpoint.path)
        range = configuration.outputRange
        isLogOdds = configuration.objective.isLogOdds
        packing = configuration.training.packing
        exampleShape = try configuration.exampleShape()
        packs = Packing(size: packing, example: exampleShape, capacity: Self.capacity * packing)
        network = try checkpoint.network(
            .discriminator, configuration, input: packs.shape, capacity: Self.capacity)
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
    /// The network of `layers`, for sampling, with the arrays stored under `name`; throws 65 where they do not fit each
    /// other.
    public func network(_ layers: [any Layer], input: Shape, capacity: Int, name: String) throws(Failure) -> Network {
        let network: Network
        do {
            network = try Network(layers, input: input, capacity: capacity, name: name, isTrained: false)
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

    /// A player's network with the parameters that it computes with: the generator's average, where one was kept and
    /// `live` does not ask for the last step's; else weights divided by their spectral norm, where training does so.
    /// Running statistics are always the last step's.
    func network(
        _ role: Player.Role, _ configuration: Configuration, input: Shape, capacity: Int, live: Bool = false
    ) throws(Failure) -> Network {
        let layers = role == .generator ? configuration.generator : configuration.discriminator
        let network = try network(layers, input: input, capacity: capacity, name: role.name)
        let store = network.store, values = store.values.values
        if role == .generator, !live, configuration.training.average != nil {
            for array in store.named(values) { try copy("average/\(role.name)/\(array.name)", to: array.values) }
            return network
        }
        let all = configuration.spectralPlayers.contains(role)
        guard let spectral = SpectralNormalisation(of: store, all: all, seed: 0, role: role.rawValue) else {
            return network
        }
        for vector in spectral.named { try copy("spectral/\(role.name)/\(vector.name)", to: vector.values) }
        let effective = FloatBuffer(count: values.count)
        withExtendedLifetime(effective) {
            spectral.normalise(values, into: effective.values)
            values.copy(from: effective.values)
        }
        return network
    }

    /// The parameters and running statistics of both networks, as ``GeneratorModel`` has them, under the names of a
    /// checkpoint; copies, for the networks do not outlive this call.
    public func networkArrays(live: Bool) throws -> [CheckpointArray] {
        let configuration = try Configuration(stored: configuration(), source: path)
        let packed = Packing(
            size: configuration.training.packing, example: try configuration.exampleShape(), capacity: 1)
        var arrays: [CheckpointArray] = []
        for role in [Player.Role.generator, .discriminator] {
            let input = role == .generator ? Shape.vector(configuration.latent.size) : packed.shape
            let store = try network(role, configuration, input: input, capacity: 1, live: live).store
            arrays += store.entries.map {
                CheckpointArray(
                    path: "\(role.name)/\($0.name)", dimensions: $0.specification.dimensions,
                    layout: $0.specification.layout, values: store.values.values[$0.range].array)
            }
            arrays += store.statisticEntries.map {
                CheckpointArray(
                    path: "\(role.name)/statistics/\($0.name)", dimensions: [$0.range.count], layout: "C",
                    values: store.statistics.values[$0.range].array)
            }
        }
        return arrays
    }
}
