import CHDF5
import Glibc
import Support
import Synchronization

/// An open HDF5 file: on disk for datasets and traces, in memory for checkpoints.
final class HDF5File: @unchecked Sendable {
    /// As it is named in messages.
    let name: String
    let handle: Handle

    private init(name: String, handle: Handle) {
        self.name = name
        self.handle = handle
    }

    /// The root group, which carries the file's attributes.
    var root: HDF5Location { HDF5Location(id: handle.id, file: self, path: "/") }

    // MARK: Opening

    /// Opens a file to read. It is looked at before the library parses a byte, so that a folder, a pipe or a text
    /// file gets a sentence of its own. No lock is taken: many ranks read one file, and network file systems may have
    /// no locks.
    static func openToRead(_ path: String) throws(Failure) -> HDF5File {
        try explaining(path) { () throws(Failure) in try open(path) }
    }

    private static func open(_ path: String) throws(Failure) -> HDF5File {
        try checkSignature(path)
        try DatasetInspection.require(path)
        HDF5Library.willRead(path)
        let access = try propertyList(H5P_FILE_ACCESS)
        _ = try h5(.badData, "preparing to open \(path)") { H5Pset_fapl_sec2(access.id) }
        _ = try h5(.badData, "preparing to open \(path)") { H5Pset_file_locking(access.id, false, true) }
        _ = try h5(.badData, "preparing to open \(path)") { H5Pset_fclose_degree(access.id, H5F_CLOSE_STRONG) }
        let id = try h5(.badData, "opening \(path), which is damaged, cut short or still being written") {
            H5Fopen(path, H5F_ACC_RDONLY, access.id)
        }
        return HDF5File(name: path, handle: Handle(id, H5Fclose))
    }

    /// Opens a file to add to it, or makes it. A file that exists is refused when `create` is true.
    static func openToWrite(_ path: String, create: Bool) throws(Failure) -> HDF5File {
        let access = try propertyList(H5P_FILE_ACCESS)
        _ = try h5(.cannotCreate, "preparing to write \(path)") { H5Pset_file_locking(access.id, false, true) }
        _ = try h5(.cannotCreate, "preparing to write \(path)") { H5Pset_fclose_degree(access.id, H5F_CLOSE_STRONG) }
        let id = try h5(create ? .cannotCreate : .inputOutput, "opening \(path) to write") {
            create
                ? H5Fcreate(path, H5F_ACC_EXCL, hid_t(H5P_DEFAULT), access.id) : H5Fopen(path, H5F_ACC_RDWR, access.id)
        }
        return HDF5File(name: path, handle: Handle(id, H5Fclose))
    }

    /// Makes a file that is only in memory, growing by `increment` bytes. It has the oldest format, which everything
    /// reads: in the later ones the superblock has a checksum, which H5Fget_file_image does not correct when it
    /// clears the flag "open to write" (seen in 1.10.8).
    static func createInMemory(name: String, increment: Int) throws(Failure) -> HDF5File {
        let access = try propertyList(H5P_FILE_ACCESS)
        let doing = "making the image of \(name) in memory"
        _ = try h5(.inputOutput, doing) { H5Pset_fapl_core(access.id, increment, false) }
        _ = try h5(.inputOutput, doing) { H5Pset_libver_bounds(access.id, H5F_LIBVER_EARLIEST, H5F_LIBVER_V18) }
        _ = try h5(.inputOutput, doing) { H5Pset_fclose_degree(access.id, H5F_CLOSE_STRONG) }
        let id = try h5(.inputOutput, doing) { H5Fcreate(imageName(), H5F_ACC_EXCL, hid_t(H5P_DEFAULT), access.id) }
        return HDF5File(name: name, handle: Handle(id, H5Fclose))
    }

    /// Opens a file whose bytes are already in memory, and were found to be right. HDF5 takes a copy.
    static func openImage(_ bytes: UnsafeMutableRawBufferPointer, name: String) throws(Failure) -> HDF5File {
        let access = try propertyList(H5P_FILE_ACCESS)
        let doing = "reading \(name)"
        _ = try h5(.badData, doing) { H5Pset_fapl_core(access.id, 1 << 16, false) }
        _ = try h5(.badData, doing) { H5Pset_file_image(access.id, bytes.baseAddress, bytes.count) }
        _ = try h5(.badData, doing) { H5Pset_fclose_degree(access.id, H5F_CLOSE_STRONG) }
        let id = try h5(.badData, doing) { H5Fopen(imageName(), H5F_ACC_RDONLY, access.id) }
        return HDF5File(name: name, handle: Handle(id, H5Fclose))
    }

    /// HDF5 takes two images of one name for one file, and refuses an image named as a file on disk: so a name that
    /// is given once and that no file can have.
    private static func imageName() -> String { "/dev/null/image-\(imageCount.add(1, ordering: .relaxed).oldValue)" }
    private static let imageCount = Atomic(0)

    /// Every use of the library begins here, so `kind`, which starts it, waits for the gate.
    static func propertyList(_ kind: @autoclosure () -> hid_t) throws(Failure) -> Handle {
        Handle(try h5(.inputOutput, "making a property list") { H5Pcreate(kind()) }, H5Pclose)
    }

    /// The file must be a regular one with HDF5's signature.
    static func checkSignature(_ path: String) throws(Failure) {
        let file = try InputFile(path)
        guard file.size > 0 else {
            throw .badData("\(path) is empty.", remedy: "Copy or make the file again.")
        }
        if try signatureOffset(file) != nil { return }
        throw .badData(
            "\(path) is not an HDF5 file.",
            remedy: """
                Name a file written by gan-dist data import or by h5py; IDX, PNG and other files are imported by \
                gan-dist data import.
                """)
    }

    // MARK: Closing

    /// Closes a file that was written: only then do the last bytes reach the operating system.
    func close() throws(Failure) { try handle.closeChecked("closing \(name)") }

    /// The bytes of the file in memory, followed by `extra` bytes of room.
    func image(extra: Int) throws(Failure) -> UnsafeMutableRawBufferPointer {
        let doing = "taking the image of \(name)"
        _ = try h5(.inputOutput, doing) { H5Fflush(handle.id, H5F_SCOPE_GLOBAL) }
        let size = try h5(.inputOutput, doing) { H5Fget_file_image(handle.id, nil, 0) }
        guard let memory = malloc(size + extra) else {
            throw Failure(
                .inputOutput, "No memory for the \(size) bytes of \(name).", remedy: "Give the job more memory.")
        }
        do {
            _ = try h5(.inputOutput, doing) { H5Fget_file_image(handle.id, memory, size) }
        } catch {
            free(memory)
            throw error
        }
        return UnsafeMutableRawBufferPointer(start: memory, count: size + extra)
    }
}

/// A group or dataset of a file: what carries attributes and holds others.
struct HDF5Location {
    let id: hid_t
    let file: HDF5File
    let path: String

    /// For messages: the file and the object in it.
    var label: String { "\(path) in \(file.name)" }

    /// The names of the objects in this group, sorted by name.
    func names() throws(Failure) -> [String] {
        var info = H5G_info_t()
        _ = try h5(.badData, "listing \(label)") { H5Gget_info(id, &info) }
        guard info.nlinks <= 1_000_000 else {
            throw .badData("\(label) holds \(info.nlinks) objects.", remedy: "Such a file is not one of gan-dist's.")
        }
        var names: [String] = []
        for index in 0 ..< info.nlinks {
            let length = try h5(.badData, "listing \(label)") {
                H5Lget_name_by_idx(id, ".", H5_INDEX_NAME, H5_ITER_INC, index, nil, 0, hid_t(H5P_DEFAULT))
            }
            var text = [CChar](repeating: 0, count: length + 1)
            _ = try h5(.badData, "listing \(label)") {
                H5Lget_name_by_idx(id, ".", H5_INDEX_NAME, H5_ITER_INC, index, &text, length + 1, hid_t(H5P_DEFAULT))
            }
            names.append(String(decoding: text.prefix(length).map(UInt8.init(bitPattern:)), as: UTF8.self))
        }
        return names
    }
}

extension HDF5File {
    /// What lies at an absolute path: followed link by link, so that a link that leaves the file is refused by name.
    enum Object {
        case absent
        case dataset(HDF5Dataset)
        case group(HDF5Group)
    }

    func object(_ path: String) throws(Failure) -> Object {
        var prefix = ""
        for part in path.split(separator: "/") {
            prefix += "/" + part
            let type = HDF5Library.withLock { gan_dist_link_type(handle.id, prefix) }
            if type < 0 { return .absent }
            guard type == H5L_TYPE_HARD.rawValue || type == H5L_TYPE_SOFT.rawValue else {
                throw .badData(
                    "\(prefix) in \(name) is a link to another file, which is not followed.",
                    remedy: "Name the file that it leads to, or copy the data into one file with h5py.")
            }
        }
        let id = try h5(.badData, "opening \(path) in \(name)") { H5Oopen(handle.id, path, hid_t(H5P_DEFAULT)) }
        let object = Handle(id, H5Oclose)
        switch HDF5Library.withLock({ H5Iget_type(id) }) {
        case H5I_DATASET: return .dataset(try HDF5Dataset(handle: object, file: self, path: path))
        case H5I_GROUP: return .group(HDF5Group(handle: object, file: self, path: path))
        default: throw .badData("\(path) in \(name) is neither a dataset nor a group.", remedy: "Name a dataset.")
        }
    }

    /// The dataset at `path`; its absence is an error that lists what there is, and says how `options` name another.
    func dataset(_ path: String, _ options: DatasetOptions = .tool) throws(Failure) -> HDF5Dataset {
        let what: String
        switch try object(path) {
        case .dataset(let dataset): return dataset
        case .group: what = "\(path) in \(name) is a group, not a dataset"
        case .absent: what = "\(name) has no dataset \(path)"
        }
        throw .badData(
            "\(what); the file holds \(listing()).",
            remedy: "Name one of its datasets with \(options.dataset).")
    }
}

/// An open group.
final class HDF5Group {
    private let handle: Handle
    private let file: HDF5File
    let path: String

    init(handle: Handle, file: HDF5File, path: String) {
        self.handle = handle
        self.file = file
        self.path = path
    }

    var location: HDF5Location { HDF5Location(id: handle.id, file: file, path: path) }
    func names() throws(Failure) -> [String] { try location.names() }
}
