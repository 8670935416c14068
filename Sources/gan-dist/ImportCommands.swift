import Adversarial
import ArgumentParser
import Storage
import Support

/// What the commands for CIFAR-10 and CIFAR-100 share.
struct CIFAROptions: ParsableArguments {
    @Option(parsing: .upToNextOption, help: "The .bin files, in the order of the images.") var files: [String] = []
    @Option(help: ArgumentHelp("All of them as they are downloaded.", valueName: "F.tar.gz")) var archive: String?
    @Option(help: "Which images of the archive: train or test.") var part = CIFAR.Part.train
    @Option(help: ArgumentHelp("Only the images of these labels.", valueName: "2,3,…")) var keep: String?
    @Option(help: "The HDF5 file to write.") var out: String

    func validate() throws {
        if files.isEmpty == (archive == nil) { throw ValidationError("Name either --files or --archive.") }
        if keep != nil, labels == nil {
            throw ValidationError("--keep '\(keep ?? "")' is not a list of labels, such as 2,3,4.")
        }
    }

    private var labels: Set<Int>? {
        guard let words = keep?.split(separator: ",", omittingEmptySubsequences: false).map({ Int($0) }),
            !words.contains(nil)
        else { return nil }
        return Set(words.compactMap { $0 })
    }

    func run(_ dataset: CIFAR) throws {
        if let archive {
            try dataset.run(archive: archive, part: part, keep: labels, to: out)
        } else {
            try dataset.run(files: files, keep: labels, to: out)
        }
        print(try DatasetInfo(out).summary)
    }
}

extension DataCommand {
    struct CIFAR10: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "cifar10", abstract: "CIFAR-10, binary version: its .bin files or its archive.",
            discussion:
                "Example:\n  gan-dist data import cifar10 --archive cifar-10-binary.tar.gz --out data/cifar10.h5")
        @OptionGroup var options: CIFAROptions
        func run() throws { try options.run(.cifar10) }
    }

    struct CIFAR100: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "cifar100", abstract: "CIFAR-100, binary version, with its fine labels.",
            discussion:
                "Example:\n  gan-dist data import cifar100 --archive cifar-100-binary.tar.gz --out data/cifar100.h5")
        @OptionGroup var options: CIFAROptions
        func run() throws { try options.run(.cifar100) }
    }

    struct Folder: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "folder", abstract: "PNG, JPEG, WebP and TIFF files of a folder; its sub-folders are labels.",
            discussion: """
                Samples are taken as they are, without gamma or colour profiles; of an animation the first picture. \
                Pictures are turned as \
                their EXIF orientation says.

                The sub-folders are numbered in the order of their names, which stand in the attribute label_names; \
                one without a picture has no \
                number. Pictures in folders below have the label of the topmost. What else is there is counted and \
                named: files of \
                other formats, hidden files and folders and those of systems (.DS_Store, __MACOSX, @eaDir, Thumbs.db), \
                empty folders, links that \
                lead nowhere. Links to folders are followed. The last line says how many of the files were imported.

                Example:
                  gan-dist data import folder photographs --size 32 --fit crop --skip-broken --out data/photographs.h5
                """)
        @Argument(help: "The folder.") var folder: String
        @Option(help: "Pixels on a side.") var size: Int
        @Option(help: "Pictures of another size: refuse, or crop (the largest square in the middle, scaled).") var fit =
            FolderImport.Fit.refuse
        @Option(help: "1 or 3; default 3 where any picture has colour. 1 is the luma of ITU-R 601.") var channels: Int?
        @Option(
            help: ArgumentHelp(
                "What transparent pictures stand on: a grey 0 … 255, red,green,blue, or '#rrggbb' in quotes.",
                valueName: "colour"))
        var background = Background.black
        @Flag(
            help: """
                Name pictures that are broken, cut or not to be read, and leave them out; without it the first one is \
                an error.
                """)
        var skipBroken = false
        @Option(help: "The HDF5 file to write.") var out: String

        func validate() throws {
            try check("--size", size, 1 ... 4096)
            if let channels, channels != 1, channels != 3 {
                throw ValidationError("--channels is 1 or 3, not \(channels).")
            }
        }

        func run() throws {
            let console = Console(speaks: true)
            let importer = FolderImport(
                size: size, fit: fit, channels: channels, background: background,
                skipBroken: skipBroken)
            // Of very many the account has the number.
            var warnings = 0
            let account = try importer.run(
                folder, to: out,
                skipped: { message in
                    warnings += 1
                    if warnings <= 20 { console.warn("left out: \(message)") }
                }, progress: { console.progress($0, of: $1, "files read") })
            console.say(try DatasetInfo(out).summary)
            for line in account.lines { console.say(line) }
        }
    }
}

extension Background: ExpressibleByArgument {
    public init?(argument: String) { self.init(argument) }
    public var defaultValueDescription: String { "0" }
}

extension CIFAR.Part: ExpressibleByArgument {}
extension FolderImport.Fit: ExpressibleByArgument {}
