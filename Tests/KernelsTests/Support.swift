@testable import Kernels

/// `count` values uniform in −1 ..< 1.
func randomBuffer(_ count: Int, seed: UInt64) -> FloatBuffer {
    let buffer = FloatBuffer(count: count)
    Draws(seed: seed, purpose: .synthetic, step: 0).fillUniform(buffer.values, samples: 1, low: -1, high: 1)
    return buffer
}
