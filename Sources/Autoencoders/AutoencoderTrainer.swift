import Adversarial
import Collectives
import Kernels
import Nets
import Support

/// An autoencoder and the step that trains it, data-parallel over shards as ``Trainer`` is. A variational one: Kingma &
/// Welling 2014 (arXiv:1312.6114), algorithm 1 with one code an example.
///
/// The gradient that updates both networks is that of their mean cost over the global minibatch: each shard adds the
/// gradient of its sum divided by B, and the shards' gradients are summed over all ranks in a fixed order.
public final class AutoencoderTrainer: NetworkTrainer {
    public let settings: Autoencoder
    public let encoder: Player
    public let decoder: Player
    public let shards: ShardTable
    public let communicator: any Communicator
    public private(set) var stepsDone = 0
    public var clock = PhaseClock()
    /// Told of the examples, the noise of their codes and every result of a step, where a trace is wanted; not of
    /// dropout's masks.
    public var trace: (any StepTrace)?
    public var watchdog: Watchdog?

    private let exampleShape: Shape
    private let reals: any MinibatchSource
    private let groups: [ShardGroup]
    private let encoderParts, decoderParts: [[BatchPart]]
    private let sums: AutoencoderSums
    /// Nil where codes are points; then their distribution.
    private let code: GaussianCode?
    private let codes: CodeDistribution?
    private let noise: FloatBuffer
    private let slopes: FloatBuffer
    /// The decoder as a generator, on its parameters.
    private let generator: Network

    public var players: [Player] { [encoder, decoder] }
    public var sharedState: [StateArray] { codes?.state ?? [] }
    public var batch: Int { settings.batch }
    public var seed: UInt64 { settings.seed }
    public var minibatchesOfStep: Int { 1 }

    /// The layer number in the draws' key: no layer of a network has it.
    static let noiseLayer = 255

    /// `reals` gives this rank's rows of minibatches of examples of `exampleShape`. Throws 78 where the networks, the
    /// examples and the shards do not fit each other. Collective.
    public init(
        _ settings: Autoencoder, exampleShape: Shape, reals: any MinibatchSource, shards: ShardTable,
        communicator: any Communicator
    ) throws {
        (self.settings, self.exampleShape, self.reals) = (settings, exampleShape, reals)
        (self.shards, self.communicator) = (shards, communicator)
        groups = ShardGroup.all(of: shards, batch: settings.batch, together: settings.needsWholeMinibatches)
        encoderParts = groups.map { $0.parts(for: .dropoutEncoder) }
        decoderParts = groups.map { $0.parts(for: .dropoutDecoder) }
        let together = groups[0].shards.count, capacity = shards.mostRowsOfAShard(batch: settings.batch)
        let training = Player.Training(
            seed: settings.seed, capacity: capacity, shards: together, table: shards, exchange: settings.exchange,
            precision: settings.precision,
            groups: try communicator.groupsOfOneCopy {
                (try? settings.sharedBytes(
                    example: exampleShape, shards: shards, group: communicator.nodeGroup, copies: $0)) ?? 0
            }, communicator)
        let parts = settings.players(example: exampleShape)
        let gradients = try parts.map { try Player.gradients($0, training) }
        encoder = try Player(parts[0], gradients[0], training)
        decoder = try Player(parts[1], gradients[1], training)
        try settings.check(encoder: encoder.network, decoder: decoder.network, example: exampleShape)
        let fewest = shards.fewestRowsOfAShard(batch: settings.batch)
        for network in [encoder.network, decoder.network] {
            try network.requireVariance(fewest: fewest, of: settings.batch)
        }
        generator = try Network(
            settings.generator, input: .vector(settings.codeSize), capacity: capacity, name: decoder.role.name,
            isTrained: false, store: decoder.network.store)
        let rows = together * capacity, size = settings.codeSize, isGaussian = settings.code == .gaussian
        code = isGaussian ? GaussianCode(size: size, capacity: rows) : nil
        codes = isGaussian ? nil : CodeDistribution(size: size, capacity: capacity)
        sums = AutoencoderSums([encoder, decoder], codes, table: shards, communicator)
        noise = FloatBuffer(count: rows * size)
        slopes = FloatBuffer(count: rows * exampleShape.count)
        for player in players { try player.begin() }
    }

    // MARK: - The step

    public func step(stopVote: Bool = false, checkpointVote: Bool = false) throws -> AutoencoderReport {
        clock = PhaseClock()
        var report = AutoencoderReport()
        (report.step, report.dimensions) = (stepsDone + 1, exampleShape.count)
        let examples = try nextExamples()
        enter(.encoder)
        for number in groups.indices { try timed(.compute) { try pass(number, examples) } }
        let progress = progress
        report.gradientNormDecoder = try move(decoder, inner: 0, at: progress).squareRoot()
        report.gradientNormEncoder = try move(encoder, inner: 0, at: progress).squareRoot()
        (report.rateDecoder, report.rateEncoder) = (
            decoder.optimiser.rate(at: progress), encoder.optimiser.rate(at: progress)
        )
        try timed(.communication) {
            try sums.finish(&report, batch: batch, stopVote: stopVote, checkpointVote: checkpointVote)
        }
        trace?.losses(inner: nil, ["loss_reconstruction": report.reconstruction])
        if let divergence = report.divergence { trace?.losses(inner: nil, ["loss_divergence": divergence]) }
        trace?.state(sharedState)
        try trace?.finishStep(players)
        stepsDone += 1
        return report
    }

    /// This rank's rows of the next global minibatch.
    private func nextExamples() throws -> Floats {
        enter(.data)
        let examples = try timed(.data) { try reals.minibatch(stepsDone) }
        trace?.real(
            nil, examples, range: shards.rows(batch: batch), indices: reals.indices(minibatch: stepsDone),
            shape: exampleShape)
        return examples
    }

    /// Adds the gradients of a group of shards, and its costs:
    ///
    ///     x → (μ, s) → z = μ + σ ε → y;  cost = −ln p(x | y) + KL(N(μ, σ²) ‖ N(0, I))
    ///
    /// Where codes are points: x → z → y; cost = −ln p(x | y).
    private func pass(_ number: Int, _ examples: Floats) throws {
        let group = groups[number], length = exampleShape.count, rows = group.rows.count
        let first = group.rows.lowerBound - shards.rows(batch: batch).lowerBound
        let input = Batch(examples[first * length ..< (first + rows) * length], count: rows, shape: exampleShape)
        let draws = Draws(seed: seed, purpose: .code, step: stepsDone, firstSample: group.rows.lowerBound)
        let description = try sums.forward(0, input, draws, encoderParts[number], group)
        let codes = code.map { $0.codes(description, noise: drawNoise(draws, group)) } ?? description
        let output = try sums.forward(1, codes, draws, decoderParts[number], group)
        for part in encoderParts[number] {
            sums.add(
                reconstruction: settings.reconstruction.cost(of: output[part.rows].values, input[part.rows].values),
                divergence: code.map { code in part.rows.reduce(0) { $0 + code.divergence(row: $1) } } ?? 0,
                shard: group.shards.lowerBound + part.shard)
            sums.add(codes: codes[part.rows], shard: group.shards.lowerBound + part.shard)
        }
        let weight = 1 / Float(batch), slopes = slopes.values[0 ..< rows * length]
        settings.reconstruction.slopes(of: output.values, input.values, factor: weight, into: slopes)
        let ofCodes = try decoder.backward(
            from: Batch(slopes, count: rows, shape: output.shape), inputGradient: true)!
        _ = try encoder.backward(
            from: code?.backward(from: ofCodes, divergence: weight) ?? ofCodes, inputGradient: false)
    }

    /// ε of the codes of a group.
    private func drawNoise(_ draws: Draws, _ group: ShardGroup) -> Floats {
        let rows = group.rows.count, noise = noise.values[0 ..< rows * settings.codeSize]
        draws.fillNormal(noise, samples: rows, layer: Self.noiseLayer)
        trace?.noise(Batch(noise, count: rows, shape: .vector(settings.codeSize)), inner: nil, rows: group.rows)
        return noise
    }

    private var progress: Progress {
        Progress(
            steps: stepsDone, epochs: reals.epoch(minibatch: stepsDone),
            examples: Double(stepsDone) * Double(batch), update: stepsDone + 1)
    }

    // MARK: - State

    public func resume(at step: Int) throws {
        stepsDone = step
        codes?.changed()
        for player in players { try player.resume() }
    }

    public func hashOfGradients() throws -> UInt64 {
        let count = shards.fewestRowsOfAShard(batch: batch), size = settings.codeSize
        let draws = Draws(seed: seed, purpose: .code, step: stepsDone)
        let noise = noise.values[0 ..< count * size]
        draws.fillNormal(noise, samples: count, layer: Self.noiseLayer)
        func forward(_ player: Player, _ input: Batch) throws -> Batch {
            try player.network.forward(input, parameters: player.parameters, mode: .training(draws))
        }
        let examples = try forward(decoder, Batch(noise, count: count, shape: .vector(size)))
        let description = try forward(encoder, examples), slopes = FloatBuffer(count: count * description.shape.count)
        slopes.values.fill(1 / Float(slopes.count))
        let ofExamples = try encoder.network.backward(
            from: Batch(slopes.values, count: count, shape: description.shape), parameters: encoder.parameters,
            into: encoder.slot, inputGradient: true)!
        _ = try decoder.network.backward(
            from: ofExamples, parameters: decoder.parameters, into: decoder.slot, inputGradient: false)
        return players.reduce(0) { Collectives.fingerprint(of: $1.slot, seed: $0 &+ $1.hashOfUpdate(at: progress)) }
    }

    public var sampler: Sampler {
        Sampler(generator, settings.latent, parameters: decoder.sampledParameters, codes: codes)
    }

    /// The two networks as they are, outside training.
    public var trained: TrainedAutoencoder {
        TrainedAutoencoder(
            settings.reconstruction, settings.code, encoder: (encoder.network, encoder.parameters),
            decoder: (decoder.network, decoder.parameters))
    }
}

extension CodeDistribution {
    /// Its arrays under their names in a checkpoint.
    var state: [StateArray] {
        [
            StateArray(name: "code/mean", dimensions: [size], layout: "C", values: mean.values),
            StateArray(name: "code/covariance", dimensions: [size, size], layout: "CC", values: covariance.values),
        ]
    }
}

extension Autoencoder {
    /// The encoder and the decoder.
    func players(example: Shape) -> [Player.Settings] {
        [
            Player.Settings(.encoder, encoder, encoderOptimiser, input: example),
            Player.Settings(.decoder, decoder, decoderOptimiser, input: .vector(codeSize)),
        ]
    }

    /// Bytes that the ranks of `group`, those of a node, want to share when they train it, with so many copies of the
    /// networks' state.
    public func sharedBytes(
        example: Shape, shards: ShardTable, group: Range<Int>, copies: Int = 1
    ) throws(ShapeError) -> Int {
        var bytes = 0
        for player in players(example: example) {
            bytes += try player.sharedBytes(shards: shards, group: group, copies: copies)
        }
        return bytes
    }

    /// That the networks fit each other and the examples.
    func check(encoder: Network, decoder: Network, example: Shape) throws(Failure) {
        guard encoder.outputShape == description else {
            let meaning = code == .gaussian ? "means and deviations of the" : "the"
            throw Failure(
                .badConfiguration,
                "configuration: encoder: its last layer makes \(encoder.outputShape) where it has to make "
                    + "\(description): \(meaning) \(codeSize) values of a code (latent.size)",
                remedy: "End it in - dense: {units: \(description.count)}, or change latent.size.")
        }
        guard decoder.outputShape == example else {
            throw Failure(
                .badConfiguration,
                "configuration: decoder: its last layer makes \(decoder.outputShape) where it has to make an example "
                    + "of the dataset, \(example)",
                remedy: "Change the decoder's last layers, or the data (data.fit: pad or resize for images of another "
                    + "size).")
        }
    }
}
