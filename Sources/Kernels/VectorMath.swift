/// Eight floats at a time: one AVX register, two of SSE.
typealias Vector = SIMD8<Float>

extension UnsafeMutablePointer where Pointee == Float {
    /// The eight values from `index` on.
    @inline(__always) func vector(at index: Int) -> Vector {
        UnsafeRawPointer(self + index).loadUnaligned(as: Vector.self)
    }

    /// The `count` < 8 values from `index` on, then zeros.
    @inline(__always) func vector(at index: Int, count: Int) -> Vector {
        var vector = Vector.zero
        for lane in 0 ..< count { vector[lane] = self[index &+ lane] }
        return vector
    }

    @inline(__always) func store(_ vector: Vector, at index: Int) {
        UnsafeMutableRawPointer(self + index).storeBytes(of: vector, as: Vector.self)
    }

    /// Stores the first `count` < 8 lanes.
    @inline(__always) func store(_ vector: Vector, at index: Int, count: Int) {
        for lane in 0 ..< count { self[index &+ lane] = vector[lane] }
    }
}

/// Elementary functions of eight floats at a time.
///
/// Own polynomials and no fused multiply-add: the bits depend neither on the C library nor on the build. The
/// coefficients minimise the largest relative error over the reduced range (reweighted least squares at Chebyshev
/// nodes, 40 digits, then rounded), which stays below 0.1 · 2⁻²⁴: what remains is the rounding of a few operations.
/// NaN gives NaN everywhere.
enum VectorMath {
    /// Loads, maps and stores `count` values, `transform` seeing eight at a time (zeros past the end).
    @inline(__always)
    static func map(
        _ source: UnsafeMutablePointer<Float>, into target: UnsafeMutablePointer<Float>, count: Int,
        _ transform: (Vector) -> Vector
    ) {
        var index = 0
        while index &+ 8 <= count {
            target.store(transform(source.vector(at: index)), at: index)
            index &+= 8
        }
        if index < count {
            let rest = count &- index
            target.store(transform(source.vector(at: index, count: rest)), at: index, count: rest)
        }
    }

    /// eˣ, with ∞ above 88.72 and gradual underflow to 0 below −103.97. Error at most 2 units in the last place.
    @inline(__always)
    static func exp(_ argument: Vector) -> Vector {
        // Outside these bounds the result is ∞ or 0 all the same, and the exponent below stays in range.
        var x = argument.replacing(with: 90, where: argument .> 90)
        x.replace(with: -105, where: argument .< -105)
        // x = n ln 2 + r; ln 2 in two parts, the first of nine bits so that n times it is exact.
        let n = nearestInteger(x * 1.44269504)
        let r = (x - n.value * 0.693359375) - n.value * -2.12194440e-4
        var p = r * 0.00138146081 + 0.00836871006
        p = p * r + 0.041668389
        p = p * r + 0.166665211
        p = p * r + 0.49999994
        p = p * (r * r) + r + 1
        // 2ⁿ as a product of two: n reaches 129 and −151, past what one exponent holds.
        let half = n.integer &>> 1
        return p * powerOfTwo(half) * powerOfTwo(n.integer &- half)
    }

    /// ln x; −∞ at 0, NaN below. Error at most 2 units in the last place.
    @inline(__always)
    static func log(_ argument: Vector) -> Vector {
        let subnormal = argument .< Float.leastNormalMagnitude
        let x = argument.replacing(with: argument * 8_388_608, where: subnormal)
        // x = 2ⁿ (1 + f), with 1 + f in [√½, √2): adding 1 − √½ in the bits moves the upper part to the next exponent.
        let bits = unsafeBitCast(x, to: SIMD8<Int32>.self) &+ (0x3f80_0000 - 0x3f35_04f3)
        var n = small((bits &>> 23) & 0x1ff) - 127
        n.replace(with: n - 23, where: subnormal)
        let f = unsafeBitCast((bits & 0x007f_ffff) &+ 0x3f35_04f3, to: Vector.self) - 1
        var p = f * 0.0674655214 - 0.116756283
        p = p * f + 0.118881904
        p = p * f - 0.124055944
        p = p * f + 0.142195493
        p = p * f - 0.166679949
        p = p * f + 0.200021192
        p = p * f - 0.250000089
        p = p * f + 0.333333135
        let square = f * f
        var result = f + (p * f * square + n * -2.12194440e-4 - square * 0.5) + n * 0.693359375
        result.replace(with: argument, where: argument .== .infinity)
        result.replace(with: -.infinity, where: argument .== 0)
        result.replace(with: .nan, where: argument .< 0 .| (argument .!= argument))
        return result
    }

    /// ln(1 + x), exact to rounding for small x too; −∞ at −1, NaN below.
    @inline(__always)
    static func log1p(_ x: Vector) -> Vector {
        let u = 1 + x
        // What 1 + x lost by rounding, relative to u, is what the logarithm lost.
        var correction = (x - (u - 1)) / u
        correction.replace(with: 0, where: u .== 0 .| (x .== .infinity))
        return log(u) + correction
    }

    /// ln(1 + eˣ): the cross-entropy of a logit. x for large x, eˣ for very negative ones.
    @inline(__always)
    static func softplus(_ x: Vector) -> Vector {
        x.replacing(with: 0, where: x .< 0) + log1p(exp(-magnitude(x)))
    }

    /// 1 / (1 + e⁻ˣ); the small values keep their relative precision.
    @inline(__always)
    static func sigmoid(_ x: Vector) -> Vector {
        let e = exp(-magnitude(x))
        return e.replacing(with: 1, where: x .>= 0) / (1 + e)
    }

    /// The normal distribution function Φ(x) and its density φ(x); small values of Φ keep their relative precision.
    @inline(__always)
    static func normal(_ x: Vector) -> (cumulative: Vector, density: Vector) {
        // Φ(−a) = exp(−a²/2) · ½ erfcx(a/√2), of which the second factor is a polynomial in t, a < 14: beyond, the
        // first is 0.
        let a = magnitude(x), t = 1 / (1 + 0.3 * a), e = exp(-0.5 * a * a)
        var p = t * 0.0383784026 - 0.169166639
        p = p * t + 0.22866109
        p = p * t - 0.0765075535
        p = p * t + 0.142536208
        p = p * t + 0.0946832597
        p = p * t + 0.121920399
        p = p * t + 0.11948768
        p = p * t + 7.16925342e-6
        let tail = e * p
        return (tail.replacing(with: 1 - tail, where: x .> 0), e * 0.39894228)
    }

    @inline(__always)
    static func tanh(_ x: Vector) -> Vector {
        let z = x * x
        var p = z * -0.00570496777 + 0.0206390675
        p = p * z - 0.0537397079
        p = p * z + 0.133314416
        p = p * z - 0.333332807
        let small = p * z * x + x
        let large = 1 - 2 / (exp(2 * magnitude(x)) + 1)
        return small.replacing(with: copySign(of: x, to: large), where: magnitude(x) .> 0.625)
    }

    /// sin 2πu and cos 2πu for |u| < 2²²; exact at multiples of a quarter.
    @inline(__always)
    static func sinCosOfTurns(_ u: Vector) -> (sin: Vector, cos: Vector) {
        let quarter = nearestInteger(u * 4)
        let angle = (u - quarter.value * 0.25) * 6.28318531
        let z = angle * angle
        var s = z * -0.000195146291 + 0.00833215564
        s = s * z - 0.166666552
        s = s * z * angle + angle
        var c = z * 2.44324409e-05 - 0.00138873095
        c = c * z + 0.0416666456
        c = c * (z * z) - z * 0.5 + 1
        // An odd quarter swaps the two; the sine is negative in the quarters 2 and 3, the cosine in 1 and 2. On the
        // bits: masks of lanes, where they are computed from integers, are handled one lane at a time.
        let turn = unsafeBitCast(quarter.integer, to: SIMD8<UInt32>.self)
        let sBits = unsafeBitCast(s, to: SIMD8<UInt32>.self), cBits = unsafeBitCast(c, to: SIMD8<UInt32>.self)
        let swapped = (sBits ^ cBits) & (0 &- (turn & 1))
        return (
            unsafeBitCast(sBits ^ swapped ^ ((turn & 2) &<< 30), to: Vector.self),
            unsafeBitCast(cBits ^ swapped ^ (((turn &+ 1) & 2) &<< 30), to: Vector.self)
        )
    }

    @inline(__always)
    static func magnitude(_ x: Vector) -> Vector {
        unsafeBitCast(unsafeBitCast(x, to: SIMD8<UInt32>.self) & 0x7fff_ffff, to: Vector.self)
    }

    @inline(__always)
    private static func copySign(of sign: Vector, to magnitude: Vector) -> Vector {
        unsafeBitCast(
            unsafeBitCast(magnitude, to: SIMD8<UInt32>.self)
                | (unsafeBitCast(sign, to: SIMD8<UInt32>.self) & 0x8000_0000), to: Vector.self)
    }

    /// The integer nearest to each |x| < 2²², ties to even: adding 1.5 · 2²³ leaves it in the low bits. (`rounded()`
    /// is a library call for each lane where the build may not use SSE 4.1.)
    @inline(__always)
    private static func nearestInteger(_ x: Vector) -> (value: Vector, integer: SIMD8<Int32>) {
        let shift = Vector(repeating: 12_582_912)
        let shifted = x + shift
        return (
            shifted - shift,
            unsafeBitCast(shifted, to: SIMD8<Int32>.self) &- unsafeBitCast(shift, to: SIMD8<Int32>.self)
        )
    }

    /// The float of an integer in 0 ..< 2²³, by putting it in the low bits of 2²³. (The conversion often takes a lane
    /// at a time.)
    @inline(__always)
    static func small(_ integer: SIMD8<Int32>) -> Vector {
        unsafeBitCast(integer | 0x4b00_0000, to: Vector.self) - 8_388_608
    }

    /// 2ⁿ for −126 ≤ n ≤ 127.
    @inline(__always)
    private static func powerOfTwo(_ n: SIMD8<Int32>) -> Vector {
        unsafeBitCast((n &+ 127) &<< 23, to: Vector.self)
    }
}
