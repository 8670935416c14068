import Foundation
import Storage

/// How many modes of the data a generator reaches, and how evenly: Srivastava et al. 2017 (VEEGAN), as Lin et al.
/// 2018 (PacGAN, §4.1) and their released code count it.
///
/// A point is of high quality within three deviations σ of its nearest mode; a mode counts as covered with one such
/// point; with nᵢ of n high-quality points at mode i of K the reverse divergence is KL(generated ‖ uniform) = Σ nᵢ/n
/// log(K nᵢ/n). Points of the mixture itself give 1 − e^(−9/2) = 98.889 % in the plane and a divergence of (K − 1) /
/// 2n from chance alone.
public enum Modes {
    /// The points of the published protocol.
    public static let points = 2500
    static let reach = 3.0

    /// How many points of high quality each mode has.
    static func counts(_ points: Examples, _ mixture: Mixture) -> [Int] {
        var counts = [Int](repeating: 0, count: mixture.modes.count)
        let limit = Self.reach * mixture.deviation
        for row in 0 ..< points.count {
            let point = points[row ..< row + 1]
            let distances = mixture.modes.map { mode in
                mode.indices.reduce(0.0) { $0 + (Double(point[$1]) - mode[$1]) * (Double(point[$1]) - mode[$1]) }
                    .squareRoot()
            }
            let nearest = distances.indices.min { distances[$0] < distances[$1] }!
            if distances[nearest] <= limit { counts[nearest] += 1 }
        }
        return counts
    }

    static func measure(_ points: Examples, _ mixture: Mixture) -> MetricResult {
        let counts = counts(points, mixture)
        let good = counts.reduce(0, +), share = Double(good) / Double(points.count)
        return MetricResult(
            "modes", Double(counts.count { $0 > 0 }),
            more: [
                ("modes", .count(counts.count)), ("high_quality", .number(share)),
                ("high_quality_standard_error", .number((share * (1 - share) / Double(points.count)).squareRoot())),
                ("reverse_kl", .number(good == 0 ? .infinity : divergence(counts, from: counts.map { _ in 1 }))),
            ],
            settings: [
                ("samples", .count(points.count)), ("reach", .text("3 sigma")), ("sigma", .number(mixture.deviation)),
            ])
    }
}
