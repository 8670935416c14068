import CKernels
import Foundation
import Testing
@testable import Kernels

private func apply(_ function: PointwiseFunction, _ arguments: [Float]) -> [Float] {
    let source = FloatBuffer(arguments), results = FloatBuffer(count: arguments.count)
    return withExtendedLifetime(source) {
        function(source.values.base, results.values.base, arguments.count)
        return results.array
    }
}

/// The largest error of `function` against `exact` over `arguments`, in units in the last place of the exact result
/// (of the least normal number below it).
private func worstError(_ arguments: [Float], _ function: PointwiseFunction, _ exact: (Double) -> Double) -> Double {
    var worst = 0.0
    for (argument, result) in zip(arguments, apply(function, arguments)) {
        let right = exact(Double(argument))
        if Float(right) == result { continue }
        guard result.isFinite, Float(right).isFinite else { return .infinity }
        let unit = max(Double(Float(abs(right)).ulp), Double(Float.leastNormalMagnitude.ulp))
        worst = max(worst, abs(Double(result) - right) / unit)
    }
    return worst
}

private func grid(_ range: ClosedRange<Float>, count: Int = 200_000) -> [Float] {
    (0 ... count).map { range.lowerBound + (range.upperBound - range.lowerBound) * (Float($0) / Float(count)) }
}

/// Positive floats evenly spaced in their bits, so evenly in their logarithm, subnormal ones included.
private let everyMagnitude = (0 ..< 200_000).map { Float(bitPattern: UInt32($0) * 10_000 + 1) }.filter(\.isFinite)

@Suite struct VectorMathTests {
    private let table = kernels().pointee

    @Test func exponential() {
        #expect(worstError(grid(-110 ... 89), table.exponential, Foundation.exp) < 2)
        #expect(worstError(grid(-1 ... 1), table.exponential, Foundation.exp) < 1.5)
        let extremes = apply(table.exponential, [-1e4, 1e4, -.infinity, .infinity, .nan, 0, -87.5, 88.72])
        #expect(extremes[0] == 0 && extremes[1] == .infinity && extremes[2] == 0 && extremes[3] == .infinity)
        #expect(extremes[4].isNaN && extremes[5] == 1 && extremes[6] > 0 && extremes[7].isFinite)
    }

    @Test func logarithm() {
        #expect(worstError(everyMagnitude, table.logarithm, Foundation.log) < 2)
        #expect(worstError(grid(0.5 ... 2), table.logarithm, Foundation.log) < 2)
        let extremes = apply(table.logarithm, [0, -1, .infinity, .nan, 1, -.infinity, -0.0, .leastNonzeroMagnitude])
        #expect(extremes[0] == -.infinity && extremes[1].isNaN && extremes[2] == .infinity && extremes[3].isNaN)
        #expect(extremes[4] == 0 && extremes[5].isNaN && extremes[6] == -.infinity && extremes[7].isFinite)
    }

    @Test func logarithmOfOnePlus() {
        #expect(worstError(everyMagnitude, table.logarithmOfOnePlus, Foundation.log1p) < 3)
        #expect(worstError(grid(-0.999 ... 1), table.logarithmOfOnePlus, Foundation.log1p) < 3)
        let extremes = apply(table.logarithmOfOnePlus, [-1, -2, .infinity, .nan, 0, 1e-30, -1e-30, 3e38])
        #expect(extremes[0] == -.infinity && extremes[1].isNaN && extremes[2] == .infinity && extremes[3].isNaN)
        #expect(extremes[4] == 0 && extremes[5] == 1e-30 && extremes[6] == -1e-30 && extremes[7].isFinite)
    }

    @Test func softplus() {
        let exact = { (x: Double) in max(x, 0) + Foundation.log1p(Foundation.exp(-abs(x))) }
        #expect(worstError(grid(-110 ... 110), table.softplus, exact) < 4)
        #expect(worstError(grid(-1 ... 1), table.softplus, exact) < 4)
        let extremes = apply(table.softplus, [-1e4, 1e4, -.infinity, .infinity, .nan, -88, 0, 20])
        #expect(extremes[0] == 0 && extremes[1] == 1e4 && extremes[2] == 0 && extremes[3] == .infinity)
        #expect(extremes[4].isNaN && extremes[5] > 0)
    }

    @Test func hyperbolicTangent() {
        #expect(worstError(grid(-12 ... 12), table.hyperbolicTangent, Foundation.tanh) < 2.5)
        #expect(worstError(grid(-0.7 ... 0.7), table.hyperbolicTangent, Foundation.tanh) < 2.5)
        #expect(worstError(everyMagnitude, table.hyperbolicTangent, Foundation.tanh) < 2.5)
        let extremes = apply(table.hyperbolicTangent, [-1e4, 1e4, -.infinity, .infinity, .nan, 0, -0.0, 0x1p-130])
        #expect(extremes[0] == -1 && extremes[1] == 1 && extremes[2] == -1 && extremes[3] == 1 && extremes[4].isNaN)
        #expect(extremes[5] == 0 && extremes[6] == 0 && extremes[7] == 0x1p-130)
    }

    @Test func sigmoid() {
        let exact = { (x: Double) in x >= 0 ? 1 / (1 + Foundation.exp(-x)) : Foundation.exp(x) / (1 + Foundation.exp(x))
        }
        #expect(worstError(grid(-110 ... 110), table.sigmoid, exact) < 3)
        let extremes = apply(table.sigmoid, [-1e4, 1e4, -.infinity, .infinity, .nan, 0, -87, 20])
        #expect(extremes[0] == 0 && extremes[1] == 1 && extremes[2] == 0 && extremes[3] == 1 && extremes[4].isNaN)
        #expect(extremes[5] == 0.5 && extremes[6] > 0)
    }

    @Test func sineAndCosineOfTurns() {
        func sinCos(_ turns: [Float]) -> (sin: [Float], cos: [Float]) {
            let source = FloatBuffer(turns), sine = FloatBuffer(count: turns.count),
                cosine = FloatBuffer(count: turns.count)
            return withExtendedLifetime(source) {
                table.sinCosOfTurns(source.values.base, sine.values.base, cosine.values.base, turns.count)
                return (sine.array, cosine.array)
            }
        }
        // Away from the roots the relative error counts; the roots are exact, as the reduction is.
        let turns = grid(-3 ... 3), result = sinCos(turns)
        for (index, u) in turns.enumerated() {
            let error = max(
                abs(Double(result.sin[index]) - Foundation.sin(2 * Double.pi * Double(u))),
                abs(Double(result.cos[index]) - Foundation.cos(2 * Double.pi * Double(u))))
            if error >= 1.3e-7 { Issue.record("an error of \(error) at \(u)") }
        }
        let quarters = sinCos([0, 0.25, 0.5, 0.75, 1, -0.25, 1e-20, 2.5])
        #expect(quarters.sin[0] == 0 && quarters.sin[1] == 1 && quarters.sin[2] == 0 && quarters.sin[3] == -1)
        #expect(quarters.cos[0] == 1 && quarters.cos[1] == 0 && quarters.cos[2] == -1 && quarters.cos[3] == 0)
        #expect(quarters.sin[5] == -1 && abs(quarters.sin[6] / 6.28318531e-20 - 1) < 1e-6 && quarters.cos[7] == -1)
    }

    @Test func mapReachesEveryValueAndNoOther() {
        for count in 0 ... 20 {
            let source = FloatBuffer((0 ..< 24).map(Float.init)),
                target = FloatBuffer([Float](repeating: -1, count: 24))
            table.scale(source.values.base, 3, target.values.base, count)
            #expect(target.values.array == (0 ..< 24).map { $0 < count ? 3 * Float($0) : -1 })
        }
    }
}
