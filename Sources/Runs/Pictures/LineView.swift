import Foundation
import Kernels
import Storage

/// Generated points of the line as a histogram (blue), the true density (black) and, where it is known, D(x) from 0
/// below to 1 above (orange): as Figure 1 of Goodfellow et al. 2014.
struct LineView {
    private let scene: Scene
    private let width = 400
    private let height = 240
    private let bins = 80

    init(_ scene: Scene) { self.scene = scene }

    func draw(_ points: FloatBuffer, count: Int) throws -> Pixels {
        var canvas = Canvas(width: width, height: height, background: Canvas.paper)
        let truth = (0 ..< width).map { density(at: value(at: Double($0) + 0.5)) }
        var histogram = [Double](repeating: 0, count: bins)
        for point in 0 ..< count {
            let place = (Double(points.values[point]) - low) / span * Double(bins)
            if place >= 0, place < Double(bins) { histogram[Int(place)] += Double(bins) / span / Double(count) }
        }
        // A collapsed generator's one high column may leave the picture: the true density shall stay readable.
        let top = max(1.6 * (truth.max() ?? 0), scene.mixture == nil ? 1.1 * (histogram.max() ?? 1) : 0, 1e-9)
        let floor = Double(height - 1)
        for column in 0 ..< width {
            let filled = Int(min(histogram[column * bins / width] / top, 1) * floor)
            for row in stride(from: height - 1, to: height - 1 - filled, by: -1) {
                canvas.blend(column, row, Canvas.generated, 0.55)
            }
        }
        if scene.mixture != nil { canvas.curve(truth.map { floor - $0 / top * floor }, Canvas.ink) }
        let grid = FloatBuffer((0 ..< width).map { Float(value(at: Double($0) + 0.5)) })
        if let probability = scene.probability {
            canvas.curve(try probability(grid).map { floor - $0 * floor }, Canvas.real)
        }
        return canvas.picture
    }

    private var low: Double { Double(scene.reach.lowerBound) }
    private var span: Double { Double(scene.reach.upperBound) - low }
    private func value(at column: Double) -> Double { low + column / Double(width) * span }

    /// The mixture's probability density.
    private func density(at x: Double) -> Double {
        guard let mixture = scene.mixture else { return 0 }
        // A point has a peak of no width.
        let deviation = max(mixture.deviation, span / 200)
        return mixture.modes.reduce(0) { $0 + exp(-0.5 * pow((x - $1[0]) / deviation, 2)) }
            / (Double(mixture.modes.count) * deviation * (2 * .pi).squareRoot())
    }
}
