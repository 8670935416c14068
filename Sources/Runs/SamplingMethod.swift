import Adversarial
import Collectives
import Kernels
import Nets
import Recipes
import Support

/// How examples are made of a trained pair of networks.
public struct SamplingMethod: Sendable {
    public enum Kind: String, CaseIterable, Sendable {
        /// G(z), and nothing else; of a discriminator without a generator its negatives.
        case generator
        /// ``DiscriminatorAscent``.
        case discriminator
        /// ``RejectionSampler``.
        case rejection
        /// ``LangevinSampler``.
        case langevin
    }

    public var kind = Kind.generator
    /// Of ascent or of a chain; nil: ``standardSteps``.
    public var steps: Int?
    /// η of ascent, ε of a chain; nil: ``standardStepSize``.
    public var stepSize: Float?
    /// The deviation of what ascent starts from, where nothing bounds the examples.
    public var noise: Float?
    /// Candidates that rejection sampling knows the logits of beforehand.
    public var burnIn = 10_000
    /// γ of rejection sampling is this percentile of the burn-in's F̂; 80 in its paper's experiments with images.
    public var percentile = 80.0

    public init() {}

    public static let standardSteps = 100
    public static let standardNoise: Float = 1
    /// 0.1 for ascent; for a chain 0.01, whose noise has the deviation of 0.1.
    public var standardStepSize: Float { kind == .langevin ? 0.01 : 0.1 }

    /// Whether it asks G for gradients.
    public var needsBackward: Bool { kind == .langevin }
}

extension GeneratorModel {
    /// What makes this generator's examples by `method`, with the checkpoint's discriminator; nil for G alone. Throws
    /// 78 where that discriminator cannot be asked. `request`, `seed`: as of the examples to make; rejection sampling
    /// first makes others of their kind. Collective.
    public func maker(
        by method: SamplingMethod, _ checkpoint: Checkpoint, seed: UInt64, _ request: ConditionRequest,
        _ communicator: any Communicator
    ) throws -> (any ExampleMaker)? {
        if let alone = configuration as? DiscriminatorConfiguration {
            return try communicator.agreed { try maker(by: method, checkpoint, of: alone) }
        }
        guard method.kind != .generator else { return nil }
        let discriminator = try communicator.agreed { try checkpoint.discriminator(for: method.kind) }
        let steps = method.steps ?? SamplingMethod.standardSteps, size = method.stepSize ?? method.standardStepSize
        switch method.kind {
        case .generator: return nil
        case .discriminator:
            return DiscriminatorAscent(
                sampler, discriminator, steps: steps, stepSize: size,
                deviation: method.noise ?? SamplingMethod.standardNoise)
        case .langevin: return LangevinSampler(sampler, discriminator, steps: steps, stepSize: size)
        case .rejection:
            let logits = try burnIn(method.burnIn, seed: seed, request, discriminator, communicator)
            return RejectionSampler(
                sampler, discriminator, AcceptanceRule(burnIn: logits, percentile: method.percentile))
        }
    }

    /// Of a discriminator without a generator: its negatives, or what ascent finds from other noise.
    private func maker(
        by method: SamplingMethod, _ checkpoint: Checkpoint, of alone: DiscriminatorConfiguration
    ) throws(Failure) -> any ExampleMaker {
        let training = alone.training
        switch method.kind {
        case .generator: return try checkpoint.negatives(training)
        case .discriminator:
            let network = try checkpoint.discriminator(
                alone, capacity: GeneratorModel.capacity, backward: true)
            return DiscriminatorAscent(
                sampler, TrainedDiscriminator(network), steps: method.steps ?? SamplingMethod.standardSteps,
                stepSize: method.stepSize ?? training.ascent.stepSize,
                deviation: method.noise ?? training.ascent.noise)
        case .rejection, .langevin:
            throw Failure(
                .badConfiguration, "--by \(method.kind.rawValue) asks a generator, and \(checkpoint.path) has none",
                remedy: "Leave --by out for its negatives, or use --by discriminator.")
        }
    }

    /// The logits of a burn-in, in any order: each rank makes a part of it.
    private func burnIn(
        _ count: Int, seed: UInt64, _ request: ConditionRequest, _ discriminator: TrainedDiscriminator,
        _ communicator: any Communicator
    ) throws -> [Float] {
        let block = 256, width = network.condition?.width ?? 0
        let mine = try communicator.agreed(namingRank: false) {
            let conditions = try self.conditions(count: count, RejectionSampler.burnInDraws(seed: seed), request)
            var logits: [Float] = []
            for start in stride(from: communicator.rank * block, to: count, by: communicator.size * block) {
                let rows = start ..< min(start + block, count)
                let own = conditions.map {
                    FloatBuffer($0.values[rows.lowerBound * width ..< rows.upperBound * width].array)
                }
                logits += try RejectionSampler.burnIn(rows, seed: seed, own, sampler, discriminator)
            }
            return logits
        }
        return try communicator.gather(values: mine).flatMap { $0 }
    }
}

extension Checkpoint {
    /// The discriminator, to be asked about single examples; throws 78 where the answer would not mean what `kind`
    /// takes it for.
    func discriminator(for kind: SamplingMethod.Kind) throws(Failure) -> TrainedDiscriminator {
        let configuration = try Configuration(stored: configuration(), source: path)
        func refusal(_ why: String) -> Failure {
            Failure(
                .badConfiguration, "--by \(kind.rawValue) cannot ask the discriminator of \(path): \(why)",
                remedy: "Leave --by out, or train without that.")
        }
        guard configuration.encoder == nil else {
            throw refusal("it judges codes, or pairs of an example and its code (model.kind)")
        }
        guard configuration.training.packing == 1 else {
            throw refusal("it judges packs of \(configuration.training.packing) examples (training.packing)")
        }
        guard kind == .discriminator || configuration.objective.isLogOdds else {
            throw refusal(
                "its logits are no log-odds, as only those of objective.loss: standard are, and say no ratio of "
                    + "densities")
        }
        let network = try self.discriminator(
            configuration, input: try configuration.exampleShape(), capacity: GeneratorModel.capacity, backward: true)
        guard !TrainedDiscriminator.couplesExamples(network) else {
            throw refusal("it judges an example by those beside it (minibatch_deviation)")
        }
        return TrainedDiscriminator(network)
    }
}
