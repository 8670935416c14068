import Kernels
import Storage

/// Generated points of the plane (dark) over the true modes (circles of three deviations), or the line that they lie
/// around, and, where it is known, D's probability: blue where it holds a point for generated, orange where for real,
/// white where it cannot tell.
struct PlaneView {
    private let scene: Scene
    private let side = 320
    /// D is asked at the middles of squares of so many pixels.
    private let square = 4

    init(_ scene: Scene) { self.scene = scene }

    func draw(_ points: FloatBuffer, count: Int) throws -> Pixels {
        var canvas = Canvas(width: side, height: side, background: Canvas.paper)
        try drawProbability(on: &canvas)
        for mode in scene.mixture?.modes ?? [] {
            let radius = max(3 * (scene.mixture?.deviation ?? 0) * scale, 5)
            canvas.circle(x: x(mode[0]), y: y(mode[1]), radius: radius, Canvas.ink, 0.8, hollow: true)
        }
        for place in scene.mixture?.line(steps: 1000) ?? [] {
            canvas.circle(x: x(place[0]), y: y(place[1]), radius: 1, Canvas.ink, 0.5)
        }
        for point in 0 ..< count {
            canvas.circle(
                x: x(Double(points.values[2 * point])), y: y(Double(points.values[2 * point + 1])), radius: 1,
                Canvas.ink, 0.35)
        }
        return canvas.picture
    }

    private var low: Double { Double(scene.reach.lowerBound) }
    private var scale: Double { Double(side) / (Double(scene.reach.upperBound) - low) }
    private func x(_ value: Double) -> Double { (value - low) * scale }
    private func y(_ value: Double) -> Double { Double(side) - (value - low) * scale }

    private func drawProbability(on canvas: inout Canvas) throws {
        guard let probability = scene.probability else { return }
        let cells = side / square
        let grid = FloatBuffer(count: 2 * cells * cells)
        for cell in 0 ..< cells * cells {
            let (row, column) = cell.quotientAndRemainder(dividingBy: cells)
            grid.values[2 * cell] = Float(low + (Double(column) + 0.5) * Double(square) / scale)
            grid.values[2 * cell + 1] = Float(low + (Double(cells - 1 - row) + 0.5) * Double(square) / scale)
        }
        let probabilities = try probability(grid)
        for row in 0 ..< side {
            for column in 0 ..< side {
                let probability = probabilities[row / square * cells + column / square]
                let strength = 0.75 * abs(2 * probability - 1)
                canvas.blend(column, row, probability > 0.5 ? Canvas.real : Canvas.generated, strength)
            }
        }
    }
}
