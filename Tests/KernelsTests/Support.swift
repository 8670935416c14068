@testable import Kernels

/// `count` values uniform in −1 ..< 1.
func randomBuffer(_ count: Int, seed: UInt64) -> FloatBuffer {
    let buffer = FloatBuffer(count: count)
    Draws(seed: seed, purpose: .synthetic, step: 0).fillUniform(buffer.values, samples: 1, low: -1, high: 1)
    return buffer
}

/// Memory in which a value shows that is read before it is written.
func nans(_ count: Int) -> FloatBuffer { FloatBuffer([Float](repeating: .nan, count: count)) }

/// The largest difference in units of the root mean square of the right values; infinite where one is not a number.
struct RelativeError {
    private var largest = 0.0, squares = 0.0, count = 0.0

    mutating func add(_ value: Float, _ right: Double) {
        let difference = abs(Double(value) - right)
        largest = difference.isFinite ? max(largest, difference) : .infinity
        squares += right * right
        count += 1
    }

    var value: Double { largest / (squares / max(count, 1)).squareRoot() }
}
