/// Turns a stored example into what the network sees: scaled to its range, channels last, of its size.
struct ExampleDecoder {
    let source: [Int]
    let target: [Int]
    let channelsFirst: Bool
    let fit: ImageFit
    /// Stored v becomes low + (v − start) · factor.
    private let low, start, factor: Float
    /// What scaled values are clipped to.
    private let clip: ClosedRange<Float>?
    /// The same for bytes.
    private let table: [Float]

    var sourceElements: Int { source.reduce(1, *) }
    var targetElements: Int { target.reduce(1, *) }
    /// Whether an example needs room to be scaled in before it is fitted.
    var needsStage: Bool { source != target }

    /// `from` and `to` nil leave the values as they are; `clips` sets those beyond `from` to its ends.
    init(
        source: [Int], target: [Int], channelsFirst: Bool, fit: ImageFit, from: ClosedRange<Double>?,
        to: ClosedRange<Float>?, clips: Bool = false
    ) {
        clip = clips ? to : nil
        let clipped = { (value: Float) in
            if clips, let to { min(max(value, to.lowerBound), to.upperBound) } else { value }
        }
        (self.source, self.target, self.channelsFirst, self.fit) = (source, target, channelsFirst, fit)
        if let from, let to, from != Double(to.lowerBound) ... Double(to.upperBound) {
            let ratio = (Double(to.upperBound) - Double(to.lowerBound)) / (from.upperBound - from.lowerBound)
            (low, start, factor) = (to.lowerBound, Float(from.lowerBound), Float(ratio))
            table = (0 ..< 256).map { clipped(Float(Double(to.lowerBound) + (Double($0) - from.lowerBound) * ratio)) }
        } else {
            (low, start, factor) = (to?.lowerBound ?? 0, to?.lowerBound ?? 0, 1)
            table = (0 ..< 256).map { clipped(Float($0)) }
        }
    }

    /// What an image is padded with.
    var background: Double { Double(low) }

    /// What a stored value becomes.
    func decoded(_ value: Double) -> Double {
        let scaled = Double(low) + (value - Double(start)) * Double(factor)
        return clip.map { min(max(scaled, Double($0.lowerBound)), Double($0.upperBound)) } ?? scaled
    }

    func decode(
        _ stored: UnsafePointer<UInt8>, stage: UnsafeMutablePointer<Float>, into target: UnsafeMutablePointer<Float>
    ) {
        table.withUnsafeBufferPointer { table in
            let table = table.baseAddress!
            scale(stored, into: needsStage ? stage : target) { table[Int($0)] }
        }
        if needsStage { fitImage(stage, into: target) }
    }

    func decode(
        _ stored: UnsafePointer<Float>, stage: UnsafeMutablePointer<Float>, into target: UnsafeMutablePointer<Float>
    ) {
        let (low, start, factor) = (low, start, factor)
        if let clip {
            let (lowest, highest) = (clip.lowerBound, clip.upperBound)
            scale(stored, into: needsStage ? stage : target) { min(max(low + ($0 - start) * factor, lowest), highest) }
        } else if start == low, factor == 1 {
            scale(stored, into: needsStage ? stage : target) { $0 }
        } else {
            scale(stored, into: needsStage ? stage : target) { low + ($0 - start) * factor }
        }
        if needsStage { fitImage(stage, into: target) }
    }

    @inline(__always)
    private func scale<Element>(
        _ stored: UnsafePointer<Element>, into target: UnsafeMutablePointer<Float>, _ value: (Element) -> Float
    ) {
        guard channelsFirst, source[2] > 1 else {
            for index in 0 ..< sourceElements { target[index] = value(stored[index]) }
            return
        }
        let pixels = source[0] * source[1], channels = source[2]
        for channel in 0 ..< channels {
            for pixel in 0 ..< pixels { target[pixel * channels + channel] = value(stored[channel * pixels + pixel]) }
        }
    }

    private func fitImage(_ image: UnsafePointer<Float>, into target: UnsafeMutablePointer<Float>) {
        if fit == .pad { pad(image, into: target) } else { resize(image, into: target) }
    }

    private func pad(_ image: UnsafePointer<Float>, into result: UnsafeMutablePointer<Float>) {
        let row = source[1] * source[2], wideRow = target[1] * target[2]
        let top = (target[0] - source[0]) / 2, left = (target[1] - source[1]) / 2 * source[2]
        result.update(repeating: low, count: targetElements)
        for y in 0 ..< source[0] {
            (result + (top + y) * wideRow + left).update(from: image + y * row, count: row)
        }
    }

    /// Pixel y of the result lies at (y + ½) · H / H′ − ½ of the source, held within the image.
    private func resize(_ image: UnsafePointer<Float>, into result: UnsafeMutablePointer<Float>) {
        let channels = source[2], width = source[1]
        for y in 0 ..< target[0] {
            let (y0, y1, fy) = Self.neighbours(y, source[0], target[0])
            for x in 0 ..< target[1] {
                let (x0, x1, fx) = Self.neighbours(x, width, target[1])
                for channel in 0 ..< channels {
                    let at = { (y: Int, x: Int) in image[(y * width + x) * channels + channel] }
                    let upper = at(y0, x0) + fx * (at(y0, x1) - at(y0, x0))
                    let lower = at(y1, x0) + fx * (at(y1, x1) - at(y1, x0))
                    result[(y * target[1] + x) * channels + channel] = upper + fy * (lower - upper)
                }
            }
        }
    }

    private static func neighbours(_ index: Int, _ length: Int, _ newLength: Int) -> (Int, Int, Float) {
        let position = max(0, (Float(index) + 0.5) * Float(length) / Float(newLength) - 0.5)
        let first = min(Int(position), length - 1)
        return (first, min(first + 1, length - 1), position - Float(first))
    }
}
