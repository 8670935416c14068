import Adversarial
import ArgumentParser
import Foundation
import Storage

struct DataCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "data", abstract: "Make, describe and check datasets.",
        discussion: "Example:\n  gan-dist data import fashion-mnist --out data/fashion-mnist.h5",
        subcommands: [
            Import.self, Synthetic.self, Subset.self, Split.self, Concat.self, Stack.self, Info.self, Verify.self,
        ])

    struct Import: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Turn image files of other forms into an HDF5 dataset.",
            discussion:
                "Example:\n  gan-dist data import idx --images train-images-idx3-ubyte.gz --labels "
                + "train-labels-idx1-ubyte.gz --out mnist.h5",
            subcommands: [IDX.self, CIFAR10.self, CIFAR100.self, Folder.self, HDF5.self, NPY.self, Fashion.self])
    }

    struct IDX: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "idx", abstract: "IDX files, as of MNIST, plain or gzip.",
            discussion:
                "Example:\n  gan-dist data import idx --images train-images-idx3-ubyte.gz --labels "
                + "train-labels-idx1-ubyte.gz --size 32 --out mnist.h5"
        )
        @Option(help: "The images.") var images: String
        @Option(help: "Their labels.") var labels: String?
        @Option(help: "Put each image in the middle of a square of this many pixels.") var size: Int?
        @Option(help: "The HDF5 file to write.") var out: String

        func run() throws {
            let name = URL(fileURLWithPath: images).deletingPathExtension().lastPathComponent
            try IDXImport.run(
                images: images, labels: labels, size: size, name: name, source: images, license: "unknown", to: out)
            print(try DatasetInfo(out).summary)
        }
    }

    struct Fashion: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "fashion-mnist", abstract: "Fashion-MNIST from Debian's package dataset-fashion-mnist.",
            discussion: "Example:\n  gan-dist data import fashion-mnist --out data/fashion-mnist.h5")
        @Option(help: "The folder of its four files.") var dir = FashionMNIST.defaultFolder
        @Option(help: "Which images: train or test.") var part = FashionMNIST.Part.train
        @Option(help: "Put each image in the middle of a square of this many pixels.") var size: Int?
        @Option(help: "The HDF5 file to write.") var out: String

        func run() throws {
            try FashionMNIST.run(folder: dir, part: part, size: size, to: out)
            print(try DatasetInfo(out).summary)
        }
    }

    struct Synthetic: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Points of a built-in distribution.",
            discussion: "Example:\n  gan-dist data synthetic grid --count 100000 --seed 1 --out grid.h5")
        @Argument(help: "One of \(SyntheticKind.allCases.map(\.rawValue).joined(separator: ", ")).")
        var kind: SyntheticKind
        @Option(help: "How many points.") var count = 100_000
        @Option(help: "What the points follow from.") var seed: UInt64 = 1
        @Option(help: "The HDF5 file to write.") var out: String

        func validate() throws {
            try check("--count", count, 1 ... 1 << 31)
        }

        func run() throws {
            try kind.write(to: out, count: count, seed: seed)
            print(try DatasetInfo(out).summary)
        }
    }

    struct Info: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "What a dataset holds.", discussion: "Example:\n  gan-dist data info data/fashion-mnist.h5")
        @Argument(help: "An HDF5 file.") var file: String
        @Option(help: "The dataset's path in the file; default /images or /samples.") var dataset: String?

        func run() throws { print(try DatasetInfo(file, dataset: dataset).summary) }
    }

    struct Verify: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Read a whole dataset and check every value.",
            discussion: "Example:\n  gan-dist data verify data/fashion-mnist.h5")
        @Argument(help: "An HDF5 file.") var file: String
        @Option(help: "The dataset's path in the file; default /images or /samples.") var dataset: String?

        func run() throws {
            let info = try DatasetInfo(file, dataset: dataset)
            if let problem = info.labelProblem { throw problem }
            print("\(file): good, \(info.count) examples of \(info.shape), values \(info.minimum) … \(info.maximum)")
        }
    }
}

extension FashionMNIST.Part: ExpressibleByArgument {}
extension SyntheticKind: ExpressibleByArgument {}

extension DatasetInfo {
    /// What `data info` prints.
    var summary: String {
        var lines = ["\(path): \(dataset), \(count) examples of \(shape), \(type) \(layout)"]
        if let name { lines.append("name     \(name)") }
        if let source { lines.append("source   \(source)") }
        if let license { lines.append("license  \(license)") }
        lines.append(String(format: "values   %g … %g, mean %g", minimum, maximum, mean))
        lines += rangeLines
        if let labels {
            lines.append(
                "labels   " + labels.prefix(20).map { "\($0.label): \($0.count)" }.joined(separator: ", ")
                    + (labels.count > 20 ? ", … (\(labels.count) different ones)" : ""))
        }
        if let labelProblem { lines.append("labels   not usable: \(labelProblem.message) \(labelProblem.remedy)") }
        return lines.joined(separator: "\n")
    }

    /// Which values are black and white, how that is known, and what D will see.
    private var rangeLines: [String] {
        if let rangeProblem { return ["range    not known: \(rangeProblem.message) \(rangeProblem.remedy)"] }
        guard let range else { return ["range    none: D sees vectors as they are, unless data.range is set"] }
        let width = range.bounds.upperBound - range.bounds.lowerBound
        func seen(_ low: Double, _ high: Double) -> String {
            let scaled = [minimum, mean, maximum].map { value in
                let clipped = range.clips ? min(max(value, range.bounds.lowerBound), range.bounds.upperBound) : value
                return low + (clipped - range.bounds.lowerBound) / width * (high - low)
            }
            return String(format: "%.4g … %.4g, mean %.4g", scaled[0], scaled[2], scaled[1])
        }
        return [
            "range    \(ValueRange.text(range.bounds)) \(range.origin)",
            "D sees   \(seen(0, 1)) where the generator ends in sigmoid; else \(seen(-1, 1))",
        ]
            + (range.warning.map { ["warning  \($0)"] } ?? [])
    }
}
