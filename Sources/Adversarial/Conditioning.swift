import Kernels
import Nets

/// What the examples of a game are conditioned on, and how the conditions of generated examples are drawn.
///
/// The draws are keyed as the latents are, by the number of the example, so that a label depends neither on the rank
/// nor on the shards.
public struct Conditioning: Sendable {
    public let condition: Condition
    private let source: Source

    private enum Source: Sendable {
        /// How many of all examples are of the classes up to each one.
        case classes(cumulative: [Int])
        case rows(FloatBuffer)
    }

    /// The layer number in the draws' key: no layer of a network has it, and the latents have the next.
    static let layer = Latents.layer - 1

    /// Classes, drawn as often as `counts` say: in proportion to the examples of each, or all ones.
    public init(classCounts counts: [Int]) {
        precondition(counts.allSatisfy { $0 > 0 }, "classes without an example: \(counts)")
        condition = .classes(counts.count)
        var sum = 0
        source = .classes(
            cumulative: counts.map {
                sum += $0
                return sum
            })
    }

    /// Vectors of `numbers` numbers, of which `rows` holds some one after another, all equally likely.
    public init(vectors rows: FloatBuffer, numbers: Int) {
        precondition(rows.count > 0 && rows.count % numbers == 0, "\(rows.count) numbers in vectors of \(numbers)")
        condition = .vector(numbers)
        source = .rows(rows)
    }

    /// Draws the conditions of `count` examples, the first of which is number `draws.firstSample`.
    public func fill(_ target: Floats, count: Int, _ draws: Draws) {
        let width = condition.width
        for sample in 0 ..< count {
            switch source {
            case .classes(let cumulative):
                let number = draws.integer(sample: sample, layer: Self.layer, below: cumulative[cumulative.count - 1])
                target[sample] = Float(cumulative.firstIndex { $0 > number }!)
            case .rows(let rows):
                let row = draws.integer(sample: sample, layer: Self.layer, below: rows.count / width)
                target[sample * width ..< (sample + 1) * width].copy(
                    from: rows.values[row * width ..< (row + 1) * width])
            }
        }
    }
}

/// The conditions of the rows of an update: those of the real examples come with the examples, those of the generated
/// ones are drawn, or are those of the reals that they stand beside.
final class ConditionPass {
    /// Of this rank's rows of the update's minibatch of real examples.
    var real = Floats.none
    private let conditioning: Conditioning
    private let sharesOfReals: Bool
    /// Of a group's generated examples, and of the discriminator's batch.
    private let ofGenerated, judged: FloatBuffer
    private var width: Int { conditioning.condition.width }

    /// For groups of at most `rows` rows, of which the discriminator's batch has `halves` halves at most.
    init(_ conditioning: Conditioning, _ game: Game, rows: Int, halves: Int) {
        self.conditioning = conditioning
        sharesOfReals = game.pairsShareConditions
        ofGenerated = FloatBuffer(count: rows * conditioning.condition.width)
        judged = FloatBuffer(count: halves * rows * conditioning.condition.width)
    }

    private func ofReals(_ rows: Range<Int>) -> Floats { real[rows.lowerBound * width ..< rows.upperBound * width] }

    /// Those of generated examples, number `draws.firstSample` and on, that stand beside `rows` of this rank's reals
    /// where the update has any.
    func generate(_ rows: Range<Int>, _ draws: Draws, hasReals: Bool) -> Floats {
        let values = generated(rows)
        if sharesOfReals, hasReals {
            values.copy(from: ofReals(rows))
        } else {
            conditioning.fill(values, count: rows.count, draws)
        }
        return values
    }

    /// The same again.
    func generated(_ rows: Range<Int>) -> Floats { ofGenerated.values[0 ..< rows.count * width] }

    /// Those of the discriminator's batch: of the real half, of the generated half that was made last, and of the
    /// `more` halves that penalties look at, which are made of reals and have theirs.
    func judge(_ rows: Range<Int>, more: Int = 0) -> Floats {
        let size = rows.count * width, real = ofReals(rows)
        for half in 0 ..< 2 + more {
            let values = half == 1 ? generated(rows) : real
            judged.values[half * size ..< (half + 1) * size].copy(from: values)
        }
        return judged.values[0 ..< (2 + more) * size]
    }
}
