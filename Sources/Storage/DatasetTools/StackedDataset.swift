import Kernels
import Support

extension DatasetTools {
    /// Writes `count` images whose channels are `channels` grey images of `input` each, drawn independently by `seed`:
    /// "stacked MNIST" (Metz et al. 2017, "Unrolled GANs", §3.3.1; Srivastava et al. 2017, "VEEGAN", §5).
    ///
    /// The label of an image is the number whose digits are the labels of its channels, the first channel's first, to
    /// the base of the number of classes: of ten classes and three channels 100 a + 10 b + c. A file without labels
    /// gives none. All images of `input` are read into memory.
    public static func stack(
        _ input: String, dataset: String?, channels: Int, count: Int?, seed: UInt64, to output: String
    ) throws(Failure) {
        try AtomicFile.refuseExisting(output, replacing: false)
        let file = try ExampleFile(input, dataset: dataset), source = file.dataset
        guard source.shape.count == 3, source.shape[2] == 1 else {
            throw .badData(
                "\(source.name) in \(input) holds examples of \(source.shape); grey images, [H, W, 1], are stacked.",
                remedy: "Name a file of grey images.")
        }
        let count = count ?? source.count
        let chosen = Draws(seed: seed, purpose: .selection, step: 1).integers(
            count: count * channels, below: source.count)
        let labels = try stackedLabels(file, chosen, channels: channels)
        let name = source.title ?? input
        let description = DatasetDescription(
            name: "\(channels) of \(name)", source: "gan-dist data stack, seed \(seed), of \(source.source ?? name)",
            license: source.license ?? "unknown", dimensions: [count, source.shape[0], source.shape[1], channels],
            element: source.isBytes ? .uint8 : .float32,
            range: (source.declaredRange ?? file.foundRange).map { [$0.lowerBound, $0.upperBound] })
        let stack = Stack(chosen: chosen, channels: channels, pixels: source.elements)
        try DatasetWriter.write(output, description) { (writer) throws(Failure) in
            writer.labels = labels
            if source.isBytes {
                try stack.append(source.stored.readAll(UInt8.self), to: writer)
            } else {
                try stack.append(source.stored.readAll(Float.self), to: writer)
            }
        }
    }

    /// Which images become the channels of which.
    private struct Stack {
        let chosen: [Int]
        let channels: Int
        let pixels: Int

        /// Channels last, some megabytes at a time.
        func append<Element: HDF5Element>(_ images: [Element], to writer: DatasetWriter) throws(Failure) {
            let rows = max(1, (1 << 20) / (pixels * channels))
            for start in stride(from: 0, to: chosen.count, by: rows * channels) {
                let end = min(start + rows * channels, chosen.count)
                var block: [Element] = []
                block.reserveCapacity((end - start) * pixels)
                for first in stride(from: start, to: end, by: channels) {
                    for pixel in 0 ..< pixels {
                        for image in chosen[first ..< first + channels] { block.append(images[image * pixels + pixel]) }
                    }
                }
                try writer.append(numbers: block)
            }
        }
    }

    private static func stackedLabels(
        _ file: ExampleFile, _ chosen: [Int], channels: Int
    ) throws(Failure) -> [Int]? {
        guard let labels = try file.dataset.labels, let last = labels.max() else { return nil }
        if let row = labels.firstIndex(where: { $0 < 0 }) {
            throw .badData(
                "Row \(row) of /labels in \(file.dataset.path) is \(labels[row]); the labels of what is stacked are "
                    + "numbered from 0.", remedy: "Number the classes 0, 1, 2, … anew.")
        }
        var numbers = 1
        for _ in 0 ..< channels {
            let (product, overflow) = numbers.multipliedReportingOverflow(by: last + 1)
            guard !overflow else {
                throw .badData(
                    "\(last + 1) classes in each of \(channels) channels are more than can be numbered.",
                    remedy: "Stack fewer channels, or number the classes of \(file.dataset.path) from 0 on.")
            }
            numbers = product
        }
        return stride(from: 0, to: chosen.count, by: channels).map { first in
            (0 ..< channels).reduce(0) { $0 * (last + 1) + labels[chosen[first + $1]] }
        }
    }
}
