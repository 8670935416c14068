import Kernels
import Nets
import Storage

/// The generator of a checkpoint, to be asked for examples.
public final class GeneratorModel {
    public let configuration: Configuration
    public let network: Network
    public let sampler: Sampler
    /// Alternation steps it was trained for.
    public let step: Int

    public init(_ checkpoint: Checkpoint) throws {
        configuration = try Configuration(yaml: checkpoint.configuration(), source: checkpoint.path)
        step = checkpoint.contents.step
        do {
            network = try Network(configuration.generator.map(\.layer), input: .vector(configuration.latent.size), capacity: 64, name: "generator")
        } catch {
            throw checkpoint.broken("its configuration does not make a network: \(error)")
        }
        for array in network.store.named(network.store.values.values) { try checkpoint.copy("generator/\(array.name)", to: array.values) }
        for entry in network.store.statisticEntries { try checkpoint.copy("generator/statistics/\(entry.name)", to: network.store.statistics.values[entry.range]) }
        sampler = Sampler(network, configuration.latent)
    }

    /// Writes `count` examples as a PNG grid or, where `path` does not end in `.png`, as an HDF5 dataset of the program's own form, with
    /// their latents if wanted.
    public func write(count: Int, seed: UInt64, latents: Bool, to path: String) throws {
        let draws = Draws(seed: seed, purpose: .sample, step: 0)
        let samples = try sampler.samples(count: count, draws)
        if path.hasSuffix(".png") {
            let scene = Scene(mixture: configuration.data.synthetic, around: samples.values.array, dimension: sampler.shape.count)
            try Picture.of(samples, count: count, shape: sampler.shape, range: sampler.range, scene: scene).write(to: path)
        } else {
            let shape = network.outputShape
            var range: [Double]?
            if case .image = shape { range = [Double(sampler.range.lowerBound), Double(sampler.range.upperBound)] }
            let description = DatasetDescription(
                name: "samples of \(configuration.name) at step \(step)", source: "gan-dist sample, seed \(seed)", license: "that of the training data",
                dimensions: [count] + shape.dimensions, element: .float32, range: range)
            try DatasetWriter.write(path, description) { (writer) throws(StorageError) in
                try writer.append(samples.values.array)
                if latents { writer.latents = (configuration.latent.size, sampler.latents(count: count, draws).flatMap { $0 }) }
            }
        }
    }
}
