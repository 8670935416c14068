import Foundation
import Kernels

/// Relativistic pairing: Huang et al. 2024, "The GAN is dead; long live the GAN!" (R3GAN), eq. 2, after
/// Jolicoeur-Martineau 2018. Row i of the reals with row i of the generated, sp = softplus:
/// D: sp(s_y − s_x), G: sp(s_x − s_y), on real examples of its own.
public struct Relativistic: Objective {
    public init() {}
    public var isLogOdds: Bool { false }
    public var isRelativistic: Bool { true }
    /// Of s_x = s_y.
    public var balance: (discriminator: Double, generator: Double?)? { (log(2), log(2)) }

    public func discriminator(
        real: Floats, fake: Floats, of rows: Int, into slopes: (real: Floats, fake: Floats)
    ) -> (real: Double, fake: Double) {
        precondition(real.count == fake.count, "pairs of \(real.count) real and \(fake.count) generated rows")
        var cost = 0.0
        for row in 0 ..< real.count {
            let gap = Double(fake[row]) - Double(real[row]), slope = sigmoid(gap) / Double(rows)
            cost += softplus(gap)
            slopes.real[row] = Float(-slope)
            slopes.fake[row] = Float(slope)
        }
        return (cost, 0)
    }

    public func generator(real: Floats?, fake: Floats, of rows: Int, into slopes: Floats) -> Double {
        guard let real, real.count == fake.count else { preconditionFailure("pairs without real rows") }
        var cost = 0.0
        for row in 0 ..< fake.count {
            let gap = Double(real[row]) - Double(fake[row])
            cost += softplus(gap)
            slopes[row] = Float(-sigmoid(gap) / Double(rows))
        }
        return cost
    }
}
