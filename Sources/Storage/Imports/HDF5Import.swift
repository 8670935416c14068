import Support

/// Importing an array of an HDF5 file that another program wrote.
public enum HDF5Import {
    /// Writes the dataset `dataset` of `path` (nil: `/images`, else `/samples`) to `output`; see ``ForeignArray``.
    /// `labels` nil takes `/labels` for these two. Returns sentences that the user should read.
    public static func run(
        _ path: String, dataset: String?, labels: String?, layout: String?, range: ClosedRange<Double>?, size: Int?,
        to output: String, replacing: Bool = false
    ) throws(Failure) -> [String] {
        try AtomicFile.refuseExisting(output, replacing: replacing)
        let file = try HDF5File.openToRead(path)
        return try HDF5File.explaining(path) { () throws(Failure) in
            let stored = try find(dataset, in: file)
            try stored.checkStorage(anyFilter: true)
            var notes: [String] = []
            var array = ForeignArray(
                rows: HDF5Rows(stored), labels: nil, layout: try axes(layout, stored, &notes),
                range: range, size: size)
            if range == nil { array.range = try Dataset.range(of: stored) }
            array.labels = try find(labels: labels, in: file, for: stored, &notes)
            let name = String(path.split(separator: "/").last ?? "array")
            return notes
                + (try array.write(
                    to: output, name: name, source: "\(stored.path) in \(path)",
                    replacing: replacing))
        }
    }

    private static func find(_ name: String?, in file: HDF5File) throws(Failure) -> HDF5Dataset {
        let found: HDF5Dataset
        if let name {
            found = try file.dataset(name.hasPrefix("/") ? name : "/" + name, .importing)
        } else if case .dataset(let vectors)? = try? file.object("/samples"), case .absent = try file.object("/images")
        {
            found = vectors
        } else {
            found = try file.dataset("/images", .importing)
        }
        return try found.cachingRow(of: found.readChunk())
    }

    /// The order of the axes: what is asked for, else the file's attribute, else what MATLAB writes.
    private static func axes(
        _ layout: String?, _ stored: HDF5Dataset, _ notes: inout [String]
    ) throws(Failure) -> String? {
        if let layout { return layout }
        let rank = stored.dimensions.count
        if rank == 4, case .string(let text)? = try stored.location.attribute("layout") { return text }
        guard stored.location.file.isMATLAB, rank == 3 || rank == 4 else { return nil }
        let axes = rank == 4 ? "NCWH" : "NWH"
        notes.append(
            "MATLAB wrote \(stored.label), and stores axes in the reverse order: it is read with --layout \(axes)")
        return axes
    }

    private static func find(
        labels name: String?, in file: HDF5File, for images: HDF5Dataset, _ notes: inout [String]
    ) throws(Failure) -> (any ForeignRows)? {
        if let name {
            let labels = try file.dataset(name.hasPrefix("/") ? name : "/" + name, .importing)
            try labels.checkStorage(anyFilter: true)
            return HDF5Rows(labels)
        }
        guard images.path != "/labels", case .dataset(let labels)? = try? file.object("/labels") else { return nil }
        guard ["/images", "/samples"].contains(images.path) else {
            notes.append(
                "the labels in /labels are not imported: where they are those of \(images.path), add --labels /labels")
            return nil
        }
        // Nobody asked for these: what is wrong with them is said, and keeps nobody from the images.
        do {
            try labels.checkStorage(anyFilter: true)
            _ = try labels.readLabels(examples: images.dimensions.first ?? 0)
            return HDF5Rows(labels)
        } catch {
            notes.append("\(error.message) The labels are left out")
            return nil
        }
    }
}

/// The rows of a dataset of an HDF5 file.
struct HDF5Rows: ForeignRows {
    private let stored: HDF5Dataset

    init(_ stored: HDF5Dataset) { self.stored = stored }

    var label: String { stored.label }
    var dimensions: [Int] { stored.dimensions }
    var type: StoredType { stored.type }

    func bytes(_ rows: Range<Int>) throws(Failure) -> [UInt8] { try stored.readRows(rows, UInt8.self) }
    func integers(_ rows: Range<Int>) throws(Failure) -> [Int128] { try stored.integers(rows) }

    func doubles(_ rows: Range<Int>) throws(Failure) -> [Double] {
        type == .boolean ? try bytes(rows).map { Double($0) } : try stored.readRows(rows, Double.self)
    }
}
