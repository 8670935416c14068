import Kernels
import Nets

/// How sharp images are: the variance of the Laplacian Δ over the pixels of an image (Pech-Pacheco et al. 2000), on
/// average over the images; blurred ones have less.
///
///     Δ[y, x] = v[y−1, x] + v[y+1, x] + v[y, x−1] + v[y, x+1] − 4 v[y, x],   v the mean of the channels, in [0, 1]
///
/// of the pixels that have all four neighbours. The figure alone says little: it belongs beside that of the data.
public enum Sharpness {
    static func measure(
        _ samples: Examples, _ reference: Examples, _ real: RealStatistics = RealStatistics()
    ) -> MetricResult {
        let mine = variances(samples), theirs = real.numbers("sharpness") { variances(reference) }
        return MetricResult(
            "sharpness", mine.mean, standardError: mine.standardError,
            more: [
                ("data", .number(theirs.mean)), ("data_standard_error", .number(theirs.standardError)),
                ("ratio", .number(mine.mean / theirs.mean)),
            ],
            settings: [
                ("samples", .count(samples.count)), ("reference", .count(reference.count)),
                ("filter", .text("Laplacian of 4 neighbours, mean of the channels")),
            ])
    }

    /// Of each image.
    static func variances(_ images: Examples) -> [Double] {
        guard case .image(let height, let width, let channels) = images.shape else {
            preconditionFailure("the sharpness of \(images.shape)")
        }
        var gray = [Double](repeating: 0, count: height * width)
        return (0 ..< images.count).map { number in
            let image = images[number ..< number + 1]
            for pixel in 0 ..< height * width {
                gray[pixel] =
                    (0 ..< channels).reduce(0) { $0 + Double(image[pixel * channels + $1]) } / Double(channels)
            }
            var sum = 0.0, squares = 0.0
            for y in 1 ..< height - 1 {
                for pixel in y * width + 1 ..< (y + 1) * width - 1 {
                    let around = gray[pixel - width] + gray[pixel + width] + gray[pixel - 1] + gray[pixel + 1]
                    let value = around - 4 * gray[pixel]
                    sum += value
                    squares += value * value
                }
            }
            let count = Double((height - 2) * (width - 2)), mean = sum / count
            return squares / count - mean * mean
        }
    }
}
