import Foundation
import Kernels
import Nets

/// The sliced Wasserstein distance: the mean over random directions of the distance of the two sets' projections,
/// which in one dimension is that of the sorted values, Σ |x₍ᵢ₎ − y₍ᵢ₎| / n (Rabin et al. 2011).
///
/// On images by Karras et al. 2018, §5 and their released code: of each level of a Laplacian pyramid 128 patches of 7
/// × 7 pixels from each image, their channels normalised to mean 0 and deviation 1 over the set, 512 directions,
/// times 10³. On vectors as they are.
public enum SlicedWasserstein {
    static let directions = 512
    static let patchSide = 7
    static let patchesOfAnImage = 128
    /// Directions whose projections are in memory at once.
    private static let slice = 16

    /// Descriptors of which some at a time can be written out: [count, length].
    struct Descriptors {
        let count: Int
        let length: Int
        /// Writes the descriptors of a range of rows.
        let write: (Range<Int>, Floats) -> Void
    }

    /// The mean distance over `directions` [directions, length], of unit length. Collective. `real`: where what is made
    /// of `b` alone is kept; of an image's patches it is too much, 128 · 512 numbers an image.
    static func distance(
        _ a: Descriptors, _ b: Descriptors, directions: Floats, _ context: EvaluationContext, _ title: String,
        _ real: RealStatistics? = nil
    ) throws -> Double {
        precondition(
            a.count == b.count && a.length == b.length,
            "\(a.count) × \(a.length) descriptors against \(b.count) × \(b.length)")
        let length = a.length, scratch = FloatBuffer(count: a.count)
        func projections(_ descriptors: Descriptors, _ rows: Range<Int>) -> FloatBuffer {
            sortedProjections(
                descriptors, directions[rows.lowerBound * length ..< rows.upperBound * length], rows.count,
                scratch.values)
        }
        let count = directions.count / length
        let kept = try real?.valuesIfKept("sorted_projections", count: count * b.count) {
            try context.map(count, block: slice, width: b.count, title) { projections(b, $0).array }
        }
        let distances = try context.map(count, block: slice, title) { rows in
            let first = projections(a, rows), second = kept ?? projections(b, rows)
            let start = kept == nil ? 0 : rows.lowerBound * b.count
            return (0 ..< rows.count).map { row in
                let range = row * a.count ..< (row + 1) * a.count
                let sum = range.reduce(0.0) { $0 + Double(abs(first.values[$1] - second.values[start + $1])) }
                return sum / Double(a.count)
            }
        }
        return distances.mean
    }

    /// [directions, descriptors], each row ascending.
    private static func sortedProjections(
        _ descriptors: Descriptors, _ directions: Floats, _ count: Int, _ scratch: Floats
    ) -> FloatBuffer {
        let block = min(4096, descriptors.count), length = descriptors.length
        let rows = FloatBuffer(count: block * length), part = FloatBuffer(count: block * count)
        let projections = FloatBuffer(count: count * descriptors.count)
        for start in stride(from: 0, to: descriptors.count, by: block) {
            let range = start ..< min(start + block, descriptors.count)
            descriptors.write(range, rows.values[0 ..< range.count * length])
            Matrix.multiply(
                directions, by: rows.values, secondTransposed: true, into: part.values, rows: count,
                columns: range.count, inner: length)
            for row in 0 ..< count {
                projections.values[row * descriptors.count + start ..< row * descriptors.count + range.upperBound]
                    .copy(from: part.values[row * range.count ..< (row + 1) * range.count])
            }
        }
        for row in 0 ..< count {
            Sorting.sort(
                projections.values[row * descriptors.count ..< (row + 1) * descriptors.count], scratch: scratch)
        }
        return projections
    }

    /// Vectors as they are.
    static func descriptors(of examples: Examples) -> Descriptors {
        Descriptors(count: examples.count, length: examples.shape.count) { rows, target in
            target.copy(from: examples[rows])
        }
    }

    /// Patches of images, channels normalised. `corners` [images · patches] holds the upper left pixel of each, y ·
    /// width + x.
    static func descriptors(of images: Examples, corners: [Int]) -> Descriptors {
        guard case .image(_, let width, let channels) = images.shape else {
            preconditionFailure("patches of \(images.shape)")
        }
        let patches = corners.count / images.count, length = patchSide * patchSide * channels
        func copy(_ patch: Int, _ target: Floats) {
            let image = images[patch / patches ..< patch / patches + 1]
            for y in 0 ..< patchSide {
                let start = (corners[patch] + y * width) * channels
                target[y * patchSide * channels ..< (y + 1) * patchSide * channels].copy(
                    from: image[start ..< start + patchSide * channels])
            }
        }
        var sums = [Double](repeating: 0, count: channels), squares = sums
        let patch = FloatBuffer(count: length)
        for number in corners.indices {
            copy(number, patch.values)
            for index in 0 ..< length {
                let value = Double(patch.values[index])
                sums[index % channels] += value
                squares[index % channels] += value * value
            }
        }
        let count = Double(corners.count * patchSide * patchSide)
        let means = sums.map { Float($0 / count) }
        let scales = zip(sums, squares).map { sum, square in
            let variance = square / count - (sum / count) * (sum / count)
            return variance > 0 ? Float(1 / variance.squareRoot()) : 0
        }
        return Descriptors(count: corners.count, length: length) { rows, target in
            for (row, number) in rows.enumerated() {
                let place = target[row * length ..< (row + 1) * length]
                copy(number, place)
                for index in 0 ..< length {
                    place[index] = (place[index] - means[index % channels]) * scales[index % channels]
                }
            }
        }
    }

    /// Unit vectors, uniform over all directions.
    static func randomDirections(_ count: Int, length: Int, seed: UInt64) -> FloatBuffer {
        let vectors = FloatBuffer(count: count * length)
        Draws(seed: seed, purpose: .evaluation, step: 2).fillNormal(vectors.values, samples: count)
        for row in 0 ..< count {
            let vector = vectors.values[row * length ..< (row + 1) * length]
            let scale = Float(1 / Reductions.squaredNorm(of: vector).squareRoot())
            for index in 0 ..< length { vector[index] *= scale }
        }
        return vectors
    }

    /// The upper left pixels of the patches of each image, uniform over the places where one fits.
    static func randomCorners(images: Int, patches: Int, height: Int, width: Int, seed: UInt64) -> [Int] {
        let places = FloatBuffer(count: images * patches * 2)
        Draws(seed: seed, purpose: .evaluation, step: 3).fillUniform(places.values, samples: images, low: 0, high: 1)
        func place(_ value: Float, _ size: Int) -> Int {
            min(Int(value * Float(size - patchSide + 1)), size - patchSide)
        }
        return (0 ..< images * patches).map {
            place(places.values[2 * $0], height) * width + place(places.values[2 * $0 + 1], width)
        }
    }

    /// Collective.
    static func measure(
        _ samples: Examples, _ reference: Examples, directions: Int = directions, patches: Int = patchesOfAnImage,
        seed: UInt64, _ context: EvaluationContext, _ real: RealStatistics? = nil
    ) throws -> MetricResult {
        let count = min(samples.count, reference.count)
        let (samples, reference) = (samples.first(count), reference.first(count))
        let whole = randomDirections(directions, length: samples.shape.count, seed: seed)
        let raw = try distance(
            descriptors(of: samples), descriptors(of: reference), directions: whole.values, context, "swd: raw", real)
        var settings: [MetricResult.Entry] = [("samples", .count(count)), ("directions", .count(directions))]
        guard case .image(let height, let width, _) = samples.shape, min(height, width) >= patchSide else {
            return MetricResult("swd", raw, settings: settings + [("of", .text("vectors"))])
        }
        settings += [("patches_of_an_image", .count(patches)), ("patch", .text("7 × 7")), ("times", .count(1000))]
        var distances: [Double] = [], sides: [Double] = []
        for (mine, theirs) in zip(LaplacianPyramid.levels(samples), LaplacianPyramid.levels(reference)) {
            guard case .image(let height, let width, let channels) = mine.shape else { continue }
            let corners = randomCorners(images: count, patches: patches, height: height, width: width, seed: seed)
            let unit = randomDirections(directions, length: patchSide * patchSide * channels, seed: seed)
            distances.append(
                1000
                    * (try distance(
                        descriptors(of: mine, corners: corners), descriptors(of: theirs, corners: corners),
                        directions: unit.values, context, "swd: \(height) × \(width)")))
            sides.append(Double(height))
        }
        return MetricResult(
            "swd", distances.mean,
            more: [("levels", .numbers(sides)), ("distances", .numbers(distances)), ("raw", .number(raw))],
            settings: settings)
    }
}
