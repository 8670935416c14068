import Collectives
import Kernels
import Nets

/// What is trained, and how: the two networks, the game that they play, and how they take turns. A plain value; a
/// program fills it in, or a configuration file does.
public struct Game: Sendable {
    /// Layers from a latent to an example, and from an example (or a pack of them) to one logit.
    public var generator: [any Layer]
    public var discriminator: [any Layer]
    public var latent: Latent
    /// A third player; nil: there are two.
    public var encoder: Encoder?
    /// What both networks are told of each example beside it; nil: nothing.
    public var conditioning: Conditioning?
    public var objective: any Objective
    /// Terms of the discriminator's cost beside the objective's.
    public var penalties: [Penalty]
    /// LeCam's regulariser of the discriminator.
    public var leCam: LeCam?
    /// Of all that the discriminator judges.
    public var augmentation: Augmentation?
    /// Players of which every weight is divided by its spectral norm; of the others, those whose layers say so.
    public var spectralPlayers: Set<Player.Role>
    /// Of the generator's parameters.
    public var average: AverageSettings?
    public var generatorOptimiser: OptimiserSettings
    public var discriminatorOptimiser: OptimiserSettings
    /// What one alternation step is.
    public var updates: [Update]
    /// Examples in a global minibatch, over all ranks.
    public var batch: Int
    /// Examples that the discriminator judges as one pack: Lin et al. 2018, "PacGAN".
    public var packing: Int
    /// Every random number of a run is a function of it.
    public var seed: UInt64
    /// How gradients are summed over the ranks, and travel between nodes.
    public var exchange: GradientSum.Kind
    public var precision: GradientSum.Precision

    /// The defaults are those of DCGAN (Radford et al. 2016): Adam with β₁ ½ at 2·10⁻⁴, minibatches of 64, a step of
    /// each player in turn, the non-saturating cost.
    public init(
        generator: [any Layer], discriminator: [any Layer], latent: Latent = Latent(size: 100),
        encoder: Encoder? = nil, conditioning: Conditioning? = nil, objective: any Objective = StandardObjective(),
        penalties: [Penalty] = [],
        leCam: LeCam? = nil, augmentation: Augmentation? = nil, spectralPlayers: Set<Player.Role> = [],
        average: AverageSettings? = nil,
        generatorOptimiser: OptimiserSettings = OptimiserSettings(.adam(beta1: 0.5, beta2: 0.999, epsilon: 1e-8)),
        discriminatorOptimiser: OptimiserSettings = OptimiserSettings(.adam(beta1: 0.5, beta2: 0.999, epsilon: 1e-8)),
        updates: [Update] = Update.alternating(discriminatorSteps: 1), batch: Int = 64, packing: Int = 1,
        seed: UInt64 = 1, exchange: GradientSum.Kind = .ordered, precision: GradientSum.Precision = .float32
    ) {
        self.generator = generator
        self.discriminator = discriminator
        self.latent = latent
        self.encoder = encoder
        self.conditioning = conditioning
        self.objective = objective
        self.penalties = penalties
        self.leCam = leCam
        self.augmentation = augmentation
        self.spectralPlayers = spectralPlayers
        self.average = average
        self.generatorOptimiser = generatorOptimiser
        self.discriminatorOptimiser = discriminatorOptimiser
        self.updates = updates
        self.batch = batch
        self.packing = packing
        self.seed = seed
        self.exchange = exchange
        self.precision = precision
    }

    /// Packs in a global minibatch: what the discriminator decides on.
    public var packs: Int { batch / packing }

    /// k of Algorithm 1: updates of the discriminator in a step.
    public var discriminatorSteps: Int { updates.count { $0.moves(.discriminator) } }

    /// Minibatches of real examples that a step takes: one for each update whose costs need them; with an encoder one
    /// for each update of the discriminator, which the others share.
    public var minibatchesOfStep: Int { encoder == nil ? updates.count(where: needsReals) : discriminatorSteps }

    func needsReals(_ update: Update) -> Bool {
        update.moves(.discriminator) || objective.isRelativistic || encoder != nil
    }

    /// Whether an update before which a step has taken so many minibatches takes the next one, or has the last again.
    func takesNewReals(_ update: Update, after taken: Int) -> Bool {
        encoder == nil || taken == 0 || update.moves(.discriminator) && update.inner > 0
    }

    /// Whether generated example i of an update has the condition of the real one beside it, rather than one that is
    /// drawn: where costs are of pairs, and where a penalty looks at what lies between the two.
    var pairsShareConditions: Bool { objective.isRelativistic || penaltyPlaces.contains(.between) }

    var penaltyPlaces: PenaltyPlaces { penalties.reduce(into: []) { $0.insert($1.place) } }

    /// Whether a layer needs all shards of a minibatch at once.
    public var normalisesMinibatches: Bool { allLayers.contains { $0 is any MinibatchLayer } }

    /// Of all players, those within residuals too.
    private var allLayers: [any Layer] {
        [generator, discriminator, encoder?.layers ?? []].flatMap { NetworkNode.list(of: $0).map(\.layer) }
    }

    /// Whether a layer or the objective does.
    package var needsWholeMinibatches: Bool {
        normalisesMinibatches || objective is any MinibatchObjective || leCam != nil
    }
}

/// The noise z that the generator is given.
public struct Latent: Sendable {
    /// N(0, I), or U(−√3, √3), which has the same variance.
    public enum Distribution: String, CaseIterable, Sendable { case normal, uniform }

    public let size: Int
    public let distribution: Distribution

    public init(size: Int, distribution: Distribution = .normal) {
        (self.size, self.distribution) = (size, distribution)
    }
}

/// Where the real examples come from: global minibatch after global minibatch, of each this rank's rows.
public protocol MinibatchSource: AnyObject {
    /// This rank's rows of minibatch `number`, [rows, …shape], counted from 0. Valid until the next call.
    func minibatch(_ number: Int) throws -> Floats
    /// The examples of the whole global minibatch, in its order: for traces.
    func indices(minibatch number: Int) -> [Int]
    /// How often all examples have been used when minibatch `number` begins.
    func epoch(minibatch number: Int) -> Int
    /// The conditions of the rows that ``minibatch(_:)`` returned last, ``Condition/width`` numbers each; none where
    /// the examples have none.
    var conditions: Floats { get }
}

extension MinibatchSource {
    public var conditions: Floats { .none }
}

/// Told of everything random and of every result of a step, so that another program can repeat it.
/// `inner`: the discriminator's update within the step, or nil for one that it has no part in.
public protocol StepTrace: AnyObject {
    /// What is told next of no update of the discriminator is of this one.
    func begin(_ update: Update)
    /// This rank's `range` of a minibatch of real examples of `shape`; `indices` of all of it.
    func real(_ inner: Int?, _ rows: Floats, range: Range<Int>, indices: [Int], shape: Shape)
    /// The latents of `rows` of the minibatch.
    func noise(_ noise: Batch, inner: Int?, rows: Range<Int>)
    /// The conditions of `rows` of the real examples, or of the generated ones.
    func conditions(_ values: Floats, of condition: Condition, areReal: Bool, inner: Int?, rows: Range<Int>)
    /// The dropout masks of the last forward of the discriminator, or of the generator.
    func masks(of network: Network, inner: Int?)
    /// What the penalties of a group's packs have drawn, of `dimensions` a pack: one number, or one a value of it.
    func penaltyDraws(_ name: String, _ values: Floats, dimensions: [Int], inner: Int, packs: Range<Int>)
    /// The sum over all ranks.
    func gradient(_ gradient: Floats, of player: Player, inner: Int)
    /// What augmentation has drawn for the examples of a group: U(0, 1), so many each.
    func augmentation(_ draws: Floats, probability: Double, inner: Int?, rows: Range<Int>)
    func losses(inner: Int?, _ losses: KeyValuePairs<String, Double>)
    /// What the step has left of state that is no player's.
    func state(_ arrays: [StateArray])
    /// The step is over. Collective.
    func finishStep(_ players: [Player]) throws
}

extension StepTrace {
    public func conditions(_ values: Floats, of condition: Condition, areReal: Bool, inner: Int?, rows: Range<Int>) {}
    public func state(_ arrays: [StateArray]) {}
    public func begin(_ update: Update) {}
}
