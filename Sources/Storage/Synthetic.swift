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

/// Points around known modes, with which a generator's coverage can be counted.
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
    /// One mode: N(4, 0.5²), the usual one-dimensional example.
    case gaussian1d
    /// One point, 0: the data of the Dirac-GAN (Mescheder et al. 2018, §2).
    case point

    /// The centre of each mode.
    public var modes: [[Double]] {
        switch self {
        case .ring: (0 ..< 8).map { [cos(2 * .pi * Double($0) / 8), sin(2 * .pi * Double($0) / 8)] }
        case .grid: [-4.0, -2, 0, 2, 4].flatMap { x in [-4.0, -2, 0, 2, 4].map { [x, $0] } }
        case .unitRing: Self.ring.modes.map { $0.map { $0 * 2 / 1.414 } }
        case .unitGrid: Self.grid.modes.map { $0.map { $0 / 2.828 } }
        case .gaussian1d: [[4]]
        case .point: [[0]]
        }
    }

    /// The standard deviation of each coordinate.
    public var deviation: Double {
        switch self {
        case .ring: 0.01
        case .grid: 0.05
        case .unitRing: 0.02 / 1.414
        case .unitGrid: Self.grid.deviation / 2.828
        case .gaussian1d: 0.5
        case .point: 0
        }
    }

    public var dimension: Int { modes[0].count }

    public var mixture: Mixture { Mixture(modes: modes, deviation: deviation) }

    /// `count` points, one after another; point i belongs to mode i mod the number of modes, so that all are equally
    /// frequent.
    public func points(count: Int, seed: UInt64) -> (samples: [Float], labels: [Int]) {
        let modes = modes, dimension = dimension
        let noise = FloatBuffer(count: count * dimension)
        Draws(seed: seed, purpose: .synthetic, step: 0).fillNormal(
            noise.values, samples: count, deviation: Float(deviation))
        let labels = (0 ..< count).map { $0 % modes.count }
        var samples = noise.values.array
        for (point, label) in labels.enumerated() {
            for axis in 0 ..< dimension { samples[point * dimension + axis] += Float(modes[label][axis]) }
        }
        return (samples, labels)
    }

    /// Writes `count` points as `/samples` with `/labels`; the modes and their deviation are attributes of the file.
    public func write(to path: String, count: Int, seed: UInt64, replacing: Bool = false) throws(Failure) {
        let (samples, labels) = points(count: count, seed: seed)
        let description = DatasetDescription(
            name: rawValue, source: "gan-dist data synthetic \(rawValue) --count \(count) --seed \(seed)",
            license: "CC0-1.0",
            dimensions: [count, dimension], element: .float32, range: nil,
            attributes: [
                ("modes", .doubles(modes.flatMap { $0 })), ("deviation", .double(deviation)),
                ("seed", .string("\(seed)")),
            ])
        try DatasetWriter.write(path, description, replacing: replacing) { (writer) throws(Failure) in
            try writer.append(samples)
            writer.labels = labels
        }
    }
}
