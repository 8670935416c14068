/// y = x r, r = 1/√(mean(x²) + ε), over the channels of each pixel: Karras et al. 2018 (arXiv:1710.10196), §4.2.
///
/// The Jacobian is symmetric: J t = r (t − y ⟨y, t⟩ / C).
public enum PixelNormalisationKernels {
    public static func forward(_ input: Floats, channels: Int, epsilon: Float, into output: Floats) {
        forEachPixel(input, output, channels: channels) { x, y in
            let r = inverse(of: x, epsilon)
            forEachEight(channels) { index, lanes in y.setLanes(x.lanes(at: index, lanes) * r, at: index, lanes) }
        }
    }

    /// J t into `output`: what backward makes of a gradient, too.
    public static func derivative(
        _ tangent: Floats, input: Floats, channels: Int, epsilon: Float, into output: Floats
    ) {
        precondition(tangent.count == input.count, "\(tangent.count) tangents of \(input.count) values")
        forEachPixel(input, output, channels: channels) { x, result in
            let t = part(tangent, like: result, of: output), r = inverse(of: x, epsilon)
            // y ⟨y, t⟩ / C = x · r² ⟨x, t⟩ / C.
            let along = Float(Double(r) * Double(r) * Reductions.product(x, t) / Double(channels))
            forEachEight(channels) { index, lanes in
                let value = (t.lanes(at: index, lanes) - x.lanes(at: index, lanes) * along) * r
                result.setLanes(value, at: index, lanes)
            }
        }
    }

    /// c (+)= ∂⟨e, J t⟩ / ∂x = −r²/C · (⟨e, t⟩ y + ⟨y, t⟩ e + ⟨y, e⟩ t − 3/C ⟨y, e⟩ ⟨y, t⟩ y).
    public static func curvature(
        _ gradient: Floats, tangent: Floats, input: Floats, channels: Int, epsilon: Float, into inputGradient: Floats,
        adding: Bool
    ) {
        precondition(
            gradient.count == input.count && tangent.count == input.count,
            "\(gradient.count) gradients and \(tangent.count) tangents of \(input.count) values")
        forEachPixel(input, inputGradient, channels: channels) { x, c in
            let e = part(gradient, like: c, of: inputGradient), t = part(tangent, like: c, of: inputGradient)
            let r = Double(inverse(of: x, epsilon)), count = Double(channels)
            let ye = r * Reductions.product(x, e), yt = r * Reductions.product(x, t)
            let factor = -r * r / count
            let ofX = Float(factor * r * (Reductions.product(e, t) - 3 / count * ye * yt))
            let ofE = Float(factor * yt), ofT = Float(factor * ye)
            forEachEight(channels) { index, lanes in
                let bent =
                    x.lanes(at: index, lanes) * ofX + e.lanes(at: index, lanes) * ofE
                    + t.lanes(at: index, lanes) * ofT
                c.setLanes(adding ? c.lanes(at: index, lanes) + bent : bent, at: index, lanes)
            }
        }
    }

    private static func inverse(of x: Floats, _ epsilon: Float) -> Float {
        Float(1 / (Reductions.squaredNorm(of: x) / Double(x.count) + Double(epsilon)).squareRoot())
    }

    /// The values of `all` that lie where `pixel` lies in `output`.
    private static func part(_ all: Floats, like pixel: Floats, of output: Floats) -> Floats {
        let start = pixel.base - output.base
        return all[start ..< start + pixel.count]
    }

    private static func forEachPixel(
        _ input: Floats, _ output: Floats, channels: Int, _ body: (_ input: Floats, _ output: Floats) -> Void
    ) {
        precondition(
            input.count == output.count && input.count % channels == 0,
            "\(input.count) values of \(channels) channels into \(output.count)")
        for start in stride(from: 0, to: input.count, by: channels) {
            body(input[start ..< start + channels], output[start ..< start + channels])
        }
    }
}
