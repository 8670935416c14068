import Foundation
import Support

/// Importing arrays that NumPy saved: .npy and .npz files.
public enum NPYImport {
    /// Writes the arrays of `paths`, one after another, to `output`; see ``ForeignArray``.
    ///
    /// `array` names the array of .npz files that have several, `labels` the array of their labels, or a .npy file with
    /// the labels of all. Returns sentences that the user should read.
    public static func run(
        _ paths: [String], array: String?, labels: String?, layout: String?, range: ClosedRange<Double>?, size: Int?,
        to output: String
    ) throws(Failure) -> [String] {
        try AtomicFile.refuseExisting(output, replacing: false)
        let folder = AtomicFile.split(output).folder
        var notes: [String] = [], values: [any ForeignRows] = [], classes: [any ForeignRows] = []
        let labelFile = try labels.flatMap { (name) throws(Failure) in try file(of: name, paths) }
        for path in paths {
            guard try isArchive(path) else {
                guard array == nil else {
                    throw .badData(
                        "\(path) holds one array and has no names.",
                        remedy: "Leave --array out, or name a .npz file.")
                }
                values.append(try NPYRows(InputFile(path), label: path))
                continue
            }
            let archive = try NPZArchive(path)
            let name = if let array { plain(array) } else { try onlyArray(of: archive) }
            let own = labelFile != nil ? nil : labels.map { plain($0) } ?? labelNames(for: name, in: archive)
            values.append(try archive.rows(name, folder: folder))
            if let own {
                classes.append(try archive.rows(own, folder: folder))
                if labels == nil {
                    notes.append("the labels of \(name) in \(path) are taken from \(own); --labels names others")
                }
            }
            let others = archive.names.filter { $0 != name && $0 != own }
            if !others.isEmpty { notes.append("not imported from \(path): \(others.joined(separator: ", "))") }
        }
        if let labelFile { classes = [try NPYRows(InputFile(labelFile), label: labelFile)] }
        guard classes.isEmpty || labelFile != nil || classes.count == paths.count else {
            throw .badData(
                "Some of \(paths.joined(separator: ", ")) have labels, others have none.",
                remedy: "Name a .npy file of all labels with --labels.")
        }
        let rows = try JoinedRows(values)
        let joined: JoinedRows? = try classes.isEmpty ? nil : JoinedRows(classes)
        let foreign = ForeignArray(rows: rows, labels: joined, layout: layout, range: range, size: size)
        let name = URL(fileURLWithPath: paths[0]).deletingPathExtension().lastPathComponent
        return notes + (try foreign.write(to: output, name: name, source: paths.joined(separator: "; ")))
    }

    /// `--labels` as a file, unless it names an array of the archives at hand.
    private static func file(of labels: String, _ paths: [String]) throws(Failure) -> String? {
        var archives: [String] = []
        for path in paths { if try isArchive(path) { archives.append(path) } }
        for path in archives { if try NPZArchive(path).names.contains(plain(labels)) { return nil } }
        if FileManager.default.fileExists(atPath: labels) || labels.hasSuffix(".npy") || labels.contains("/") {
            return labels
        }
        return archives.isEmpty ? labels : nil
    }

    private static func plain(_ name: String) -> String { name.hasSuffix(".npy") ? String(name.dropLast(4)) : name }

    /// A zip archive begins with PK; what a file is called does not matter.
    private static func isArchive(_ path: String) throws(Failure) -> Bool {
        let file = try InputFile(path)
        guard file.size >= 4 else { return false }
        return try file.read(at: 0, count: 2) == Array("PK".utf8)
    }

    /// The array that is meant where none is named: the only one, or the only one that could be examples beside labels.
    private static func onlyArray(of archive: NPZArchive) throws(Failure) -> String {
        if archive.names.count == 1 { return archive.names[0] }
        var shapes: [String] = [], candidates: [String] = []
        for name in archive.names.prefix(50) {
            guard let header = try? archive.header(name) else {
                shapes.append("\(name) (no array of numbers)")
                continue
            }
            shapes.append("\(name) \(header.type) \(header.dimensions)")
            if header.dimensions.count > 2 { candidates.append(name) }
        }
        if candidates.count == 1 { return candidates[0] }
        throw .badData(
            "\(archive.path) holds several arrays: \(shapes.joined(separator: ", ")).",
            remedy: "Name one with --array, and its labels with --labels.")
    }

    /// The array that by its name holds the labels of `name`: train_labels of train_images, y_train of x_train.
    private static func labelNames(for name: String, in archive: NPZArchive) -> String? {
        let replacements = [
            ("images", "labels"), ("image", "label"), ("imgs", "labels"), ("data", "labels"),
            ("x", "y"), ("X", "y"), ("X", "Y"),
        ]
        let candidates =
            replacements.compactMap { name.contains($0) ? name.replacingOccurrences(of: $0, with: $1) : nil } + [
                "labels", "label", "y", "targets",
            ]
        guard let examples = try? archive.header(name) else { return nil }
        return candidates.first { candidate in
            guard candidate != name, archive.names.contains(candidate),
                let header = try? archive.header(candidate)
            else { return false }
            return (1 ... 2).contains(header.dimensions.count) && header.dimensions.first == examples.dimensions.first
        }
    }
}
