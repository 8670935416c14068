import Collectives
import Kernels
import Nets

/// LeCam's regulariser of the discriminator: Tseng et al. 2021, "Regularizing generative adversarial networks under
/// limited data", eq. 4: weight · (mean max(0, s_x − ȳ)² + mean max(0, x̄ − s_y)²), where x̄ and ȳ are moving averages
/// of the mean logits of real and of generated examples, this minibatch's taken in, and constants in backward.
public struct LeCam: Sendable {
    public let weight: Schedule
    /// x̄ ← decay · x̄ + (1 − decay) · (this minibatch's mean); the first minibatch's mean is taken whole.
    public let decay: Double

    public init(weight: Schedule = 0.3, decay: Double = 0.99) { (self.weight, self.decay) = (weight, decay) }
}

/// The regulariser with its averages, which are of the *global* minibatches' means.
final class LeCamPass {
    private let settings: LeCam
    private let rows: Int
    /// In the update of D at hand.
    private var weight = 0.0
    private let sums: ShardSums
    /// x̄ and ȳ: state.
    let means = FloatBuffer(count: 2)

    init(_ settings: LeCam, rows: Int, _ table: ShardTable, _ communicator: any Communicator) {
        (self.settings, self.rows) = (settings, rows)
        sums = ShardSums(count: 2, table: table, communicator: communicator)
    }

    /// Takes in the logits of an update of D, the first of the run or a later one. Collective.
    func update(_ logits: Batch, _ group: ShardGroup, isFirst: Bool, at progress: Progress) throws {
        weight = settings.weight.value(at: progress)
        for (part, shard) in group.shards.enumerated() {
            let figures = LogitFigures(group.halves(of: logits.values, part))
            sums[shard: shard, 0] = figures.real
            sums[shard: shard, 1] = figures.fake
        }
        try sums.sum()
        for half in 0 ..< 2 {
            let mean = sums.totals[half] / Double(rows), decay = isFirst ? 0 : settings.decay
            means.values[half] = Float(decay * Double(means.values[half]) + (1 - decay) * mean)
        }
    }

    /// Adds the derivatives to the slopes of a shard's rows; returns the sum of their costs.
    func add(real: Floats, fake: Floats, to slopes: (real: Floats, fake: Floats)) -> Double {
        let meanReal = Double(means.values[0]), meanFake = Double(means.values[1])
        var cost = 0.0
        for row in 0 ..< real.count {
            let excess = max(0, Double(real[row]) - meanFake)
            cost += weight * excess * excess
            slopes.real[row] += Float(2 * weight * excess / Double(rows))
        }
        for row in 0 ..< fake.count {
            let excess = max(0, meanReal - Double(fake[row]))
            cost += weight * excess * excess
            slopes.fake[row] -= Float(2 * weight * excess / Double(rows))
        }
        return cost
    }
}
