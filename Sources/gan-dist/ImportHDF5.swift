import Adversarial
import ArgumentParser
import Storage
import Support

extension DataCommand {
    struct HDF5: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "hdf5",
            abstract: "An array of an HDF5 file that another program wrote (MATLAB's .mat of version 7.3, too).",
            discussion: """
                Any integers, booleans and floating-point numbers of either byte order, compressed by any filter that \
                HDF5 itself has; images
                [N, H, W], [N, H, W, C], [N, C, H, W] and other orders of these axes, or vectors [N, D]. uint8 stays \
                as it is; booleans become
                bytes of the range 0,1; the rest becomes float32. Labels are [N], [N, 1] or one-hot [N, K].
                Example:
                  gan-dist data import hdf5 scans.h5 --dataset train/x --labels train/y --layout NCHW --range 0,4095 \
                  --out scans-train.h5
                """)
        @Argument(help: "The HDF5 file.") var file: String
        @Option(help: "The array's path in the file; default /images or /samples.") var dataset: String?
        @Option(
            help: ArgumentHelp(
                "The order of its axes: NHW, NWH, NHWC, NCHW, NCWH (MATLAB's), "
                    + "NWHC or ND; default NHWC, NHW or ND, by their number.",
                valueName: "NHWC|NCHW|…"))
        var layout: String?
        @Option(
            help: ArgumentHelp(
                "The values of black and white; integers but uint8 need it. "
                    + "Write --range=-1,1 where the first is negative.",
                valueName: "A,B"))
        var range: String?
        @Option(help: "The path of its labels in the file; default /labels for /images and /samples.")
        var labels: String?
        @Option(help: "Put each image in the middle of a square of this many pixels, on black.") var size: Int?
        @Option(help: "The HDF5 file to write.") var out: String

        func validate() throws {
            if let range,
                Self.ends(range) == nil
            {
                throw ValidationError("--range '\(range)' is not two numbers, the lower first, such as 0,255.")
            }
        }

        func run() throws {
            let notes = try HDF5Import.run(
                file, dataset: dataset, labels: labels, layout: layout,
                range: range.flatMap(Self.ends), size: size, to: out)
            let console = Console(speaks: true)
            for note in notes { console.warn(note) }
            console.say(try DatasetInfo(out).summary)
        }

        /// `A,B` with A < B.
        static func ends(_ text: String) -> ClosedRange<Double>? {
            let numbers = text.split(separator: ",", omittingEmptySubsequences: false).map { Double($0) }
            guard numbers.count == 2, let low = numbers[0], let high = numbers[1],
                ValueRange.isUsable(low, high)
            else { return nil }
            return low ... high
        }
    }
}
