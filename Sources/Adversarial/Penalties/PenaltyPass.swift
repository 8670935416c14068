import Kernels
import Nets

/// The penalties of a discriminator: which of them an update takes, the rows that they look at, and their gradients.
final class PenaltyPass {
    let penalties: [Penalty]
    /// Of all penalties.
    let places: PenaltyPlaces
    private let game: Game
    private let random: FloatBuffer
    /// This update's, at most one in a place.
    private var active: [(penalty: Penalty, weight: Double)] = []

    /// `values` of the rows of a group at most, of `rows` rows.
    init(_ game: Game, rows: Int, values: Int) {
        self.game = game
        penalties = game.penalties
        places = penalties.reduce(into: []) { $0.insert($1.place) }
        random = FloatBuffer(count: places.contains(.around) ? rows + values : places.contains(.between) ? rows : 0)
        active.reserveCapacity(penalties.count)
    }

    /// Chooses the penalties of an update of D; returns where they are taken.
    func begin(at progress: Progress) -> PenaltyPlaces {
        active.removeAll(keepingCapacity: true)
        var places: PenaltyPlaces = []
        for penalty in penalties where (progress.update - 1) % penalty.every == 0 {
            active.append((penalty, penalty.weight.value(at: progress)))
            places.insert(penalty.place)
        }
        return places
    }

    /// Writes the rows between and around, `real` and `fake` as D sees them, one after another into `target`, and tells
    /// the trace what was drawn.
    func fill(
        _ target: Floats, real: Batch, fake: Batch, _ places: PenaltyPlaces, _ draws: (Purpose) -> Draws,
        trace: (_ name: String, _ values: Floats, _ dimensions: [Int]) -> Void
    ) {
        let count = real.values.count, size = real.shape.count
        var start = 0
        if places.contains(.between) {
            let share = random.values[0 ..< real.count]
            draws(.interpolation).fillUniform(share, samples: real.count, low: 0, high: 1)
            trace("interpolation", share, [])
            for index in 0 ..< count {
                let epsilon = share[index / size]
                target[index] = epsilon * real.values[index] + (1 - epsilon) * fake.values[index]
            }
            start += count
        }
        guard places.contains(.around), let deviation = deviation else { return }
        let share = random.values[0 ..< real.count], direction = random.values[real.count ..< real.count + count]
        draws(.perturbation).fillUniform(share, samples: real.count, layer: 0, low: 0, high: 1)
        draws(.perturbation).fillUniform(direction, samples: real.count, layer: 1, low: 0, high: 1)
        trace("perturbation", share, [])
        trace("perturbation_direction", direction, [size])
        for index in 0 ..< count {
            target[start + index] =
                real.values[index] + share[index / size] * (0.5 * deviation * direction[index])
        }
    }

    private var deviation: Float? {
        for penalty in penalties { if case .dragan(_, let deviation) = penalty.kind { return Float(deviation) } }
        return nil
    }

    /// Puts the penalties' derivatives with respect to g in the place of g, for the rows of penalised parts, and adds
    /// costs and norms to the statistics.
    func direct(
        _ gradient: Batch, _ parts: [BatchPart], _ group: ShardGroup, _ inner: Int, _ statistics: StepStatistics
    ) {
        for part in parts where part.isPenalised {
            let place = Self.place(of: part)
            guard let (penalty, weight) = active.first(where: { $0.penalty.place == place }) else { continue }
            for row in part.rows {
                let g = gradient[row ..< row + 1].values, squared = Reductions.squaredNorm(of: g)
                let cost = penalty.cost(norm: squared.squareRoot(), weight: weight)
                statistics.add(
                    penalty: cost.value, squaredNorm: squared, at: place, inner: inner,
                    shard: group.shards.lowerBound + part.shard)
                let factor = Float(Double(penalty.every) * cost.factor / Double(game.packs))
                for index in 0 ..< g.count { g[index] *= factor }
            }
        }
    }

    private static func place(of part: BatchPart) -> PenaltyPlaces {
        switch part.purpose {
        case .dropoutReal: .real
        case .dropoutFake: .fake
        case .dropoutBetween: .between
        default: .around
        }
    }
}
