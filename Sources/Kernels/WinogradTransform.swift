/// The transforms of F(4, 2): four neighbouring outputs of a two-tap filter by five multiplications instead of eight.
///
/// Winograd 1980, "Arithmetic complexity of computations", §IV; Lavin & Gray 2016, eq. 6 and 8; with the points 0, 1, −1, 2 and ∞:
///
///     yᵢ = dᵢ g₀ + dᵢ₊₁ g₁ (i < 4) is y = Aᵀ ((G g) ⊙ (Bᵀ d)),
///
///          ⎡ 2 −1 −2  1  0 ⎤        ⎡  ½   0 ⎤          ⎡ 1  1  1  1  0 ⎤
///          ⎢ 0 −2 −1  1  0 ⎥        ⎢ −½  −½ ⎥          ⎢ 0  1 −1  2  0 ⎥
///     Bᵀ = ⎢ 0  2 −3  1  0 ⎥    G = ⎢ −⅙   ⅙ ⎥     Aᵀ = ⎢ 0  1  1  4  0 ⎥
///          ⎢ 0 −1  0  1  0 ⎥        ⎢  ⅙   ⅓ ⎥          ⎣ 0  1 −1  8  1 ⎦
///          ⎣ 0  2 −1 −2  1 ⎦        ⎣  0   1 ⎦
///
/// Being bilinear it also gives both gradients, by the transposed matrices. Each function here is one of the six maps, on
/// vectors that lie `step` values apart.
enum WinogradTransform {
    typealias Wide = SIMD16<Float>
    typealias Source = UnsafePointer<Float>
    typealias Target = UnsafeMutablePointer<Float>

    /// Room for two 5 × 5 arrays of vectors.
    static let workCount = 2 * 25 * 16

    /// Applies `map` from `before` to `after` values to the rows, then to the columns of the square array of vectors at `work`; the
    /// result is left there.
    @inline(__always)
    static func square(_ work: Target, from before: Int, to after: Int, _ map: (Source, Int, Target, Int) -> Void) {
        let half = work + 25 * 16
        for row in 0 ..< before { map(work + row &* before &* 16, 16, half + row &* after &* 16, 16) }
        for column in 0 ..< after { map(half + column &* 16, after &* 16, work + column &* 16, after &* 16) }
    }

    /// Bᵀ, of the input.
    @inline(__always)
    static func input(_ d: Source, _ step: Int, into t: Target, _ tStep: Int) {
        let (d0, d1, d2, d3, d4) = five(d, step)
        let d31 = d3 - d1
        store(d31 + 2 * (d0 - d2), t)
        store(d3 - d2 - 2 * d1, t + tStep)
        store(d3 - 3 * d2 + 2 * d1, t + 2 &* tStep)
        store(d31, t + 3 &* tStep)
        store(d4 - d2 - 2 * d31, t + 4 &* tStep)
    }

    /// B, of the input's gradient.
    @inline(__always)
    static func inputAdjoint(_ t: Source, _ step: Int, into d: Target, _ dStep: Int) {
        let (t0, t1, t2, t3, t4) = five(t, step)
        store(2 * t0, d)
        store(2 * (t2 - t1 + t4) - t0 - t3, d + dStep)
        store(-2 * t0 - t1 - 3 * t2 - t4, d + 2 &* dStep)
        store(t0 + t1 + t2 + t3 - 2 * t4, d + 3 &* dStep)
        store(t4, d + 4 &* dStep)
    }

    /// G, of the weights.
    @inline(__always)
    static func weight(_ g: Source, _ step: Int, into t: Target, _ tStep: Int) {
        let g0 = load(g), g1 = load(g + step)
        let sixth: Float = 1 / 6, third: Float = 1 / 3
        store(0.5 * g0, t)
        store(-0.5 * (g0 + g1), t + tStep)
        store(sixth * (g1 - g0), t + 2 &* tStep)
        store(sixth * g0 + third * g1, t + 3 &* tStep)
        store(g1, t + 4 &* tStep)
    }

    /// Gᵀ, of the weights' gradient.
    @inline(__always)
    static func weightAdjoint(_ t: Source, _ step: Int, into g: Target, _ gStep: Int) {
        let (t0, t1, t2, t3, t4) = five(t, step)
        let sixth: Float = 1 / 6, third: Float = 1 / 3
        store(0.5 * (t0 - t1) + sixth * (t3 - t2), g)
        store(sixth * t2 - 0.5 * t1 + third * t3 + t4, g + gStep)
    }

    /// Aᵀ, to the output.
    @inline(__always)
    static func output(_ t: Source, _ step: Int, into y: Target, _ yStep: Int) {
        let (t0, t1, t2, t3, t4) = five(t, step)
        let sum = t1 + t2, difference = t1 - t2
        store(t0 + sum + t3, y)
        store(difference + 2 * t3, y + yStep)
        store(sum + 4 * t3, y + 2 &* yStep)
        store(difference + 8 * t3 + t4, y + 3 &* yStep)
    }

    /// A, of the output's gradient.
    @inline(__always)
    static func outputAdjoint(_ y: Source, _ step: Int, into t: Target, _ tStep: Int) {
        let y0 = load(y), y1 = load(y + step), y2 = load(y + 2 &* step), y3 = load(y + 3 &* step)
        let even = y0 + y2, odd = y1 + y3
        store(y0, t)
        store(even + odd, t + tStep)
        store(even - odd, t + 2 &* tStep)
        store(y0 + 2 * y1 + 4 * y2 + 8 * y3, t + 3 &* tStep)
        store(y3, t + 4 &* tStep)
    }

    @inline(__always) static func load(_ source: Source) -> Wide { UnsafeRawPointer(source).loadUnaligned(as: Wide.self) }

    @inline(__always) static func store(_ vector: Wide, _ target: Target) {
        UnsafeMutableRawPointer(target).storeBytes(of: vector, as: Wide.self)
    }

    @inline(__always) private static func five(_ s: Source, _ step: Int) -> (Wide, Wide, Wide, Wide, Wide) {
        (load(s), load(s + step), load(s + 2 &* step), load(s + 3 &* step), load(s + 4 &* step))
    }
}
