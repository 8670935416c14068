import Collectives
import Nets

/// A discriminator that is trained without a generator, and how: D as a generator, x̃ = argmax s(x), with a training
/// loop of its own. A plain value; a program fills it in, or a configuration file does.
///
///     negatives ← noise
///     for each round:
///         `updatesOfRound` times: move D down its cost on a minibatch of data against one of negatives
///         negatives ← what gradient ascent on s finds from them
public struct DiscriminatorTraining: Sendable {
    /// Where each value of a negative may be.
    public enum Bounds: String, CaseIterable, Sendable {
        case none
        /// 0 … 1.
        case unit
        /// −1 … 1.
        case symmetric
    }

    /// How negatives climb: `steps` times x ← clip(x + `stepSize` ∇ₓ s(x)), from noise that is uniform within the
    /// bounds, or normal of deviation `noise` where there are none.
    public struct Ascent: Sendable {
        public var steps: Int
        public var stepSize: Float
        public var noise: Float

        public init(steps: Int = 10, stepSize: Float = 0.01, noise: Float = 1) {
            (self.steps, self.stepSize, self.noise) = (steps, stepSize, noise)
        }
    }

    /// Layers from an example to one logit.
    public var discriminator: [any Layer]
    /// The shape of an example.
    public var example: Shape
    public var bounds: Bounds
    public var objective: any LogitObjective
    public var optimiser: OptimiserSettings
    public var negatives: Int
    public var updatesOfRound: Int
    public var ascent: Ascent
    /// Examples in a global minibatch, over all ranks, and as many negatives.
    public var batch: Int
    /// Every random number of a run is a function of it.
    public var seed: UInt64
    /// How gradients are summed over the ranks, and travel between nodes.
    public var exchange: GradientSum.Kind
    public var precision: GradientSum.Precision

    public init(
        discriminator: [any Layer], example: Shape, bounds: Bounds = .none,
        objective: any LogitObjective = StandardObjective(),
        optimiser: OptimiserSettings = OptimiserSettings(.adam(beta1: 0.5, beta2: 0.999, epsilon: 1e-8)),
        negatives: Int = 2048, updatesOfRound: Int = 10, ascent: Ascent = Ascent(), batch: Int = 64, seed: UInt64 = 1,
        exchange: GradientSum.Kind = .ordered, precision: GradientSum.Precision = .float32
    ) {
        (self.discriminator, self.example, self.bounds) = (discriminator, example, bounds)
        (self.objective, self.optimiser) = (objective, optimiser)
        (self.negatives, self.updatesOfRound, self.ascent) = (negatives, updatesOfRound, ascent)
        (self.batch, self.seed, self.exchange, self.precision) = (batch, seed, exchange, precision)
    }

    /// Layers without parameters that give noise the shape and the bounds of an example: what says of a generator
    /// what it makes says it of negatives.
    public var noiseLayers: [any Layer] {
        switch bounds {
        case .none: [Reshape(to: example)]
        case .unit: [Reshape(to: example), Sigmoid()]
        case .symmetric: [Reshape(to: example), Tanh()]
        }
    }

    public var latent: Latent { Latent(size: example.count) }

    var player: Player.Settings {
        var settings = Player.Settings(.discriminator, discriminator, optimiser, input: example)
        settings.halves = 2
        return settings
    }

    /// Bytes that the ranks of `group`, those of a node, want to share when they train it, with so many copies of the
    /// network's state.
    public func sharedBytes(shards: ShardTable, group: Range<Int>, copies: Int = 1) throws(ShapeError) -> Int {
        try player.sharedBytes(shards: shards, group: group, copies: copies)
    }

    /// Whether a layer needs all shards of a minibatch at once.
    var needsWholeMinibatches: Bool { NetworkNode.list(of: discriminator).contains { $0.layer is any MinibatchLayer } }
}
