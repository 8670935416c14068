import Foundation
import Kernels
import Nets
import Testing
@testable import Adversarial

@Suite struct LatentsTests {
    private let settings = Latent(size: 50, distribution: .normal)

    private func draw(_ count: Int, from first: Int = 0, truncation: Float?) -> [Float] {
        let draws = Draws(seed: 4, purpose: .sample, step: 0, firstSample: first)
        let latents = Latents(settings, capacity: count, truncation: truncation)
        return withExtendedLifetime(latents) { latents.fill(count: count, draws).values.array }
    }

    /// Values within the limit are those without one; the others are new ones within it.
    @Test(arguments: [0.05, 0.5, 2] as [Float]) func onlyValuesBeyondAreDrawnAgain(limit: Float) {
        let whole = draw(100, truncation: nil), truncated = draw(100, truncation: limit)
        for (before, after) in zip(whole, truncated) {
            #expect(abs(after) <= limit && (abs(before) > limit || after == before))
        }
        #expect(whole != truncated)
    }

    @Test func aLatentDoesNotDependOnItsBatch() {
        let whole = draw(20, truncation: 0.3)
        #expect(Array(whole[7 * 50 ..< 12 * 50]) == draw(5, from: 7, truncation: 0.3))
    }

    /// N(0, 1) within ±1 has the variance 1 − 2 φ(1) / (Φ(1) − Φ(−1)), and no mean.
    @Test func theyAreTruncatedNormal() {
        let values = draw(4000, truncation: 1).map(Double.init), count = Double(values.count)
        let within = erf(1 / 2.0.squareRoot()), variance = 1 - 2 * exp(-0.5) / (2 * Double.pi).squareRoot() / within
        #expect(abs(values.reduce(0, +) / count) < 0.006)
        #expect(abs(values.reduce(0) { $0 + $1 * $1 } / count - variance) < 0.003)
        // Drawn again: not cut off, which would heap values at the limit.
        #expect(values.count { abs($0) > 0.99 } < values.count / 50)
    }
}
