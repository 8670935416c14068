import Foundation
import Kernels
import Support

/// Gaussians of one deviation around known modes: what a generator's coverage is counted by.
public struct Mixture: Sendable, Equatable {
    /// The centre of each mode.
    public let modes: [[Double]]
    /// The standard deviation of each coordinate.
    public let deviation: Double

    public init(modes: [[Double]], deviation: Double) {
        (self.modes, self.deviation) = (modes, deviation)
    }

    /// Numbers in a point.
    public var dimension: Int { modes[0].count }
}

/// Points of a built-in distribution: all but ``swissRoll`` lie around known modes, with which a generator's coverage
/// can be counted.
public enum SyntheticKind: String, Sendable, CaseIterable {
    /// 8 modes (cos 2πi/8, sin 2πi/8), deviation 0.01 (the "2D ring" of Srivastava et al. 2017, VEEGAN, with the
    /// deviation of Lin et al. 2018, PacGAN §4.1).
    case ring
    /// 25 modes {−4, −2, 0, 2, 4}², deviation 0.05 (the "2D grid" of the same papers).
    case grid
    /// 8 modes on a circle of radius √2, deviation 0.01414: each coordinate has variance 1 (the "8 Gaussians" of
    /// Gulrajani et al. 2017, WGAN-GP: radius 2 and deviation 0.02, divided by 1.414).
    case unitRing
    /// 25 modes, deviation 0.01768: each coordinate has variance 1 (the "25 Gaussians" of the same paper: ``grid``
    /// divided by 2.828).
    case unitGrid
    /// A spiral without modes, t (cos t, sin t) with t uniform on 3π/2 … 9π/2 and noise of deviation 0.25, divided by
    /// 7.5 (the "Swiss roll" of the same paper: two of the three coordinates of scikit-learn's `make_swiss_roll`).
    case swissRoll
    /// One mode: N(4, 0.5²), the usual one-dimensional example.
    case gaussian1d
    /// Two modes on the line, −2 and 2, deviation 0.5: what one Gaussian fits by one mode or by both.
    case mixture1d
    /// One point, 0: the data of the Dirac-GAN (Mescheder et al. 2018, §2).
    case point

    /// The centre of each mode; none where the points have no modes.
    public var modes: [[Double]] {
        switch self {
        case .ring: (0 ..< 8).map { [cos(2 * .pi * Double($0) / 8), sin(2 * .pi * Double($0) / 8)] }
        case .grid: [-4.0, -2, 0, 2, 4].flatMap { x in [-4.0, -2, 0, 2, 4].map { [x, $0] } }
        case .unitRing: Self.ring.modes.map { $0.map { $0 * 2 / 1.414 } }
        case .unitGrid: Self.grid.modes.map { $0.map { $0 / 2.828 } }
        case .swissRoll: []
        case .gaussian1d: [[4]]
        case .mixture1d: [[-2], [2]]
        case .point: [[0]]
        }
    }

    /// The standard deviation of each coordinate around its mode or the spiral.
    public var deviation: Double {
        switch self {
        case .ring: 0.01
        case .grid: 0.05
        case .unitRing: 0.02 / 1.414
        case .unitGrid: Self.grid.deviation / 2.828
        case .swissRoll: 0.25 / 7.5
        case .gaussian1d, .mixture1d: 0.5
        case .point: 0
        }
    }

    public var dimension: Int { modes.first?.count ?? 2 }

    /// nil where the points have no modes.
    public var mixture: Mixture? { modes.isEmpty ? nil : Mixture(modes: modes, deviation: deviation) }

    /// `count` points, one after another; point i belongs to mode i mod the number of modes, so that all are equally
    /// frequent. Without modes there are no labels.
    public func points(count: Int, seed: UInt64) -> (samples: [Float], labels: [Int]?) {
        let noise = FloatBuffer(count: count * dimension), draws = Draws(seed: seed, purpose: .synthetic, step: 0)
        draws.fillNormal(noise.values, samples: count, deviation: Float(deviation))
        var samples = noise.values.array
        func move(_ point: Int, by centre: [Double]) {
            for (axis, value) in centre.enumerated() { samples[point * dimension + axis] += Float(value) }
        }
        let modes = modes
        guard modes.isEmpty else {
            let labels = (0 ..< count).map { $0 % modes.count }
            for (point, label) in labels.enumerated() { move(point, by: modes[label]) }
            return (samples, labels)
        }
        let angles = FloatBuffer(count: count)
        draws.fillUniform(angles.values, samples: count, layer: 1, low: 1.5 * .pi, high: 4.5 * .pi)
        for point in 0 ..< count { move(point, by: Self.spiral(Double(angles.values[point]))) }
        return (samples, nil)
    }

    private static func spiral(_ t: Double) -> [Double] { [t * cos(t) / 7.5, t * sin(t) / 7.5] }

    /// What the points lie around where there are no modes, from end to end in so many steps; else empty.
    public func line(steps: Int) -> [[Double]] {
        self == .swissRoll ? (0 ... steps).map { Self.spiral((1.5 + 3 * Double($0) / Double(steps)) * .pi) } : []
    }

    /// Writes `count` points as `/samples`; where they lie around modes with `/labels`, and the modes and their
    /// deviation are attributes of the file.
    public func write(to path: String, count: Int, seed: UInt64, replacing: Bool = false) throws(Failure) {
        let (samples, labels) = points(count: count, seed: seed)
        let known: [(String, AttributeValue)] =
            modes.isEmpty ? [] : [("modes", .doubles(modes.flatMap { $0 })), ("deviation", .double(deviation))]
        let description = DatasetDescription(
            name: rawValue, source: "gan-dist data synthetic \(rawValue) --count \(count) --seed \(seed)",
            license: "CC0-1.0",
            dimensions: [count, dimension], element: .float32, range: nil,
            attributes: known + [("seed", .string("\(seed)"))])
        try DatasetWriter.write(path, description, replacing: replacing) { (writer) throws(Failure) in
            try writer.append(samples)
            writer.labels = labels
        }
    }
}
