import CHDF5
import Support

/// A dataset file with everything in it that belongs to its examples: the arrays with a row for each of them.
struct ExampleFile {
    /// An array and its name in a file that is made of it.
    struct Rows {
        let name: String
        let stored: HDF5Dataset
    }

    let dataset: Dataset
    /// The examples first, then labels, latents and others, sorted by name.
    let arrays: [Rows]
    /// What of the file has no place in a copy: other objects, arrays of texts or of another length.
    let leftOut: [String]
    /// The range of floating-point images that their file does not give: part of them might look like another one.
    let foundRange: ClosedRange<Double>?

    init(_ path: String, dataset name: String?) throws(Failure) {
        dataset = try Dataset(path, dataset: name)
        let standard = dataset.stored.dimensions.count == 2 ? "/samples" : "/images"
        let examples = Rows(
            name: ["/images", "/samples"].contains(dataset.name) ? dataset.name : standard,
            stored: dataset.stored)
        var arrays = [examples], leftOut: [String] = []
        let file = dataset.stored.location.file
        for name in try file.root.names().map({ "/" + $0 }) where name != dataset.name {
            if name != examples.name, let rows = Self.rows(name, in: file, count: dataset.count) {
                arrays.append(rows)
            } else {
                leftOut.append(name)
            }
        }
        (self.arrays, self.leftOut) = (arrays, leftOut)
        if dataset.layout == .vector || dataset.declaredRange != nil {
            foundRange = nil
        } else {
            let scan = try dataset.scan()
            foundRange = (try? dataset.rules(given: nil).range(of: scan)).flatMap { $0.clips ? nil : $0.bounds }
        }
    }

    private static func rows(_ name: String, in file: HDF5File, count: Int) -> Rows? {
        guard case .dataset(let stored)? = try? file.object(name), stored.type.byteCount > 0,
            stored.dimensions.first == count,
            stored.count > 0, (try? stored.checkStorage()) != nil,
            let cached = try? stored.cachingRow(of: stored.readChunk())
        else { return nil }
        return Rows(name: name, stored: cached)
    }
}

extension HDF5Dataset {
    /// The type of its numbers in the file.
    func storedType() throws(Failure) -> Handle {
        let type = Handle(try h5(.badData, "reading the type of \(label)") { H5Dget_type(location.id) }, H5Tclose)
        return Handle(try h5(.badData, "reading the type of \(label)") { H5Tcopy(type.id) }, H5Tclose)
    }

    var rowBytes: Int { count / dimensions[0] * type.byteCount }

    /// Copies `rows` (all where nil), which ascend, behind the `firstRow` rows that `target` has already. Returns how
    /// many it has then.
    func copy(_ rows: [Int]?, to target: HDF5Dataset, firstRow: Int) throws(Failure) -> Int {
        let type = try storedType()
        defer { withExtendedLifetime(type) {} }
        let blockRows = max(1, min(dimensions[0], (1 << 22) / rowBytes))
        let buffer = UnsafeMutableRawPointer.allocate(byteCount: blockRows * rowBytes, alignment: 16)
        defer { buffer.deallocate() }
        var written = firstRow, next = 0
        for start in stride(from: 0, to: dimensions[0], by: blockRows) {
            let block = start ..< min(start + blockRows, dimensions[0])
            var kept = block.count
            if let rows {
                let first = next
                while next < rows.count, rows[next] < block.upperBound { next += 1 }
                kept = next - first
                if kept == 0 { continue }
                let wanted = rows[first] ..< rows[next - 1] + 1
                try read(rows: wanted, as: type.id, into: buffer)
                for (place, row) in rows[first ..< next].enumerated() where row - wanted.lowerBound != place {
                    (buffer + place * rowBytes).copyMemory(
                        from: buffer + (row - wanted.lowerBound) * rowBytes,
                        byteCount: rowBytes)
                }
            } else {
                try read(rows: block, as: type.id, into: buffer)
            }
            try target.write(buffer, as: type.id, firstRow: written, rows: kept)
            written += kept
        }
        return written
    }
}
