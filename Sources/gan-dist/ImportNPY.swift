import Adversarial
import ArgumentParser
import Storage
import Support

extension DataCommand {
    struct NPY: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "npy", abstract: "Arrays that NumPy saved: .npy, and .npz with their labels.",
            discussion: """
                Integers, floating-point numbers and booleans of any size and byte order. Several files are put one \
                after another.
                Example:
                  gan-dist data import npy pathmnist.npz --array train_images --labels train_labels --out \
                  data/pathmnist.h5
                """)
        @Argument(help: "The files.") var files: [String]
        @Option(help: "The array of .npz files that is meant.") var array: String?
        @Option(help: ArgumentHelp("The array of the labels: [N], [N, 1] or one-hot.", valueName: "name or FILE.npy"))
        var labels: String?
        @Option(help: "What the axes are, such as NCHW or NHW; by default NHWC, NHW or ND.") var layout: String?
        @Option(help: ArgumentHelp("The values that mean black and white.", valueName: "A,B")) var range: String?
        @Option(help: "Put each image in the middle of a square of this many pixels.") var size: Int?
        @Option(help: "The HDF5 file to write.") var out: String

        func validate() throws {
            if let range,
                HDF5.ends(range) == nil
            {
                throw ValidationError("--range '\(range)' is not two numbers, the lower first, such as 0,4095.")
            }
            if let size { try check("--size", size, 1 ... 4096) }
        }

        func run() throws {
            let console = Console(speaks: true)
            let notes = try NPYImport.run(
                files, array: array, labels: labels, layout: layout,
                range: range.flatMap(HDF5.ends), size: size, to: out)
            notes.forEach(console.warn)
            console.say(try DatasetInfo(out).summary)
        }
    }
}
