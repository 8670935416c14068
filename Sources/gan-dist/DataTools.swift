import Adversarial
import ArgumentParser
import Storage
import Support

/// What the commands that make datasets out of datasets share.
private struct Notes {
    private let console = Console(speaks: true)

    func leftOut(_ what: String) { console.warn("not copied: \(what)") }

    func summary(_ path: String) throws { console.say(try DatasetInfo(path).summary) }
}

/// How many examples, as the options say.
struct AmountOptions: ParsableArguments {
    @Option(help: "How many examples.") var count: Int?
    @Option(help: "Which share of them, such as 0.1.") var share: Double?

    func validate() throws {
        if count != nil, share != nil { throw ValidationError("Give --count or --share, not both.") }
        if let count, count < 1 { throw ValidationError("--count must be at least 1.") }
        if let share,
            !(share > 0 && share <= 1)
        {
            throw ValidationError("--share \(share) is not above 0 and at most 1.")
        }
    }

    var amount: DatasetTools.Amount? { count.map { .count($0) } ?? share.map { .share($0) } }
}

extension DataCommand {
    struct Subset: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Part of a dataset, as a dataset.",
            discussion: """
                Which examples follows from --seed alone; they stay in the order of the file. Labels, other arrays \
                with a row for each example, and
                attributes are kept.
                Example:
                  gan-dist data subset data/fashion-mnist.h5 --classes 1,9 --count 2000 --out boots-and-trousers.h5
                """)
        @Argument(help: "An HDF5 file.") var file: String
        @OptionGroup var amount: AmountOptions
        @Option(help: ArgumentHelp("Only examples of these labels.", valueName: "1,2,…")) var classes: String?
        @Option(help: "What the choice follows from.") var seed: UInt64 = 1
        @Option(help: "The dataset's path in the file; default /images or /samples.") var dataset: String?
        @Option(help: "The HDF5 file to write.") var out: String

        private var labels: Set<Int>? {
            guard let words = classes?.split(separator: ",", omittingEmptySubsequences: false) else { return nil }
            let numbers = words.map { Int($0.filter { $0 != " " }) }
            return numbers.contains(nil) ? [] : Set(numbers.compactMap { $0 })
        }

        func validate() throws {
            if amount.amount == nil,
                classes == nil
            {
                throw ValidationError("Say which part: --count, --share or --classes.")
            }
            if let labels, labels.isEmpty {
                throw ValidationError("--classes '\(classes ?? "")' is not a list of labels, such as 2,3,4.")
            }
        }

        func run() throws {
            let notes = Notes()
            try DatasetTools.subset(
                file, dataset: dataset, amount: amount.amount, classes: labels, seed: seed, to: out,
                note: notes.leftOut)
            try notes.summary(out)
        }
    }

    struct Split: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "A dataset as two: one to train on and a part that is held out.",
            discussion: """
                Each example is in one of the two, in the order of the file; which follows from --seed alone.
                Example:
                  gan-dist data split photographs.h5 --share 0.1 --out train.h5 --held-out held-out.h5
                """)
        @Argument(help: "An HDF5 file.") var file: String
        @OptionGroup var amount: AmountOptions
        @Option(help: "What the choice follows from.") var seed: UInt64 = 1
        @Option(help: "The dataset's path in the file; default /images or /samples.") var dataset: String?
        @Option(help: "The HDF5 file to write with all that is not held out.") var out: String
        @Option(help: "The HDF5 file to write with --count or --share of the examples; a tenth without either.")
        var heldOut: String

        func validate() throws {
            if out == heldOut { throw ValidationError("--out and --held-out name the same file.") }
        }

        func run() throws {
            let notes = Notes()
            try DatasetTools.split(
                file, dataset: dataset, amount: amount.amount ?? .share(0.1), seed: seed, to: out,
                heldOut: heldOut,
                note: notes.leftOut)
            try notes.summary(out)
            try notes.summary(heldOut)
        }
    }

    struct Concat: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract:
                "Several datasets as one, in the order given; "
                + "one alone is rewritten in small chunks, which are read fast.",
            discussion: "Example:\n  gan-dist data concat part-1.h5 part-2.h5 --out whole.h5")
        @Argument(help: "HDF5 files with examples of one shape, type and range.") var files: [String]
        @Option(help: "The dataset's path in the files; default /images or /samples.") var dataset: String?
        @Option(help: "The HDF5 file to write.") var out: String

        func run() throws {
            let notes = Notes()
            try DatasetTools.concat(files, dataset: dataset, to: out, note: notes.leftOut)
            try notes.summary(out)
        }
    }
    struct Stack: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Grey images, several of them as the channels of one: stacked digits.",
            discussion: """
                The label of an image is the number whose digits are the labels of its channels: three channels of ten \
                classes make 1000 modes.
                Example:
                  gan-dist data stack data/fashion-mnist.h5 --channels 3 --count 128000 --seed 1 --out stacked.h5
                """)
        @Argument(help: "An HDF5 file of grey images.") var file: String
        @Option(help: "Images drawn for each one that is written.") var channels = 3
        @Option(help: "How many to write; default: as many as the file has.") var count: Int?
        @Option(help: "What the choice follows from.") var seed: UInt64 = 1
        @Option(help: "The dataset's path in the file; default /images.") var dataset: String?
        @Option(help: "The HDF5 file to write.") var out: String

        func validate() throws {
            try check("--channels", channels, 2 ... 16)
            if let count { try check("--count", count, 1 ... 100_000_000) }
        }

        func run() throws {
            try DatasetTools.stack(file, dataset: dataset, channels: channels, count: count, seed: seed, to: out)
            try Notes().summary(out)
        }
    }
}
