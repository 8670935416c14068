import Foundation

/// Importing a folder of PNG and JPEG files into HDF5.
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
    /// Whether a broken picture is left out, and not an error.
    public let skipBroken: Bool

    public init(size: Int, fit: Fit, channels: Int?, skipBroken: Bool) {
        self.size = size
        self.fit = fit
        self.channels = channels
        self.skipBroken = skipBroken
    }

    /// Writes `/images` [N, S, S, C] uint8, in the order of the files' names, to `output`; where the pictures are in sub-folders these are
    /// the labels, numbered in the order of their names, which stand in the attribute `label_names`.
    ///
    /// `skipped` is told of each broken picture that is left out, `progress` of the files read and to be read. Every file is read twice: what is
    /// broken is known before anything is written.
    public func run(_ folder: String, to output: String, skipped: (String) -> Void, progress: (Int, Int) -> Void) throws(StorageError) {
        try AtomicFile.refuseExisting(output, replacing: false)
        let (files, names) = try Self.files(in: folder)
        var good: [(path: String, label: Int)] = []
        var anyColour = false
        for (number, file) in files.enumerated() {
            progress(number, 2 * files.count)
            do throws(StorageError) {
                let picture = try PictureFile(file.path)
                _ = try picture.pixels(channels: 1)
                try checkSize(of: picture)
                anyColour = anyColour || picture.hasColour
                good.append(file)
            } catch where skipBroken && error.kind == .badData && !error.message.contains(Self.wrongSize) {
                skipped(error.message)
            }
        }
        guard !good.isEmpty else {
            throw .badData("\(folder) has no picture that can be read.", remedy: "Name a folder of .png, .jpg or .jpeg files, or of sub-folders of them.")
        }
        let channels = channels ?? (anyColour ? 3 : 1)
        let description = DatasetDescription(
            name: URL(fileURLWithPath: folder).lastPathComponent, source: folder, license: "unknown",
            dimensions: [good.count, size, size, channels], element: .uint8, range: [0, 255],
            attributes: names.isEmpty ? [] : [("label_names", .string(names.joined(separator: "\n")))])
        try DatasetWriter.write(output, description) { (writer) throws(StorageError) in
            for (number, file) in good.enumerated() {
                progress(files.count + number, 2 * files.count)
                try writer.append(fitted(try PictureFile(file.path), channels))
            }
            if !names.isEmpty { writer.labels = good.map(\.label) }
        }
    }

    // MARK: - The files

    private static let extensions: Set<String> = ["png", "jpg", "jpeg"]

    /// The pictures with their labels, and the labels' names; none where the folder has no sub-folders.
    private static func files(in folder: String) throws(StorageError) -> (files: [(path: String, label: Int)], names: [String]) {
        let entries = try contents(of: folder)
        let folders = entries.filter { isFolder("\(folder)/\($0)") }
        let here = pictures(entries).filter { !isFolder("\(folder)/\($0)") }.map { "\(folder)/\($0)" }
        if folders.isEmpty { return (here.map { ($0, 0) }, []) }
        guard here.isEmpty else {
            throw .badData("\(folder) has pictures beside sub-folders (\(here[0]), \(folders[0])): they would have no label.",
                           remedy: "Move them into a sub-folder, or the sub-folders elsewhere.")
        }
        var files: [(String, Int)] = []
        for (label, name) in folders.enumerated() {
            files += pictures(try contents(of: "\(folder)/\(name)")).map { ("\(folder)/\(name)/\($0)", label) }
        }
        return (files, folders)
    }

    private static func contents(of folder: String) throws(StorageError) -> [String] {
        guard let names = try? FileManager.default.contentsOfDirectory(atPath: folder) else {
            throw StorageError(.missing, "\(folder) is not a folder that can be read.", remedy: "Check the path and its permissions.")
        }
        return names.filter { !$0.hasPrefix(".") }.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    }

    private static func pictures(_ names: [String]) -> [String] {
        names.filter { extensions.contains(URL(fileURLWithPath: $0).pathExtension.lowercased()) }
    }

    private static func isFolder(_ path: String) -> Bool {
        var isFolder: ObjCBool = false
        return FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) && isFolder.boolValue
    }

    // MARK: - The size

    private static let wrongSize = "pixels where"

    private func checkSize(of picture: PictureFile) throws(StorageError) {
        guard fit == .refuse, picture.width != size || picture.height != size else { return }
        throw .badData("\(picture.path) has \(picture.width) × \(picture.height) \(Self.wrongSize) \(size) × \(size) were asked for.",
                       remedy: "Have the largest square in its middle scaled with --fit crop, or give another --size.")
    }

    /// The pixels, [S, S, C].
    private func fitted(_ picture: PictureFile, _ channels: Int) throws(StorageError) -> [UInt8] {
        let pixels = try picture.pixels(channels: channels)
        if picture.width == size, picture.height == size { return pixels }
        let side = min(picture.width, picture.height)
        return AreaMean(from: side, to: size).scaled(pixels, width: picture.width, channels: channels,
                                                     left: (picture.width - side) / 2, top: (picture.height - side) / 2)
    }
}

/// Scaling a square by the mean of what each new pixel covers: every old pixel counts by the area that they share.
struct AreaMean {
    private let side: Int
    private let size: Int
    /// For each new pixel of a line, the old ones that it covers and their shares, which add up to 1.
    private let shares: [[(index: Int, share: Double)]]

    init(from side: Int, to size: Int) {
        (self.side, self.size) = (side, size)
        let ratio = Double(side) / Double(size)
        shares = (0 ..< size).map { pixel in
            let (start, end) = (Double(pixel) * ratio, Double(pixel + 1) * ratio)
            return (Int(start) ..< min(side, Int(end.rounded(.up)))).map { index in
                (index, (min(end, Double(index + 1)) - max(start, Double(index))) / ratio)
            }.filter { $0.1 > 0 }
        }
    }

    /// The square at (`left`, `top`) of pictures `width` pixels wide, scaled; bytes rounded to the nearest.
    func scaled(_ pixels: [UInt8], width: Int, channels: Int, left: Int, top: Int) -> [UInt8] {
        var result = [UInt8](repeating: 0, count: size * size * channels)
        for y in 0 ..< size {
            for x in 0 ..< size {
                for channel in 0 ..< channels {
                    var sum = 0.0
                    for (row, height) in shares[y] {
                        for (column, breadth) in shares[x] {
                            sum += height * breadth * Double(pixels[((top + row) * width + left + column) * channels + channel])
                        }
                    }
                    result[(y * size + x) * channels + channel] = UInt8(min(255, sum.rounded()))
                }
            }
        }
        return result
    }
}
