import Storage

/// Pixels to draw on, in colours of three bytes.
struct Canvas {
    typealias Colour = SIMD3<Double>

    let width: Int
    let height: Int
    private var pixels: [Colour]

    init(width: Int, height: Int, background: Colour) {
        (self.width, self.height) = (width, height)
        pixels = [Colour](repeating: background, count: width * height)
    }

    subscript(x: Int, y: Int) -> Colour {
        get { pixels[y * width + x] }
        set { pixels[y * width + x] = newValue }
    }

    /// Mixes `share` of a colour into a pixel; nothing outside the canvas.
    mutating func blend(_ x: Int, _ y: Int, _ colour: Colour, _ share: Double) {
        guard (0 ..< width).contains(x), (0 ..< height).contains(y), share > 0 else { return }
        self[x, y] += min(share, 1) * (colour - self[x, y])
    }

    /// A filled circle with soft edges; `hollow`: its line alone.
    mutating func circle(x: Double, y: Double, radius: Double, _ colour: Colour, _ share: Double, hollow: Bool = false)
    {
        guard x.isFinite, y.isFinite, abs(x) < 1e6, abs(y) < 1e6 else { return }
        let reach = Int(radius) + 2
        for row in Int(y) - reach ... Int(y) + reach {
            for column in Int(x) - reach ... Int(x) + reach {
                let (dx, dy) = (Double(column) + 0.5 - x, Double(row) + 0.5 - y)
                let distance = (dx * dx + dy * dy).squareRoot()
                let cover = hollow ? 1.2 - abs(distance - radius) : radius + 0.5 - distance
                blend(column, row, colour, share * min(max(cover, 0), 1))
            }
        }
    }

    /// The curve through (column, heights[column]), two pixels thick.
    mutating func curve(_ heights: [Double], _ colour: Colour) {
        for column in heights.indices {
            let (y, before) = (heights[column], heights[max(column - 1, 0)])
            guard y.isFinite, before.isFinite else { continue }
            let (top, bottom) = (max(min(y, before), 0) - 0.7, min(max(y, before), Double(height)) + 0.7)
            guard top <= bottom else { continue }
            for row in Int(top) ... Int(bottom) { blend(column, row, colour, 0.9) }
        }
    }

    var picture: Pixels {
        Pixels(
            width: width, height: height, channels: 3,
            values: pixels.flatMap { colour in
                (0 ..< 3).map { UInt8(min(max(colour[$0].rounded(), 0), 255)) }
            })
    }

    // Colours that the views share. D's probability is told by blue (generated) and orange (real), which the
    // colour-blind tell apart too.
    static let paper = Colour(255, 255, 255)
    static let ink = Colour(20, 20, 28)
    static let real = Colour(214, 119, 31)
    static let generated = Colour(53, 107, 173)
}
