import Adversarial
import Collectives
import Foundation
import Kernels
import Nets
import Recipes
import Storage
import Support

/// Stores everything random and every result of the first steps of a run, so that another program can repeat them
/// exactly.
///
/// Arrays are of the whole global minibatch in its order, whatever the number of ranks: each rank fills its own rows
/// of a zeroed array, and the rows are added up over the ranks, which changes no bit of them.
public final class TraceRecorder: StepTrace {
    private let steps: Int
    /// The folder of what belongs to no update of the discriminator: the name of who else moves.
    private var ownPlace: String
    private let batch: Int
    private let packsInBatch: Int
    private let communicator: any Communicator
    /// Nil on ranks other than the first.
    private var file: TraceWriter?
    /// This step's arrays of the minibatch, and those that every rank has whole, in the order of their making.
    private var shared: [(path: String, dimensions: [Int], values: FloatBuffer)] = []
    private var whole: [TraceArray] = []
    private var step: Int

    /// `examples` of the dataset.
    init(
        file path: String, steps: Int, examples: Int, _ trainer: any NetworkTrainer,
        _ configuration: any GeneratorConfiguration, _ communicator: any Communicator
    ) throws {
        self.steps = trainer.stepsDone + steps
        self.communicator = communicator
        let game = (trainer as? Trainer)?.game
        ownPlace = game == nil ? "autoencoder" : "generator"
        batch = trainer.batch
        packsInBatch = game?.packs ?? batch
        step = trainer.stepsDone
        guard communicator.rank == 0 else { return }
        var attributes: [(String, AttributeValue)] = [
            ("config", .string(configuration.yaml)), ("program_version", .string(Program.version)),
            ("examples", .integer(examples)),
        ]
        for penalty in game?.penalties ?? [] {
            if case .dragan(_, let deviation) = penalty.kind { attributes.append(("deviation", .double(deviation))) }
        }
        let file = try TraceWriter(path, attributes: attributes)
        try file.append(
            trainer.players.flatMap { player in
                let place = "initial/\(player.role.name)/"
                return Self.parameters(of: player, at: place) + Self.spectral(of: player, at: place)
            })
        self.file = file
    }

    private static func parameters(of player: Player, at place: String) -> [TraceArray] {
        let store = player.network.store
        return store.named(store.values.values).map { TraceArray(place + $0.name, $0.dimensions, $0.values.array) }
    }

    /// The vectors that the next update's spectral norms are of.
    private static func spectral(of player: Player, at place: String) -> [TraceArray] {
        (player.spectral?.named ?? []).map { TraceArray(place + "spectral/\($0.name)", $0.dimensions, $0.values) }
    }

    private var isOver: Bool { step >= steps }
    private var group: String { String(format: "steps/%06d", step) }
    /// The place of what belongs to the discriminator's inner step, or (nil) to an update of others.
    private func path(_ inner: Int?) -> String { group + (inner.map { "/discriminator/\($0)" } ?? "/\(ownPlace)") }

    // MARK: - What the trainer tells

    public func begin(_ update: Update) {
        guard update.players != [.discriminator] else { return }
        ownPlace = update.reconstructs ? "reconstruction" : update.moves(.generator) ? "generator" : "encoder"
    }

    public func real(_ inner: Int?, _ rows: Floats, range: Range<Int>, indices: [Int], shape: Shape) {
        guard !isOver else { return }
        fill(path(inner) + "/real", shape.dimensions, rows, range)
        whole.append(TraceArray(path(inner) + "/real_index", indices: indices))
    }

    public func noise(_ noise: Batch, inner: Int?, rows: Range<Int>) {
        guard !isOver else { return }
        fill(path(inner) + "/noise", noise.shape.dimensions, noise.values, rows)
    }

    /// `label` and `real_label`, the numbers of classes, or `condition` and `real_condition`, the vectors.
    public func conditions(_ values: Floats, of condition: Condition, areReal: Bool, inner: Int?, rows: Range<Int>) {
        guard !isOver else { return }
        let place = path(inner) + (areReal ? "/real_" : "/")
        switch condition {
        case .classes: fill(place + "label", [], values, rows)
        case .vector(let numbers): fill(place + "condition", [numbers], values, rows)
        }
    }

    /// The dropout masks of the last forward of D, of its inner step or (nil) of the generator's update; or those of
    /// the generator in either.
    public func masks(of network: Network, inner: Int?) {
        guard !isOver else { return }
        let masks = network.dropoutMasks
        // Of generated examples alone, where the generator's cost is of no others.
        let isAlone = masks.allSatisfy { $0.part.purpose == .dropoutGenerator }
        for (name, part, mask) in masks {
            let rows = part.firstSample ..< part.firstSample + part.rows.count, size = mask.count / part.rows.count
            if [.discriminatorNoise, .generatorNoise].contains(part.purpose) {
                fill(path(inner) + "/generator_dropout/\(name)", [size], mask, rows)
                continue
            }
            let half =
                switch part.purpose {
                case .dropoutReal: "real"
                case .dropoutBetween: "between"
                case .dropoutAround: "around"
                default: "fake"
                }
            let place = path(inner) + "/dropout/\(name)" + (isAlone ? "" : "/\(half)")
            fill(place, [size], mask, rows, of: packsInBatch)
        }
    }

    public func penaltyDraws(
        _ name: String, _ values: Floats, dimensions: [Int], inner: Int, packs: Range<Int>
    ) {
        guard !isOver else { return }
        fill(path(inner) + "/" + name, dimensions, values, packs, of: packsInBatch)
    }

    public func augmentation(_ draws: Floats, probability: Double, inner: Int?, rows: Range<Int>) {
        guard !isOver else { return }
        let place = path(inner) + "/augmentation/"
        fill(place + "draws", [draws.count / rows.count], draws, rows)
        if !whole.contains(where: { $0.path == place + "probability" }) {
            whole.append(TraceArray(place + "probability", Float(probability)))
        }
    }

    public func gradient(_ gradient: Floats, of player: Player, inner: Int) {
        guard !isOver, communicator.rank == 0 else { return }
        let place =
            switch player.role {
            case .discriminator: path(inner) + "/gradients/"
            case .generator where ownPlace == "generator": path(nil) + "/gradients/"
            case .generator, .encoder, .decoder: path(nil) + "/gradients/\(player.role.name)/"
            }
        for array in player.network.store.named(gradient) {
            whole.append(TraceArray(place + array.name, array.dimensions, array.values.array))
        }
    }

    public func losses(inner: Int?, _ losses: KeyValuePairs<String, Double>) {
        guard !isOver, communicator.rank == 0 else { return }
        for loss in losses { whole.append(TraceArray(path(inner) + "/" + loss.key, Float(loss.value))) }
    }

    public func state(_ arrays: [StateArray]) {
        guard !isOver, communicator.rank == 0 else { return }
        for array in arrays {
            whole.append(TraceArray("\(group)/after/\(array.name)", array.dimensions, array.values.array))
        }
    }

    /// Ends a step: gathers the ranks' rows and writes all of it. Collective.
    public func finishStep(_ players: [Player]) throws {
        guard !isOver else { return }
        for array in shared { try communicator.sum(array.values.values) }
        if let file {
            let results: [TraceArray] = players.flatMap { player in
                let store = player.network.store
                let place = "\(group)/after/\(player.role.name)/"
                let average = (player.average.map { store.named($0.values.values) } ?? []).map {
                    TraceArray(place + "average/\($0.name)", $0.dimensions, $0.values.array)
                }
                return Self.parameters(of: player, at: place) + Self.spectral(of: player, at: place) + average
                    + store.statisticEntries.map {
                        TraceArray(place + "statistics/\($0.name)", [$0.range.count], store.statistics.values[$0.range])
                    }
            }
            let rows = shared.map { array in
                array.path.hasSuffix("label")
                    ? TraceArray(array.path, indices: array.values.array.map { Int($0) })
                    : TraceArray(array.path, array.dimensions, array.values.values)
            }
            try file.append(rows + whole + results)
        }
        shared = []
        whole = []
        step += 1
    }

    /// `count`: rows of the whole array, nil for the examples of a minibatch.
    private func fill(_ path: String, _ dimensions: [Int], _ values: Floats, _ rows: Range<Int>, of count: Int? = nil) {
        let elements = dimensions.reduce(1, *), count = count ?? batch
        if !shared.contains(where: { $0.path == path }) {
            shared.append((path, [count] + dimensions, FloatBuffer(count: count * elements)))
        }
        let target = shared.first { $0.path == path }!.values.values
        target[rows.lowerBound * elements ..< rows.upperBound * elements].copy(from: values)
    }
}
