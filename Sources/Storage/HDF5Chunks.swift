import CHDF5
import Support

extension HDF5Dataset {
    /// How a dataset is cut into chunks.
    struct Chunk {
        /// Of the first dimension.
        let rows: Int
        /// Chunks that the rows are cut into along the other dimensions.
        let pieces: Int
        /// Of one chunk, uncompressed.
        let bytes: Int
        /// Whether a chunk must be read whole: it is compressed, or has a checksum.
        let isFiltered: Bool
    }

    /// Nil where the values lie in one piece.
    func readChunk() throws(Failure) -> Chunk? {
        let doing = "reading the layout of \(label)"
        let create = Handle(try h5(.badData, doing) { H5Dget_create_plist(location.id) }, H5Pclose)
        guard HDF5Library.withLock({ H5Pget_layout(create.id) }) == H5D_CHUNKED, !dimensions.isEmpty else { return nil }
        var sizes = [hsize_t](repeating: 1, count: dimensions.count)
        _ = try h5(.badData, doing) { H5Pget_chunk(create.id, Int32(sizes.count), &sizes) }
        let values = sizes.reduce(1.0) { $0 * Double($1) }
        guard values >= 1, values <= Double(1 << 40) else { return nil }
        let pieces = zip(dimensions, sizes).dropFirst().reduce(1.0) {
            $0 * ((Double($1.0) / Double($1.1)).rounded(.up))
        }
        return Chunk(
            rows: Int(sizes[0]), pieces: Int(min(max(pieces, 1), 1e9)),
            bytes: Int(values) * max(1, type.byteCount),
            isFiltered: HDF5Library.withLock { H5Pget_nfilters(create.id) } > 0)
    }

    /// The same dataset with room for the uncompressed chunks that hold one row: rows read in the order of the file
    /// then uncompress each chunk once, where HDF5's own megabyte would hold none of a large one.
    func cachingRow(of chunk: Chunk?) throws(Failure) -> HDF5Dataset {
        let most = 1 << 28
        guard let chunk, chunk.isFiltered, chunk.rows > 1, chunk.bytes <= most / chunk.pieces else { return self }
        let bytes = chunk.bytes * chunk.pieces
        guard bytes > 1 << 20 else { return self }
        let access = try HDF5File.propertyList(H5P_DATASET_ACCESS)
        // HDF5 advises a prime number of slots, a hundred times the chunks that fit.
        let slots = chunk.pieces <= 5 ? 521 : chunk.pieces <= 120 ? 12_421 : 1_200_007
        _ = try h5(.badData, "preparing to read \(label)") { H5Pset_chunk_cache(access.id, slots, bytes, 1) }
        let id = try h5(.badData, "opening \(label)") { H5Dopen2(location.id, ".", access.id) }
        return try HDF5Dataset(handle: Handle(id, H5Dclose), file: location.file, path: path)
    }
}
