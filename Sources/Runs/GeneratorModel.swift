import Adversarial
import Collectives
import Kernels
import Nets
import Recipes
import Storage
import Support

/// The generator of a checkpoint, to be asked for examples.
public final class GeneratorModel {
    public let configuration: any GeneratorConfiguration
    public let network: Network
    public let sampler: Sampler
    /// Where the network's inputs are codes that stand for latents.
    public let codes: CodeDistribution?
    /// Alternation steps it was trained for.
    public let step: Int
    /// Of the labels 0, 1, …, where the dataset had names for them.
    let labelNames: [String]

    /// `live`: with the parameters of the last step, also where their average was kept. `truncation`: with the values
    /// of normal latents within ± so much; throws 78 for uniform ones. `backward`: with memory for gradients with
    /// respect to latents.
    public init(
        _ checkpoint: Checkpoint, live: Bool = false, truncation: Float? = nil, backward: Bool = false
    ) throws {
        configuration = try checkpoint.generatorConfiguration()
        step = checkpoint.contents.step
        guard truncation == nil || configuration.latent.distribution == .normal else {
            throw Failure(
                .badConfiguration,
                "--truncation is of normal latents, and those of \(checkpoint.path) are uniform, within ±√3 already",
                remedy: "Leave it out.")
        }
        network = try checkpoint.generator(configuration, capacity: Self.capacity, live: live, backward: backward)
        codes = try checkpoint.codes(configuration)
        sampler = Sampler(
            network, configuration.latent, try checkpoint.conditioning(configuration), truncation: truncation,
            codes: codes)
        labelNames = (checkpoint.contents.string("label_names") ?? "").split(separator: "\n").map(String.init)
    }

    /// Examples that go through the network at once.
    static let capacity = 64

    /// Whether there is one, and not only noise that a discriminator alone began with.
    public var hasGenerator: Bool { !(configuration is DiscriminatorConfiguration) }

    /// Throws 78 where there is none.
    public func requireGenerator() throws(Failure) {
        guard !hasGenerator else { return }
        throw Failure(
            .badConfiguration, "\(configuration.name) has no generator (model.kind: discriminator)",
            remedy: "gan-dist sample makes a file of its negatives, which gan-dist evaluate --samples takes.")
    }

    /// Writes `count` examples as a PNG grid or, where `path` does not end in `.png`, as an HDF5 dataset of the
    /// program's own form, with their latents if wanted. Each rank makes its part of them, rank 0 writes; the bits do
    /// not depend on their number. Collective.
    ///
    /// `request`: of which condition; the dataset has the labels, or the vectors, as `/labels` or `/conditions`.
    /// `method`: how they are made, with the discriminator of `checkpoint` where it has a part in it.
    public func write(
        count: Int, seed: UInt64, latents: Bool, to path: String, _ request: ConditionRequest,
        by method: SamplingMethod = SamplingMethod(), of checkpoint: Checkpoint,
        _ communicator: any Communicator, _ console: Console
    ) throws {
        let draws = Draws(seed: seed, purpose: .sample, step: 0), isPicture = path.hasSuffix(".png")
        let grid = try communicator.agreed(namingRank: false) {
            isPicture ? try classGrid(count: count, request) : nil
        }
        let conditions = try communicator.agreed(namingRank: false) {
            try grid?.conditions ?? self.conditions(count: count, draws, request)
        }
        let maker = try maker(by: method, checkpoint, seed: seed, request, communicator) ?? sampler
        if let most = maker.most, count > most {
            throw AgreedFailure(
                Failure(
                    .badConfiguration, "--count \(count): \(checkpoint.path) has \(most) negatives",
                    remedy: "Ask for at most so many, or for others with --by discriminator."))
        }
        let making = Making(maker: maker, count: count, draws: draws, conditions: conditions, console: console)
        guard isPicture else {
            let by = method.kind == .generator ? "" : " --by \(method.kind.rawValue)"
            return try writeDataset(
                making, latents: latents, source: "gan-dist sample\(by), seed \(seed)", to: path, communicator)
        }
        var values: [Float] = []
        try make(making, communicator) { values += $0 }
        try communicator.agreed(namingRank: false) {
            guard communicator.rank == 0 else { return }
            let scene = Scene(
                mixture: configuration.data.synthetic, around: values, dimension: sampler.shape.count)
            try Picture.of(
                FloatBuffer(values), count: count, shape: sampler.shape, range: sampler.range, columns: grid?.columns,
                scene: scene
            ).write(to: path)
        }
    }

    /// Examples to make, of these conditions where there are any.
    private struct Making {
        let maker: any ExampleMaker
        let count: Int
        let draws: Draws
        let conditions: FloatBuffer?
        let console: Console
    }

    /// Makes examples and gives them to `take` on rank 0, in their order, some at a time. Collective.
    private func make(
        _ making: Making, _ communicator: any Communicator, take: ([Float]) throws -> Void
    ) throws {
        // Whole batches of the network: then an example is made beside the same others on any number of ranks.
        let block = 4 * Self.capacity, ranks = communicator.size, width = network.condition?.width ?? 0
        let count = making.count, draws = making.draws
        var made: [[Float]] = []
        for round in stride(from: 0, to: count, by: block * ranks) {
            let mine: [Float] = try communicator.agreed(namingRank: false) {
                try made.forEach(take)
                making.console.progress(round, of: count, "sampling")
                let start = round + communicator.rank * block
                guard start < count else { return [] }
                let part = Draws(seed: draws.seed, purpose: draws.purpose, step: draws.step, firstSample: start)
                let end = min(start + block, count)
                let own = making.conditions.map { FloatBuffer($0.values[start * width ..< end * width].array) }
                return try making.maker.samples(count: end - start, part, conditions: own).array
            }
            let all = try communicator.gather(values: mine)
            if communicator.rank == 0 { made = all }
        }
        try communicator.agreed(namingRank: false) { try made.forEach(take) }
    }

    private func writeDataset(
        _ making: Making, latents: Bool, source: String, to path: String, _ communicator: any Communicator
    ) throws {
        let count = making.count
        var range: [Double]?
        if case .image = sampler.shape {
            range = [Double(sampler.range.lowerBound), Double(sampler.range.upperBound)]
        }
        let description = DatasetDescription(
            name: "samples of \(configuration.name) at step \(step)", source: source,
            license: "that of the training data",
            dimensions: [count] + sampler.shape.dimensions, element: .float32, range: range)
        let bounds = sampler.range
        // A linear output goes beyond what black and white are, which no dataset may.
        func cut(_ values: [Float]) -> [Float] {
            range == nil ? values : values.map { min(max($0, bounds.lowerBound), bounds.upperBound) }
        }
        var agreed: AgreedFailure?
        let outcome = Result {
            guard communicator.rank == 0 else { return try make(making, communicator) { _ in } }
            try DatasetWriter.write(path, description) { (writer) throws(Failure) in
                do {
                    try make(making, communicator) { try writer.append(cut($0)) }
                } catch {
                    agreed = error as? AgreedFailure
                    throw Failure.of(error)
                }
                if let conditions = making.conditions, let settings = configuration.condition {
                    if case .vector(let size) = settings.condition {
                        writer.conditions = (size, conditions.array)
                    } else {
                        writer.labels = conditions.array.map { settings.labels[Int($0)] }
                    }
                }
                if latents {
                    writer.latents = (
                        configuration.latent.size, sampler.latents(count: count, making.draws).flatMap { $0 }
                    )
                }
            }
        }
        if case .failure(let error as AgreedFailure) = outcome { throw error }
        if let agreed { throw agreed }
        try communicator.agreed(namingRank: false) { try outcome.get() }
    }
}

/// The discriminator of a checkpoint, to be asked about examples; not one that judges codes too.
public final class DiscriminatorModel {
    /// Examples that it judges as one.
    public let packing: Int
    /// What it was trained on: the range of the generator's output.
    public let range: ClosedRange<Float>
    /// Whether its logits are log-odds: only then their sigmoid is a probability.
    public let isLogOdds: Bool
    /// Whether it judges examples together with their conditions.
    public let isConditional: Bool
    /// The same, to be asked for gradients; nil without memory for them, or where it judges an example by those beside
    /// it.
    public let trained: TrainedDiscriminator?
    private let network: Network
    private let packs: Packing
    private let exampleShape: Shape
    /// Packs that go through the network at once.
    private static let capacity = 64

    /// `backward`: with memory for gradients, of which ``trained`` makes use.
    public init(_ checkpoint: Checkpoint, backward: Bool = false) throws {
        let configuration = try Configuration(stored: checkpoint.configuration(), source: checkpoint.path)
        range = configuration.outputRange
        isLogOdds = configuration.objective.isLogOdds
        isConditional = configuration.condition != nil
        packing = configuration.training.packing
        exampleShape = try configuration.exampleShape()
        packs = Packing(size: packing, example: exampleShape, capacity: Self.capacity * packing)
        network = try checkpoint.discriminator(
            configuration, input: packs.shape, capacity: Self.capacity, backward: backward)
        trained = backward && !TrainedDiscriminator.couplesExamples(network) ? TrainedDiscriminator(network) : nil
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
    /// other. `backward`: with memory for gradients.
    public func network(
        _ layers: [any Layer], input: Shape, capacity: Int, name: String, backward: Bool = false
    ) throws(Failure) -> Network {
        let network: Network
        do {
            network = try Network(layers, input: input, capacity: capacity, name: name, isTrained: backward)
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

    /// The configuration of the run that wrote it; throws 78 where that has no network which makes examples.
    public func generatorConfiguration() throws(Failure) -> any GeneratorConfiguration {
        let yaml = try configuration()
        if let found = try ModelConfiguration(stored: yaml, source: path).generator { return found }
        return try Configuration(stored: yaml, source: path)
    }

    /// The network that makes examples, with its average, where one was kept and `live` does not ask for the last
    /// step's parameters. Running statistics are always the last step's.
    func generator(
        _ configuration: any GeneratorConfiguration, capacity: Int, live: Bool = false, backward: Bool = false
    ) throws(Failure) -> Network {
        let name = configuration.maker.name
        let isSpectral = (configuration as? Configuration)?.spectralPlayers.contains(.generator) ?? false
        let network = try network(
            configuration.maker, configuration.generator, input: .vector(configuration.latent.size),
            capacity: capacity, isSpectral: isSpectral, backward: backward)
        guard !live, configuration.average != nil else { return network }
        for array in network.store.named(network.store.values.values) {
            try copy("average/\(name)/\(array.name)", to: array.values)
        }
        return network
    }

    /// The network of a discriminator without a generator.
    func discriminator(
        _ configuration: DiscriminatorConfiguration, capacity: Int, backward: Bool = false
    ) throws(Failure) -> Network {
        try network(
            .discriminator, configuration.discriminator, input: configuration.training.example, capacity: capacity,
            backward: backward)
    }

    /// What it was last trained against.
    func negatives(_ training: DiscriminatorTraining) throws(Failure) -> StoredExamples {
        let values = FloatBuffer(count: training.negatives * training.example.count)
        try copy("negatives", to: values.values)
        return StoredExamples(values, shape: training.example)
    }

    /// The network that judges examples, or packs of them, of a game.
    func discriminator(
        _ configuration: Configuration, input: Shape, capacity: Int, backward: Bool = false
    ) throws(Failure) -> Network {
        try network(
            .discriminator, configuration.discriminator, input: input, capacity: capacity,
            isSpectral: configuration.spectralPlayers.contains(.discriminator), backward: backward)
    }

    /// A player's network with the parameters that it computes with: weights divided by their spectral norm, where
    /// training does so.
    func network(
        _ role: Player.Role, _ layers: [any Layer], input: Shape, capacity: Int, isSpectral: Bool = false,
        backward: Bool = false
    ) throws(Failure) -> Network {
        let network = try network(layers, input: input, capacity: capacity, name: role.name, backward: backward)
        let store = network.store, values = store.values.values
        guard let spectral = SpectralNormalisation(of: store, all: isSpectral, seed: 0, role: role.rawValue) else {
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

    /// The parameters and running statistics of all networks, as ``GeneratorModel`` has them, and the distribution of
    /// an autoencoder's codes, under the names of a checkpoint; copies, for the networks do not outlive this call.
    public func networkArrays(live: Bool) throws -> [CheckpointArray] {
        let configuration = try generatorConfiguration(), example = try configuration.exampleShape()
        var networks = [try generator(configuration, capacity: 1, live: live)]
        if let game = configuration as? Configuration {
            let packed = Packing(size: game.training.packing, example: game.game.judged(example), capacity: 1)
            networks.append(try discriminator(game, input: packed.shape, capacity: 1))
        } else if let alone = configuration as? DiscriminatorConfiguration {
            networks.append(try discriminator(alone, capacity: 1))
        }
        if let layers = configuration.encoderLayers {
            networks.append(try network(.encoder, layers, input: example, capacity: 1))
        }
        let codes = ["code/mean", "code/covariance"].compactMap(contents.array)
        return codes
            + networks.flatMap { network -> [CheckpointArray] in
                let store = network.store, name = network.name
                return store.entries.map {
                    CheckpointArray(
                        path: "\(name)/\($0.name)", dimensions: $0.specification.dimensions,
                        layout: $0.specification.layout, values: $0.values(in: store.values.values).array)
                }
                    + store.statisticEntries.map {
                        CheckpointArray(
                            path: "\(name)/statistics/\($0.name)", dimensions: [$0.range.count], layout: "C",
                            values: store.statistics.values[$0.range].array)
                    }
            }
    }
}
