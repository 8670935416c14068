import Kernels
import Nets

/// Augments what D judges in an update, with one draw for all passes of it, and takes gradients back through that.
final class AugmentationPass {
    private let settings: Augmentation
    private let range: ClosedRange<Float>
    /// Of an example within its pack.
    private let layout: ImageLayout
    private let packing: Int
    /// Of the examples of a group, ``AugmentationDraw`` numbers each, as last drawn.
    private let draws: FloatBuffer
    private var rows = 0
    /// p of the step at hand.
    private(set) var probability = 0.0
    /// Where p is adaptive: p, and the sum of sign(s_x) since it last changed.
    let state: FloatBuffer?
    /// Packs that D has judged as real since p last changed, when it changes again, and the images in them.
    private let packsOfChange: Double
    private let imagesOfChange: Double

    /// For groups of at most `rows` examples of the shape of an image.
    init(_ settings: Augmentation, _ game: Game, example: Shape, rows: Int) {
        guard case .image(let height, let width, let channels) = example else {
            preconditionFailure("augmentation of examples of \(example), which are no images")
        }
        (self.settings, packing) = (settings, game.packing)
        range = game.generator.outputRange
        layout = ImageLayout(height: height, width: width, channels: channels, stride: channels * game.packing)
        draws = FloatBuffer(count: rows * AugmentationDraw.allCases.count)
        guard case .adaptive(let adaptive) = settings.probability else {
            (state, packsOfChange, imagesOfChange) = (nil, 0, 0)
            return
        }
        precondition(game.objective.signMeansReal, "adaptive augmentation by logits whose sign means nothing")
        state = FloatBuffer(count: 2)
        let updates = Double(adaptive.every * game.discriminatorSteps)
        (packsOfChange, imagesOfChange) = (updates * Double(game.packs), updates * Double(game.batch))
    }

    /// Begins a step.
    func begin(at progress: Progress) {
        switch settings.probability {
        case .scheduled(let schedule): probability = schedule.value(at: progress)
        case .adaptive: probability = Double(state!.values[0])
        }
    }

    /// Draws for the next update of a group of `count` examples; returns what was drawn.
    func draw(_ source: Draws, count: Int) -> Floats {
        rows = count
        let values = draws.values[0 ..< count * AugmentationDraw.allCases.count]
        source.fillUniform(values, samples: count, low: 0, high: 1)
        return values
    }

    /// Puts the result of each pack's examples in their place. The packs `rows` of `batch`, of which each run of as
    /// many as a group has is that group, transformed alike.
    func apply(_ form: ImageAugmentation.Form, to batch: Batch, rows packs: Range<Int>) {
        let count = AugmentationDraw.allCases.count
        for pack in packs {
            let values = batch[pack]
            for place in 0 ..< packing {
                let row = (pack * packing + place) % rows
                let map = ImageAugmentation(
                    draws.values[row * count ..< (row + 1) * count], settings.policy, probability: probability, layout,
                    range: range)
                let image = values[place * layout.channels ..< values.count]
                map.apply(form, to: image, layout)
            }
        }
    }

    /// Ends step `number`, counted from 1, in which sign(s_x) came to the sum `signs`.
    func follow(signs: Double, step number: Int) {
        guard case .adaptive(let adaptive) = settings.probability, let state = state?.values else { return }
        state[1] += Float(signs)
        guard number % adaptive.every == 0 else { return }
        let excess = Double(state[1]) / packsOfChange - adaptive.target
        let change = excess == 0 ? 0 : imagesOfChange / adaptive.over * (excess > 0 ? 1 : -1)
        state[0] = Float(min(max(Double(state[0]) + change, 0), 1))
        state[1] = 0
    }
}

extension StepTrace {
    public func augmentation(_ draws: Floats, probability: Double, inner: Int?, rows: Range<Int>) {}
}

extension Trainer {
    /// Augments D's batch, whose rows are several halves one after another, in its update `inner` or in that of the
    /// generator (nil).
    func augment(_ packs: Batch, inner: Int?, _ group: ShardGroup) {
        guard let augmentation else { return }
        let drawn = augmentation.draw(draws(.augmentation, inner ?? k, group.rows), count: group.rows.count)
        trace?.augmentation(drawn, probability: augmentation.probability, inner: inner, rows: group.rows)
        augmentation.apply(.map, to: packs, rows: 0 ..< packs.count)
    }

    /// The gradients of the penalised parts' logits with respect to the images as they were, to be replaced by `direct`
    /// with directions of these, of which D is given what augmentation makes: with g = Aᵀ ∇s the derivative of
    /// ⟨u, g⟩ is that of ⟨A u, ∇s⟩.
    func throughAugmentation(_ gradient: Batch, _ parts: [BatchPart], _ direct: () -> Void) {
        for part in parts where part.isPenalised { augmentation?.apply(.adjoint, to: gradient, rows: part.rows) }
        direct()
        for part in parts where part.isPenalised { augmentation?.apply(.tangent, to: gradient, rows: part.rows) }
    }
}
