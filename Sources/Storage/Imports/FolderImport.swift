import Foundation
import Support

/// Importing a folder of PNG, JPEG, WebP and TIFF files into HDF5.
public struct FolderImport {
    /// What becomes of pictures of another size than the one asked for.
    public enum Fit: String, Sendable, CaseIterable {
        /// An error that names the file.
        case refuse
        /// The largest square in the middle, each new pixel the mean of those that it covers.
        case crop
    }

    public let size: Int
    public let fit: Fit
    /// 1 or 3; nil: 3 where any picture has colour.
    public let channels: Int?
    /// What shows through where a picture is transparent.
    public let background: Background
    /// Whether a broken picture is left out, and not an error.
    public let skipBroken: Bool

    public init(size: Int, fit: Fit, channels: Int?, background: Background = .black, skipBroken: Bool) {
        (self.size, self.fit, self.channels, self.background, self.skipBroken) = (
            size, fit, channels, background,
            skipBroken
        )
    }

    /// Writes `/images` [N, S, S, C] uint8, in the order of the files' names, to `output`; where the pictures are in
    /// sub-folders these are the labels, numbered in the order of their names, which stand in the attribute
    /// `label_names`. A folder without a picture has no number.
    ///
    /// `skipped` is told of each broken picture that is left out, `progress` of the files read and to be read. Every
    /// file is read twice: what is broken is known before anything is written.
    public func run(
        _ folder: String, to output: String, skipped: (String) -> Void, progress: (Int, Int) -> Void
    ) throws(Failure) -> ImportAccount {
        try AtomicFile.refuseExisting(output, replacing: false)
        var found = try PictureFolder(folder, skipBroken: skipBroken)
        try refuseMixture(found, folder)
        let (good, anyColour) = try check(&found, skipped, progress)
        guard !good.isEmpty else {
            let met = found.account.reasons.isEmpty ? "it is empty" : found.account.reasons.joined(separator: "; ")
            throw .badData(
                "\(folder) has no picture that can be read: \(met).",
                remedy:
                    "Name a folder of PNG, JPEG, WebP or TIFF files, "
                    + "or of sub-folders of them; convert other formats to PNG."
            )
        }
        found.account.imported = good.count
        let channels = channels ?? (anyColour ? 3 : 1)
        // Only classes that have a picture have a number.
        let used = Set(good.compactMap(\.classNumber)).sorted()
        let numbers = Dictionary(uniqueKeysWithValues: used.enumerated().map { ($1, $0) })
        let names = used.map { found.classes[$0] }.joined(separator: "\n")
        let description = DatasetDescription(
            name: URL(fileURLWithPath: folder).lastPathComponent, source: folder, license: "unknown",
            dimensions: [good.count, size, size, channels], element: .uint8, range: [0, 255],
            attributes: used.isEmpty ? [] : [("label_names", .string(names))])
        try DatasetWriter.write(output, description) { (writer) throws(Failure) in
            for (number, file) in good.enumerated() {
                progress(found.files.count + number, found.files.count + good.count)
                try writer.append(
                    try PictureFile(file.location).raster(
                        channels: channels,
                        background: background
                    ).square(size))
            }
            if !used.isEmpty { writer.labels = good.map { numbers[$0.classNumber!]! } }
        }
        return found.account
    }

    /// Pictures beside folders of pictures would have no label.
    private func refuseMixture(_ found: PictureFolder, _ folder: String) throws(Failure) {
        guard let alone = found.files.first(where: { $0.classNumber == nil }),
            let other = found.files.first(where: { $0.classNumber != nil })
        else { return }
        throw .badData(
            "\(folder) has pictures beside sub-folders of pictures (\(found.name(of: alone)), "
                + "\(found.name(of: other))): they would have no label.",
            remedy: "Move them into a sub-folder, or the sub-folders elsewhere.")
    }

    /// Decodes every picture: those that can be read, and whether any has colour.
    private func check(
        _ found: inout PictureFolder, _ skipped: (String) -> Void, _ progress: (Int, Int) -> Void
    ) throws(Failure) -> (good: [PictureFolder.File], anyColour: Bool) {
        var good: [PictureFolder.File] = []
        var anyColour = false
        for (number, file) in found.files.enumerated() {
            progress(number, 2 * found.files.count)
            let picture: PictureFile
            do throws(Failure) {
                picture = try PictureFile(file.location)
                _ = try picture.raster(channels: 1, background: background)
            } catch  where skipBroken && [.badData, .missingInput].contains(error.code) {
                found.account.leaveOut(error.code == .missingInput ? .unreadable : .broken, found.name(of: file))
                skipped(error.message)
                continue
            }
            try checkSize(of: picture)
            anyColour = anyColour || picture.hasColour || picture.isTransparent && !background.isGrey
            good.append(file)
        }
        return (good, anyColour)
    }

    private func checkSize(of picture: PictureFile) throws(Failure) {
        guard fit == .refuse, picture.width != size || picture.height != size else { return }
        throw .badData(
            "\(picture.path) has \(picture.width) × \(picture.height) pixels where \(size) × \(size) were asked for.",
            remedy: "Have the largest square in its middle scaled with --fit crop, or give another --size.")
    }
}
