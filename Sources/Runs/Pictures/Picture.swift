import Kernels
import Nets
import Storage
import Support

/// Examples as a picture: images in a grid, points of the plane or of the line among what they were trained on.
public enum Picture {
    /// `scene` is needed for points: what lies around them.
    static func of(
        _ samples: FloatBuffer, count: Int, shape: Shape, range: ClosedRange<Float>, columns: Int? = nil, scene: Scene
    ) throws -> Pixels {
        switch shape {
        case .image(let height, let width, let channels) where channels <= mostChannels:
            return PNGGrid.pixels(
                samples.values[0 ..< count * shape.count], shape: [height, width, channels], range: range,
                columns: columns)
        case .vector(2): return try PlaneView(scene).draw(samples, count: count)
        case .vector(1): return try LineView(scene).draw(samples, count: count)
        default:
            throw Failure(
                .badConfiguration,
                "examples of shape \(shape) cannot be drawn: only images of up to \(mostChannels) channels and points "
                    + "of the plane or the line can",
                remedy: "Write them to an HDF5 file: gan-dist sample … --out FILE.h5.")
        }
    }

    /// More would be a strip that nobody looks at.
    private static let mostChannels = 16

    /// Images of 1 channel are drawn in gray, of 3 in colour, of others channel by channel.
    public static func canDraw(_ shape: Shape) -> Bool {
        switch shape {
        case .image(_, _, let channels): channels <= mostChannels
        case .vector(let count): count == 1 || count == 2
        }
    }
}

/// What is drawn around points: the modes that they should be at, how far to look, and what the discriminator
/// believes there.
struct Scene {
    let mixture: SyntheticKind?
    /// The lowest and the highest coordinate to show.
    let reach: ClosedRange<Float>
    /// D at each of some points, one after another; nil where it is not known.
    var probability: ((FloatBuffer) throws -> [Double])?

    /// Points that are enough to know how far to look.
    static let enough = 4096

    /// Around `points`, of `dimension` coordinates each, with a margin of a quarter.
    init(
        mixture: SyntheticKind?, around points: [Float], dimension: Int,
        probability: ((FloatBuffer) throws -> [Double])? = nil
    ) {
        self.mixture = mixture
        self.probability = probability
        // A few points far away, as an untrained generator makes them, must not shrink all others to a dot.
        let sorted = points.prefix(Self.enough).sorted()
        let (low, high) = (sorted[sorted.count / 200], sorted[sorted.count - 1 - sorted.count / 200])
        let margin = high > low ? max((high - low) / 4, 1e-3) : 0.5
        let end = max(abs(low), abs(high)) + margin
        reach = dimension == 1 ? low - 4 * margin ... high + 4 * margin : -end ... end
    }
}
