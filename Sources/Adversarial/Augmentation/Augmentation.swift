import Kernels
import Nets

/// Augmentation of all that the discriminator judges, real and generated, by transformations that G's gradient goes
/// back through: then G does not learn to make augmented images. Zhao et al. 2020, "Differentiable augmentation for
/// data-efficient GAN training" (DiffAugment), with p of Karras et al. 2020, "Training generative adversarial networks
/// with limited data" (ADA).
///
/// Each transformation of the policy is made of an image with probability p, on a draw of its own. What is drawn hangs
/// on the image's number in the global minibatch: a real image and the generated one in its row are transformed alike.
public struct Augmentation: Sendable {
    /// In the order in which they are made.
    public enum Transformation: String, CaseIterable, Sendable {
        /// Left to right, of every other image.
        case flip
        /// By U(−½, ½) of half the range of values: of 1 where that is [−1, 1].
        case brightness
        /// By a factor of U(0, 2); nothing where there is one channel.
        case saturation
        /// By a factor of U(½, 1½).
        case contrast
        /// By up to an eighth of each side; what comes in has the middle of the range of values.
        case translation
        /// A rectangle of half of each side, somewhere, gets the middle of the range.
        case cutout
    }

    public enum Probability: Sendable {
        case scheduled(Schedule)
        case adaptive(AdaptiveProbability)
    }

    public var policy: Set<Transformation>
    public var probability: Probability

    /// The defaults are those of DiffAugment.
    public init(
        _ policy: Set<Transformation> = [.brightness, .saturation, .contrast, .translation, .cutout],
        probability: Probability = .scheduled(1.0)
    ) {
        (self.policy, self.probability) = (policy, probability)
    }
}

/// p that goes by how surely D knows the real images that it trains on: Karras et al. 2020, §3.1 and appendix B.
/// It begins at 0, and every so many steps p ← p + sign(r − target) · images / over, held in 0 … 1, where r is the
/// mean of sign(s_x) over all updates of D since the last time, and images those that these updates took.
public struct AdaptiveProbability: Sendable {
    public let target: Double
    /// Real images that D is shown while p goes from 0 to 1.
    public let over: Double
    /// Steps between two changes.
    public let every: Int

    public init(target: Double = 0.6, over: Double = 500_000, every: Int = 4) {
        (self.target, self.over, self.every) = (target, over, every)
    }
}

/// Numbers of U(0, 1) that an image is given, each at a place of its own, whatever the policy: whether, and how much.
enum AugmentationDraw: Int, CaseIterable {
    case flip, side
    case brightness, light
    case saturation, saturationFactor
    case contrast, contrastFactor
    case translation, rowShift, columnShift
    case cutout, cutRow, cutColumn
}

extension ImageAugmentation {
    /// What `draws` make of an image of `layout` with values in `range`.
    init(
        _ draws: Floats, _ policy: Set<Augmentation.Transformation>, probability: Double, _ layout: ImageLayout,
        range: ClosedRange<Float>
    ) {
        self.init()
        func happens(_ transformation: Augmentation.Transformation, _ draw: AugmentationDraw) -> Bool {
            policy.contains(transformation) && Double(draws[draw.rawValue]) < probability
        }
        /// One of 0 ..< bound.
        func integer(below bound: Int, _ draw: AugmentationDraw) -> Int {
            Int(Double(draws[draw.rawValue]) * Double(bound))
        }
        func shift(_ size: Int, _ draw: AugmentationDraw) -> Int {
            let most = (size + 4) / 8
            return integer(below: 2 * most + 1, draw) - most
        }
        func cut(_ size: Int, _ draw: AugmentationDraw) -> Range<Int> {
            let length = (size + 1) / 2
            let first = integer(below: size + 1 - length % 2, draw) - length / 2
            return max(first, 0) ..< min(first + length, size)
        }
        let half = (range.upperBound - range.lowerBound) / 2
        fill = range.lowerBound + half
        flips = happens(.flip, .flip) && draws[AugmentationDraw.side.rawValue] < 0.5
        if happens(.brightness, .brightness) { brightness = half * (draws[AugmentationDraw.light.rawValue] - 0.5) }
        if happens(.saturation, .saturation) { saturation = 2 * draws[AugmentationDraw.saturationFactor.rawValue] }
        if happens(.contrast, .contrast) { contrast = 0.5 + draws[AugmentationDraw.contrastFactor.rawValue] }
        if happens(.translation, .translation) {
            (rowShift, columnShift) = (shift(layout.height, .rowShift), shift(layout.width, .columnShift))
        }
        if happens(.cutout, .cutout) {
            (cutRows, cutColumns) = (cut(layout.height, .cutRow), cut(layout.width, .cutColumn))
        }
    }
}
