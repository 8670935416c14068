import CHDF5
import Support

/// A filter of HDF5: a compression, a reordering or a checksum.
struct HDF5Filter: CustomStringConvertible {
    let number: H5Z_filter_t

    /// Those that h5py writes, and damaged files of which have been tried by the thousand.
    var isCommon: Bool { [H5Z_FILTER_DEFLATE, H5Z_FILTER_SHUFFLE, H5Z_FILTER_FLETCHER32].contains(number) }

    /// Whether the library decodes it; no code is loaded for others.
    var isAvailable: Bool {
        HDF5Library.withLock {
            var configuration: UInt32 = 0
            return H5Zfilter_avail(number) > 0 && H5Zget_filter_info(number, &configuration) >= 0
                && configuration & UInt32(H5Z_FILTER_CONFIG_DECODE_ENABLED) != 0
        }
    }

    /// Whether h5py, too, needs hdf5plugin for it.
    var isPlugin: Bool { number > 255 && number != 32_000 }

    /// The names under which filters are registered with the HDF Group.
    var description: String {
        let names: [H5Z_filter_t: String] = [
            1: "gzip", 4: "szip", 5: "nbit", 6: "scaleoffset", 307: "bzip2",
            32_000: "lzf", 32_001: "Blosc",
            32_004: "LZ4", 32_008: "bitshuffle", 32_013: "ZFP", 32_015: "Zstandard", 32_026: "Blosc2",
        ]
        return names[number].map { "\($0) (filter \(number))" } ?? "filter \(number)"
    }
}

/// An open dataset with its type and size.
final class HDF5Dataset: @unchecked Sendable {
    private let handle: Handle
    private let file: HDF5File
    let path: String
    let dimensions: [Int]
    let type: StoredType
    /// The product of the dimensions, which fits an Int.
    let count: Int
    /// What bytes of a boolean are read as: HDF5 has no conversion from it.
    private let booleanType: Handle?

    init(handle: Handle, file: HDF5File, path: String) throws(Failure) {
        self.handle = handle
        self.file = file
        self.path = path
        let label = "\(path) in \(file.name)"
        let type = Handle(try h5(.badData, "reading the type of \(label)") { H5Dget_type(handle.id) }, H5Tclose)
        self.type = HDF5Library.withLock { StoredType(type: type.id) }
        booleanType = self.type == .boolean ? type : nil
        (dimensions, count) = try Self.extent(of: handle.id, label: label)
    }

    private func memoryType<Element: HDF5Element>(_ type: Element.Type) -> hid_t {
        if let booleanType {
            precondition(type == UInt8.self, "booleans are read as bytes")
            return booleanType.id
        }
        return Element.memoryType
    }

    var location: HDF5Location { HDF5Location(id: handle.id, file: file, path: path) }
    var label: String { location.label }

    private static func extent(of id: hid_t, label: String) throws(Failure) -> ([Int], Int) {
        let space = Handle(try h5(.badData, "reading the size of \(label)") { H5Dget_space(id) }, H5Sclose)
        guard HDF5Library.withLock({ H5Sget_simple_extent_type(space.id) }) != H5S_NULL else { return ([0], 0) }
        let rank = try h5(.badData, "reading the size of \(label)") { H5Sget_simple_extent_ndims(space.id) }
        var sizes = [hsize_t](repeating: 0, count: Int(rank))
        _ = try h5(.badData, "reading the size of \(label)") { H5Sget_simple_extent_dims(space.id, &sizes, nil) }
        var count = 1
        for size in sizes {
            guard let length = Int(exactly: size),
                case let (product, overflow) = count.multipliedReportingOverflow(by: length),
                !overflow, product < Int.max / 8
            else {
                throw .badData(
                    "\(label) claims the size \(sizes), more than any memory holds.", remedy: "Make the file again.")
            }
            count = product
        }
        return (sizes.map { Int($0) }, count)
    }

    /// Refuses what a file from elsewhere may hold to make the program read other files, run other code, or fill the
    /// memory. `anyFilter`: all filters that the library has, where values are read once, in order; else the common
    /// ones.
    func checkStorage(anyFilter: Bool = false) throws(Failure) {
        let create = Handle(
            try h5(.badData, "reading the layout of \(label)") { H5Dget_create_plist(handle.id) }, H5Pclose)
        guard try h5(.badData, "reading the layout of \(label)", { H5Pget_external_count(create.id) }) == 0 else {
            throw .badData(
                "The values of \(label) are kept in another file, which is not followed.",
                remedy: Self.copyInPython(path))
        }
        let layout = HDF5Library.withLock { H5Pget_layout(create.id) }
        guard layout == H5D_CONTIGUOUS || layout == H5D_CHUNKED || layout == H5D_COMPACT else {
            throw .badData("\(label) is a virtual dataset made of other files.", remedy: Self.copyInPython(path))
        }
        for index in 0 ..< max(0, HDF5Library.withLock { H5Pget_nfilters(create.id) }) {
            var flags: UInt32 = 0, configuration: UInt32 = 0, values = 0
            let filter = try h5(.badData, "reading the filters of \(label)") {
                H5Pget_filter2(create.id, UInt32(index), &flags, &values, nil, 0, nil, &configuration)
            }
            try check(HDF5Filter(number: filter), anyFilter)
        }
        guard count > 0 else { return }
        if layout == H5D_CHUNKED { try checkChunks(create) } else { try checkLength() }
    }

    private func check(_ filter: HDF5Filter, _ anyFilter: Bool) throws(Failure) {
        if filter.isCommon || anyFilter && filter.isAvailable { return }
        guard filter.isAvailable else {
            throw .badData(
                "\(label) is compressed by \(filter), which this program's HDF5 does not have.",
                remedy: (filter.isPlugin ? "After pip install hdf5plugin and import hdf5plugin: " : "")
                    + Self.copyInPython(path))
        }
        throw .badData(
            "\(label) is compressed by \(filter), which is read only once, in order.",
            remedy:
                "Rewrite it with gan-dist data import hdf5 \(shellQuoted(file.name)) "
                + "--dataset \(shellQuoted(path)) --out FILE.h5."
        )
    }

    /// How a dataset is copied that only h5py can read.
    private static func copyInPython(_ path: String) -> String {
        "In h5py, new.create_dataset(\"\(path)\", "
            + "data=f[\"\(path)\"][:]) copies it into a file of its own (in parts where memory is short)."
    }

    /// In one piece it must be exactly as long as it claims: HDF5 1.10 reads past the end of a shorter one.
    private func checkLength() throws(Failure) {
        // What is no number is refused by its type.
        guard type.byteCount > 0 else { return }
        let stored = HDF5Library.withLock { H5Dget_storage_size(handle.id) }
        guard stored == UInt64(count * type.byteCount) else {
            throw .badData(
                "\(label) stores \(stored) bytes for \(count) values of \(type): it was never filled, or cut.",
                remedy: "Make or copy the file again.")
        }
    }

    /// Every chunk must have been written: values that never were would read as zeros, and a size that is wrong by a
    /// flipped bit as endless ones.
    private func checkChunks(_ create: Handle) throws(Failure) {
        let doing = "reading the chunks of \(label)"
        var chunk = [hsize_t](repeating: 1, count: dimensions.count)
        let rank = try h5(.badData, doing) { H5Pget_chunk(create.id, Int32(chunk.count), &chunk) }
        guard rank == chunk.count else {
            throw .badData(
                "\(label) has chunks of \(rank) sizes for its \(chunk.count): it is damaged.",
                remedy: "Copy or make the file again.")
        }
        guard !chunk.contains(0), chunk.reduce(1.0, { $0 * Double($1) }) <= Double(1 << 28) else {
            throw .badData(
                "\(label) has chunks \(chunk), too large to read a sample at a time.",
                remedy: "Rewrite it in h5py with chunks of a few examples: chunks=(1, …) in create_dataset.")
        }
        let wanted = zip(dimensions, chunk).reduce(1) { $0 * (($1.0 + Int($1.1) - 1) / Int($1.1)) }
        let space = Handle(try h5(.badData, doing) { H5Dget_space(handle.id) }, H5Sclose)
        var written: hsize_t = 0
        _ = try h5(.badData, doing) { H5Dget_num_chunks(handle.id, space.id, &written) }
        guard written == UInt64(wanted) else {
            throw .badData(
                "\(label) has \(written) of the \(wanted) chunks of its \(dimensions) values: it was never filled.",
                remedy: "Write all of it, or make or copy the file again.")
        }
    }

    /// What one access brings into memory: the values of a chunk; 0 where there are none.
    func elementsOfAChunk() throws(Failure) -> Int {
        let doing = "reading the layout of \(label)"
        let create = Handle(try h5(.badData, doing) { H5Dget_create_plist(handle.id) }, H5Pclose)
        guard HDF5Library.withLock({ H5Pget_layout(create.id) }) == H5D_CHUNKED else { return 0 }
        var chunk = [hsize_t](repeating: 1, count: 32)
        _ = try h5(.badData, doing) { H5Pget_chunk(create.id, Int32(chunk.count), &chunk) }
        return Int(min(chunk.reduce(1.0) { $0 * Double($1) }, 1e12))
    }

    // MARK: Reading

    /// Reads everything, converted to `Element`.
    func read<Element: HDF5Element>(into target: UnsafeMutableBufferPointer<Element>) throws(Failure) {
        precondition(target.count == count, "room for \(target.count) of the \(count) values of \(label)")
        _ = try h5(.badData, "reading \(label)") {
            H5Dread(
                handle.id, memoryType(Element.self), hid_t(H5S_ALL), hid_t(H5S_ALL), hid_t(H5P_DEFAULT),
                target.baseAddress)
        }
    }

    func readAll<Element: HDF5Element>(_ type: Element.Type = Element.self) throws(Failure) -> [Element] {
        let target = UnsafeMutableBufferPointer<Element>.allocate(capacity: count)
        defer { target.deallocate() }
        try read(into: target)
        return Array(target)
    }

    /// Reads the rows `rows` of the first dimension as one hyperslab.
    func read<Element: HDF5Element>(
        rows: Range<Int>, into target: UnsafeMutableBufferPointer<Element>
    ) throws(Failure) {
        precondition(
            rows.upperBound <= dimensions[0] && target.count == rows.count * (count / dimensions[0]),
            "room for \(target.count) values of rows \(rows) of \(label)")
        try read(rows: rows, as: memoryType(Element.self), into: target.baseAddress)
    }

    /// The same for numbers of any type that HDF5 describes.
    func read(rows: Range<Int>, as type: hid_t, into target: UnsafeMutableRawPointer?) throws(Failure) {
        let doing = "reading samples \(rows.lowerBound) to \(rows.upperBound - 1) of \(label)"
        var start = [hsize_t](repeating: 0, count: dimensions.count), lengths = dimensions.map { hsize_t($0) }
        start[0] = hsize_t(rows.lowerBound)
        lengths[0] = hsize_t(rows.count)
        let stored = Handle(try h5(.badData, doing) { H5Dget_space(handle.id) }, H5Sclose)
        _ = try h5(.badData, doing) { H5Sselect_hyperslab(stored.id, H5S_SELECT_SET, start, nil, lengths, nil) }
        let memory = Handle(try h5(.badData, doing) { H5Screate_simple(Int32(lengths.count), lengths, nil) }, H5Sclose)
        _ = try h5(.badData, doing) {
            H5Dread(handle.id, type, memory.id, stored.id, hid_t(H5P_DEFAULT), target)
        }
    }

    // MARK: Writing

    /// Writes rows of the first dimension from `first` on.
    func write<Element: HDF5Element>(
        _ values: UnsafeBufferPointer<Element>, firstRow: Int, rows: Int
    ) throws(Failure) {
        precondition(
            values.count * dimensions[0] == rows * count, "\(values.count) values for \(rows) rows of \(label)")
        try write(values.baseAddress, as: Element.memoryType, firstRow: firstRow, rows: rows)
    }

    /// The same for numbers of any type that HDF5 describes.
    func write(_ values: UnsafeRawPointer?, as type: hid_t, firstRow: Int, rows: Int) throws(Failure) {
        let doing = "writing \(label)"
        var start = [hsize_t](repeating: 0, count: dimensions.count), lengths = dimensions.map { hsize_t($0) }
        start[0] = hsize_t(firstRow)
        lengths[0] = hsize_t(rows)
        let stored = Handle(try h5(.inputOutput, doing) { H5Dget_space(handle.id) }, H5Sclose)
        _ = try h5(.inputOutput, doing) { H5Sselect_hyperslab(stored.id, H5S_SELECT_SET, start, nil, lengths, nil) }
        let memory = Handle(
            try h5(.inputOutput, doing) { H5Screate_simple(Int32(lengths.count), lengths, nil) }, H5Sclose)
        _ = try h5(.inputOutput, doing) {
            H5Dwrite(handle.id, type, memory.id, stored.id, hid_t(H5P_DEFAULT), values)
        }
    }

    /// Writes everything.
    func write<Element: HDF5Element>(_ values: UnsafeBufferPointer<Element>) throws(Failure) {
        precondition(values.count == count, "\(values.count) values for the \(count) of \(label)")
        _ = try h5(.inputOutput, "writing \(label)") {
            H5Dwrite(
                handle.id, Element.memoryType, hid_t(H5S_ALL), hid_t(H5S_ALL), hid_t(H5P_DEFAULT), values.baseAddress)
        }
    }
}

extension HDF5File {
    /// Makes a dataset, with the groups along its path. `chunkRows` nil stores it in one piece; `[]` are the
    /// dimensions of a scalar.
    func makeDataset<Element: HDF5Element>(
        _ path: String, _ dimensions: [Int], as type: Element.Type, chunkRows: Int? = nil
    ) throws(Failure) -> HDF5Dataset {
        try makeDataset(path, dimensions, fileType: Element.fileType, chunkRows: chunkRows)
    }

    func makeDataset(
        _ path: String, _ dimensions: [Int], fileType: hid_t, chunkRows: Int?
    ) throws(Failure) -> HDF5Dataset {
        let doing = "making \(path) in \(name)"
        try makeGroups(along: path)
        let sizes = dimensions.map { hsize_t($0) }
        let space = Handle(
            try h5(.inputOutput, doing) {
                sizes.isEmpty ? H5Screate(H5S_SCALAR) : H5Screate_simple(Int32(sizes.count), sizes, nil)
            }, H5Sclose)
        let create = try Self.propertyList(H5P_DATASET_CREATE)
        // The same values make the same bytes: no times inside.
        _ = try h5(.inputOutput, doing) { H5Pset_obj_track_times(create.id, false) }
        if let chunkRows {
            var chunk = sizes
            chunk[0] = hsize_t(chunkRows)
            _ = try h5(.inputOutput, doing) { H5Pset_chunk(create.id, Int32(chunk.count), chunk) }
        }
        let id = try h5(.inputOutput, doing) {
            H5Dcreate2(handle.id, path, fileType, space.id, hid_t(H5P_DEFAULT), create.id, hid_t(H5P_DEFAULT))
        }
        return try HDF5Dataset(handle: Handle(id, H5Dclose), file: self, path: path)
    }

    @discardableResult
    func write<Element: HDF5Element>(
        _ path: String, _ dimensions: [Int], _ values: [Element]
    ) throws(Failure) -> HDF5Dataset {
        let dataset = try makeDataset(path, dimensions, as: Element.self)
        let result: Result<Void, Failure> = values.withUnsafeBufferPointer { values in
            Result { () throws(Failure) in try dataset.write(values) }
        }
        try result.get()
        return dataset
    }

    private func makeGroups(along path: String) throws(Failure) {
        var prefix = ""
        for part in path.split(separator: "/").dropLast() {
            prefix += "/" + part
            let group = prefix
            guard HDF5Library.withLock({ gan_dist_link_type(handle.id, group) }) < 0 else { continue }
            let create = try Self.propertyList(H5P_GROUP_CREATE)
            _ = try h5(.inputOutput, "making \(group)") { H5Pset_obj_track_times(create.id, false) }
            let id = try h5(.inputOutput, "making the group \(group) in \(name)") {
                H5Gcreate2(handle.id, group, hid_t(H5P_DEFAULT), create.id, hid_t(H5P_DEFAULT))
            }
            _ = Handle(id, H5Gclose)
        }
    }
}
