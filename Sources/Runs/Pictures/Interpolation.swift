import Foundation
import Kernels
import Nets
import Storage
import Support

/// Walks between pairs of latents, or along one dimension of a latent: how smoothly a generator's answers change.
public struct Interpolation: Sendable {
    public enum Path: String, CaseIterable, Sendable {
        /// (1 − t) a + t b.
        case linear
        /// sin((1 − t) Ω) / sin Ω · a + sin(t Ω) / sin Ω · b with Ω the angle between a and b: Shoemake 1985, for
        /// latents by White 2016 (arXiv:1609.04468). The points between are as far from the origin as normal latents
        /// are.
        case spherical

        /// The shares of a and b at t.
        func shares(_ t: Double, angle: Double) -> (Double, Double) {
            // Of vectors along one line there is no arc to follow.
            guard self == .spherical, sin(angle) > 1e-6 else { return (1 - t, t) }
            return (sin((1 - t) * angle) / sin(angle), sin(t * angle) / sin(angle))
        }
    }

    public let rows: Int
    public let columns: Int
    public let path: Path
    public let seed: UInt64
    /// Of all walks; the usual: each of a class of its own, in their order, or of a vector that is drawn.
    public let condition: ConditionRequest
    /// The number of the only value of a latent that changes, from one end of its range to the other; nil: the walk is
    /// from a latent to another.
    public let dimension: Int?

    /// `rows` pairs of latents, or latents, `columns` points from the first to the second of each, or along
    /// `dimension`.
    public init(
        rows: Int, columns: Int, path: Path = .spherical, seed: UInt64, condition: ConditionRequest = .usual,
        dimension: Int? = nil
    ) {
        (self.condition, self.dimension) = (condition, dimension)
        precondition(rows >= 1 && columns >= 2, "a walk of \(rows) rows and \(columns) columns")
        (self.rows, self.columns, self.path, self.seed) = (rows, columns, path, seed)
    }

    /// The walks as a picture; a walk among points is drawn as they lie. Throws 78 for examples that cannot be drawn,
    /// 64 for a dimension that latents have not.
    public func picture(_ model: GeneratorModel) throws -> Pixels {
        try model.requireGenerator()
        let size = model.configuration.latent.size
        if let dimension, dimension >= size {
            throw Failure(
                .usage, "--dimension \(dimension): latents have the dimensions 0 … \(size - 1)",
                remedy: "Take one of those.")
        }
        let samples = try model.sampler.samples(of: latents(model), conditions: conditions(model))
        let scene = Scene(
            mixture: model.configuration.data.synthetic, around: samples.values.array,
            dimension: model.sampler.shape.count)
        return try Picture.of(
            samples, count: rows * columns, shape: model.sampler.shape, range: model.sampler.range, columns: columns,
            scene: scene)
    }

    /// The latents of all points, row by row.
    func latents(_ model: GeneratorModel) -> FloatBuffer {
        if let dimension { return latents(model, along: dimension) }
        let size = model.configuration.latent.size
        let ends = model.sampler.latents(count: 2 * rows, Draws(seed: seed, purpose: .sample, step: 0))
        let points = FloatBuffer(count: rows * columns * size)
        for row in 0 ..< rows {
            let (a, b) = (ends[2 * row], ends[2 * row + 1])
            let angle = Self.angle(a, b)
            for column in 0 ..< columns {
                let (first, second) = path.shares(Double(column) / Double(columns - 1), angle: angle)
                for index in 0 ..< size {
                    points.values[(row * columns + column) * size + index] = Float(
                        first * Double(a[index]) + second * Double(b[index]))
                }
            }
        }
        return points
    }

    /// Values of a normal latent that are shown: all but one in 400.
    static let reach: Float = 3

    /// A latent a row, its value number `dimension` evenly from the least to the greatest, all others as drawn.
    private func latents(_ model: GeneratorModel, along dimension: Int) -> FloatBuffer {
        let size = model.configuration.latent.size, bound = model.sampler.latentBound ?? Self.reach
        let bases = model.sampler.latents(count: rows, Draws(seed: seed, purpose: .sample, step: 0))
        let points = FloatBuffer(bases.flatMap { base in (0 ..< columns).flatMap { _ in base } })
        for point in 0 ..< rows * columns {
            let share = 2 * Float(point % columns) / Float(columns - 1) - 1
            points.values[point * size + dimension] = bound * share
        }
        return points
    }

    /// One condition a walk.
    private func conditions(_ model: GeneratorModel) throws -> FloatBuffer? {
        guard let condition = model.configuration.condition?.condition else {
            _ = try model.conditions(count: 1, Draws(seed: seed, purpose: .sample, step: 0), self.condition)
            return nil
        }
        let ofRows: [Float]
        if case (.usual, .classes(let classes)) = (self.condition, condition) {
            ofRows = (0 ..< rows).map { Float($0 % classes) }
        } else {
            let draws = Draws(seed: seed, purpose: .sample, step: 0)
            ofRows = try model.conditions(count: rows, draws, self.condition)!.array
        }
        let width = condition.width
        return FloatBuffer(
            (0 ..< rows * columns).flatMap { point in
                let row = point / columns
                return ofRows[row * width ..< (row + 1) * width]
            })
    }

    private static func angle(_ a: [Float], _ b: [Float]) -> Double {
        func dot(_ x: [Float], _ y: [Float]) -> Double { zip(x, y).reduce(0) { $0 + Double($1.0) * Double($1.1) } }
        return acos(min(max(dot(a, b) / (dot(a, a) * dot(b, b)).squareRoot(), -1), 1))
    }
}
