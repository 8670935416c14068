import Kernels
import Nets
import Storage

/// Examples as a PNG file: images in a grid, points of the plane as a density.
public enum Picture {
    public static func write(_ samples: FloatBuffer, count: Int, shape: Shape, range: ClosedRange<Float>, to path: String) throws {
        switch shape {
        case .image(let height, let width, let channels) where channels == 1 || channels == 3:
            try PNGGrid.write(samples.values[0 ..< count * shape.count], shape: [height, width, channels], range: range, to: path)
        case .vector(2):
            let side = 256
            let density = scatter(samples.values, count: count, side: side)
            try PNGGrid.write(density.values, shape: [side, side, 1], range: 0 ... 1, to: path)
        default:
            throw Failure(.badConfiguration, "examples of shape \(shape) cannot be drawn: only images of 1 or 3 channels and points of the plane can",
                          remedy: "Write them to an HDF5 file with --out FILE.h5.")
        }
    }

    static func canDraw(_ shape: Shape) -> Bool {
        switch shape {
        case .image(_, _, let channels): channels == 1 || channels == 3
        case .vector(let count): count == 2
        }
    }

    /// Points as white dots on black, in a square about the origin that holds 99 of 100 of them.
    private static func scatter(_ points: Floats, count: Int, side: Int) -> FloatBuffer {
        let image = FloatBuffer(count: side * side)
        let extents = (0 ..< count).map { max(abs(points[2 * $0]), abs(points[2 * $0 + 1])) }.sorted()
        let reach = max(extents[(count - 1) * 99 / 100] * 1.1, 1e-6)
        for point in 0 ..< count {
            let x = Int(((points[2 * point] / reach + 1) / 2 * Float(side)).rounded(.down).clamped(-1, Float(side)))
            let y = Int(((1 - points[2 * point + 1] / reach) / 2 * Float(side)).rounded(.down).clamped(-1, Float(side)))
            for (dx, dy) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
                let (column, row) = (x + dx, y + dy)
                if (0 ..< side).contains(column), (0 ..< side).contains(row) {
                    image.values[row * side + column] = min(1, image.values[row * side + column] + 0.45)
                }
            }
        }
        return image
    }
}

extension Float {
    /// Within bounds; a value that is no number becomes the lower one.
    func clamped(_ low: Float, _ high: Float) -> Float { self >= low ? Swift.min(self, high) : low }
}
