import Foundation
import Testing
@testable import Kernels

/// The largest error of `function` against `exact` over `arguments`, in units in the last place of the exact result
/// (of the least normal number below it).
private func worstError(_ arguments: [Float], _ function: (Vector) -> Vector, _ exact: (Double) -> Double) -> Double {
    var worst = 0.0
    for start in stride(from: 0, to: arguments.count, by: 8) {
        var vector = Vector.zero
        for lane in 0 ..< min(8, arguments.count - start) { vector[lane] = arguments[start + lane] }
        let results = function(vector)
        for lane in 0 ..< min(8, arguments.count - start) {
            let right = exact(Double(vector[lane]))
            if Float(right) == results[lane] { continue }
            guard results[lane].isFinite, Float(right).isFinite else { return .infinity }
            let unit = max(Double(Float(abs(right)).ulp), Double(Float.leastNormalMagnitude.ulp))
            worst = max(worst, abs(Double(results[lane]) - right) / unit)
        }
    }
    return worst
}

private func grid(_ range: ClosedRange<Float>, count: Int = 200_000) -> [Float] {
    (0 ... count).map { range.lowerBound + (range.upperBound - range.lowerBound) * (Float($0) / Float(count)) }
}

/// Positive floats evenly spaced in their bits, so evenly in their logarithm, subnormal ones included.
private let everyMagnitude = (0 ..< 200_000).map { Float(bitPattern: UInt32($0) * 10_000 + 1) }.filter(\.isFinite)

@Suite struct VectorMathTests {
    @Test func exponential() {
        #expect(worstError(grid(-110 ... 89), VectorMath.exp, Foundation.exp) < 2)
        #expect(worstError(grid(-1 ... 1), VectorMath.exp, Foundation.exp) < 1.5)
        let extremes = VectorMath.exp(Vector(-1e4, 1e4, -.infinity, .infinity, .nan, 0, -87.5, 88.72))
        #expect(extremes[0] == 0 && extremes[1] == .infinity && extremes[2] == 0 && extremes[3] == .infinity)
        #expect(extremes[4].isNaN && extremes[5] == 1 && extremes[6] > 0 && extremes[7].isFinite)
    }

    @Test func logarithm() {
        #expect(worstError(everyMagnitude, VectorMath.log, Foundation.log) < 2)
        #expect(worstError(grid(0.5 ... 2), VectorMath.log, Foundation.log) < 2)
        let extremes = VectorMath.log(Vector(0, -1, .infinity, .nan, 1, -.infinity, -0.0, .leastNonzeroMagnitude))
        #expect(extremes[0] == -.infinity && extremes[1].isNaN && extremes[2] == .infinity && extremes[3].isNaN)
        #expect(extremes[4] == 0 && extremes[5].isNaN && extremes[6] == -.infinity && extremes[7].isFinite)
    }

    @Test func logarithmOfOnePlus() {
        #expect(worstError(everyMagnitude, VectorMath.log1p, Foundation.log1p) < 3)
        #expect(worstError(grid(-0.999 ... 1), VectorMath.log1p, Foundation.log1p) < 3)
        let extremes = VectorMath.log1p(Vector(-1, -2, .infinity, .nan, 0, 1e-30, -1e-30, 3e38))
        #expect(extremes[0] == -.infinity && extremes[1].isNaN && extremes[2] == .infinity && extremes[3].isNaN)
        #expect(extremes[4] == 0 && extremes[5] == 1e-30 && extremes[6] == -1e-30 && extremes[7].isFinite)
    }

    @Test func softplus() {
        let exact = { (x: Double) in max(x, 0) + Foundation.log1p(Foundation.exp(-abs(x))) }
        #expect(worstError(grid(-110 ... 110), VectorMath.softplus, exact) < 4)
        #expect(worstError(grid(-1 ... 1), VectorMath.softplus, exact) < 4)
        let extremes = VectorMath.softplus(Vector(-1e4, 1e4, -.infinity, .infinity, .nan, -88, 0, 20))
        #expect(extremes[0] == 0 && extremes[1] == 1e4 && extremes[2] == 0 && extremes[3] == .infinity)
        #expect(extremes[4].isNaN && extremes[5] > 0)
    }

    @Test func hyperbolicTangent() {
        #expect(worstError(grid(-12 ... 12), VectorMath.tanh, Foundation.tanh) < 2.5)
        #expect(worstError(grid(-0.7 ... 0.7), VectorMath.tanh, Foundation.tanh) < 2.5)
        #expect(worstError(everyMagnitude, VectorMath.tanh, Foundation.tanh) < 2.5)
        let extremes = VectorMath.tanh(Vector(-1e4, 1e4, -.infinity, .infinity, .nan, 0, -0.0, 0x1p-130))
        #expect(extremes[0] == -1 && extremes[1] == 1 && extremes[2] == -1 && extremes[3] == 1 && extremes[4].isNaN)
        #expect(extremes[5] == 0 && extremes[6] == 0 && extremes[7] == 0x1p-130)
    }

    @Test func sigmoid() {
        let exact = { (x: Double) in x >= 0 ? 1 / (1 + Foundation.exp(-x)) : Foundation.exp(x) / (1 + Foundation.exp(x))
        }
        #expect(worstError(grid(-110 ... 110), VectorMath.sigmoid, exact) < 3)
        let extremes = VectorMath.sigmoid(Vector(-1e4, 1e4, -.infinity, .infinity, .nan, 0, -87, 20))
        #expect(extremes[0] == 0 && extremes[1] == 1 && extremes[2] == 0 && extremes[3] == 1 && extremes[4].isNaN)
        #expect(extremes[5] == 0.5 && extremes[6] > 0)
    }

    @Test func sineAndCosineOfTurns() {
        // Away from the roots the relative error counts; the roots are exact, as the reduction is.
        for (index, u) in grid(-3 ... 3).enumerated() where index % 8 == 0 {
            let result = VectorMath.sinCosOfTurns(Vector(repeating: u))
            #expect(abs(Double(result.sin[0]) - Foundation.sin(2 * Double.pi * Double(u))) < 1.3e-7)
            #expect(abs(Double(result.cos[0]) - Foundation.cos(2 * Double.pi * Double(u))) < 1.3e-7)
        }
        let quarters = VectorMath.sinCosOfTurns(Vector(0, 0.25, 0.5, 0.75, 1, -0.25, 1e-20, 2.5))
        #expect(quarters.sin[0] == 0 && quarters.sin[1] == 1 && quarters.sin[2] == 0 && quarters.sin[3] == -1)
        #expect(quarters.cos[0] == 1 && quarters.cos[1] == 0 && quarters.cos[2] == -1 && quarters.cos[3] == 0)
        #expect(quarters.sin[5] == -1 && abs(quarters.sin[6] / 6.28318531e-20 - 1) < 1e-6 && quarters.cos[7] == -1)
    }

    @Test func mapReachesEveryValueAndNoOther() {
        for count in 0 ... 20 {
            let source = FloatBuffer((0 ..< 24).map(Float.init)),
                target = FloatBuffer([Float](repeating: -1, count: 24))
            VectorMath.map(source.values.base, into: target.values.base, count: count) { $0 + 100 }
            #expect(target.values.array == (0 ..< 24).map { $0 < count ? Float($0) + 100 : -1 })
        }
    }
}
