import CVector

/// The transforms of F(4, 2): four neighbouring outputs of a two-tap filter by five multiplications instead of eight.
///
/// Winograd 1980, "Arithmetic complexity of computations", §IV; Lavin & Gray 2016, eq. 6 and 8; with the points 0, 1,
/// −1, 2 and ∞:
///
///     yᵢ = dᵢ g₀ + dᵢ₊₁ g₁ (i < 4) is y = Aᵀ ((G g) ⊙ (Bᵀ d)),
///
///          ⎡ 2 −1 −2  1  0 ⎤        ⎡  ½   0 ⎤          ⎡ 1  1  1  1  0 ⎤
///          ⎢ 0 −2 −1  1  0 ⎥        ⎢ −½  −½ ⎥          ⎢ 0  1 −1  2  0 ⎥
///     Bᵀ = ⎢ 0  2 −3  1  0 ⎥    G = ⎢ −⅙   ⅙ ⎥     Aᵀ = ⎢ 0  1  1  4  0 ⎥
///          ⎢ 0 −1  0  1  0 ⎥        ⎢  ⅙   ⅓ ⎥          ⎣ 0  1 −1  8  1 ⎦
///          ⎣ 0  2 −1 −2  1 ⎦        ⎣  0   1 ⎦
///
/// Being bilinear it also gives both gradients, by the transposed matrices. Each function here is one of the six
/// maps, on columns of vectors.
enum WinogradTransform {
    typealias Wide = SIMD16<Float>

    /// Room for a 5 × 5 array of vectors.
    static let workCount = 25 * 16

    /// Applies `map` to the rows, then to the columns of a square array of vectors.
    @inline(__always)
    static func square<From: WinogradColumn, To: WinogradColumn>(
        _ work: UnsafeMutablePointer<Float>, _ map: (From) -> To, from load: (_ row: Int, _ column: Int) -> Wide,
        to store: (_ row: Int, _ column: Int, Wide) -> Void
    ) {
        for row in 0 ..< From.count {
            map(From { load(row, $0) }).forEach { column, value in
                Panels.store(value, work + (row &* To.count &+ column) &* 16)
            }
        }
        for column in 0 ..< To.count {
            map(From { Panels.load(work + ($0 &* To.count &+ column) &* 16) }).forEach { row, value in
                store(row, column, value)
            }
        }
    }

    /// Bᵀ, of the input.
    @inline(__always)
    static func input(_ d: Five) -> Five {
        let d31 = d.v3 - d.v1
        return Five(
            d31 + 2 * (d.v0 - d.v2), d.v3 - d.v2 - 2 * d.v1, d.v3 - 3 * d.v2 + 2 * d.v1, d31, d.v4 - d.v2 - 2 * d31)
    }

    /// B, of the input's gradient.
    @inline(__always)
    static func inputAdjoint(_ t: Five) -> Five {
        Five(
            2 * t.v0, 2 * (t.v2 - t.v1 + t.v4) - t.v0 - t.v3, -2 * t.v0 - t.v1 - 3 * t.v2 - t.v4,
            t.v0 + t.v1 + t.v2 + t.v3 - 2 * t.v4, t.v4)
    }

    /// G, of the weights.
    @inline(__always)
    static func weight(_ g: Two) -> Five {
        let sixth: Float = 1 / 6, third: Float = 1 / 3
        return Five(
            0.5 * g.v0, multiplyAdd16(-0.5, g.v1, -0.5 * g.v0), multiplyAdd16(sixth, g.v1, -sixth * g.v0),
            multiplyAdd16(third, g.v1, sixth * g.v0), g.v1)
    }

    /// Gᵀ, of the weights' gradient.
    @inline(__always)
    static func weightAdjoint(_ t: Five) -> Two {
        let sixth: Float = 1 / 6, third: Float = 1 / 3
        return Two(
            multiplyAdd16(sixth, t.v3, multiplyAdd16(-sixth, t.v2, multiplyAdd16(-0.5, t.v1, 0.5 * t.v0))),
            multiplyAdd16(third, t.v3, multiplyAdd16(sixth, t.v2, multiplyAdd16(-0.5, t.v1, t.v4))))
    }

    /// Aᵀ, to the output.
    @inline(__always)
    static func output(_ t: Five) -> Four {
        let sum = t.v1 + t.v2, difference = t.v1 - t.v2
        return Four(t.v0 + sum + t.v3, difference + 2 * t.v3, sum + 4 * t.v3, difference + 8 * t.v3 + t.v4)
    }

    /// A, of the output's gradient.
    @inline(__always)
    static func outputAdjoint(_ y: Four) -> Five {
        let even = y.v0 + y.v2, odd = y.v1 + y.v3
        return Five(y.v0, even + odd, even - odd, y.v0 + 2 * y.v1 + 4 * y.v2 + 8 * y.v3, y.v3)
    }
}

/// A few vectors in registers.
protocol WinogradColumn {
    static var count: Int { get }
    init(_ value: (Int) -> SIMD16<Float>)
    func forEach(_ body: (Int, SIMD16<Float>) -> Void)
}

struct Two: WinogradColumn {
    let v0, v1: SIMD16<Float>
    static var count: Int { 2 }
    @inline(__always) init(_ v0: SIMD16<Float>, _ v1: SIMD16<Float>) { (self.v0, self.v1) = (v0, v1) }
    @inline(__always) init(_ value: (Int) -> SIMD16<Float>) { self.init(value(0), value(1)) }
    @inline(__always) func forEach(_ body: (Int, SIMD16<Float>) -> Void) { body(0, v0); body(1, v1) }
}

struct Four: WinogradColumn {
    let v0, v1, v2, v3: SIMD16<Float>
    static var count: Int { 4 }
    @inline(__always) init(_ v0: SIMD16<Float>, _ v1: SIMD16<Float>, _ v2: SIMD16<Float>, _ v3: SIMD16<Float>) {
        (self.v0, self.v1, self.v2, self.v3) = (v0, v1, v2, v3)
    }
    @inline(__always) init(_ value: (Int) -> SIMD16<Float>) { self.init(value(0), value(1), value(2), value(3)) }
    @inline(__always) func forEach(_ body: (Int, SIMD16<Float>) -> Void) {
        body(0, v0); body(1, v1); body(2, v2); body(3, v3)
    }
}

struct Five: WinogradColumn {
    let v0, v1, v2, v3, v4: SIMD16<Float>
    static var count: Int { 5 }
    @inline(__always)
    init(_ v0: SIMD16<Float>, _ v1: SIMD16<Float>, _ v2: SIMD16<Float>, _ v3: SIMD16<Float>, _ v4: SIMD16<Float>) {
        (self.v0, self.v1, self.v2, self.v3, self.v4) = (v0, v1, v2, v3, v4)
    }
    @inline(__always) init(_ value: (Int) -> SIMD16<Float>) {
        self.init(value(0), value(1), value(2), value(3), value(4))
    }
    @inline(__always) func forEach(_ body: (Int, SIMD16<Float>) -> Void) {
        body(0, v0); body(1, v1); body(2, v2); body(3, v3); body(4, v4)
    }

    @inline(__always)
    func forEach(with other: Five, _ body: (Int, SIMD16<Float>, SIMD16<Float>) -> Void) {
        body(0, v0, other.v0); body(1, v1, other.v1); body(2, v2, other.v2); body(3, v3, other.v3);
        body(4, v4, other.v4)
    }
}
