import CHDF5
import Support

/// An attribute of any shape, of numbers as they are stored or of texts: to be copied from one file to another.
struct AttributeCopy {
    enum Values {
        case numbers([UInt8])
        case texts([String])
    }

    let name: String
    private let type: Handle
    private let space: Handle
    let values: Values

    /// Nil for references, compounds and the like, which mean nothing in another file.
    init?(_ name: String, of location: HDF5Location) throws(Failure) {
        self.name = name
        let doing = "reading the attribute \(name) of \(location.label)"
        let attribute = Handle(try h5(.badData, doing) { H5Aopen(location.id, name, hid_t(H5P_DEFAULT)) }, H5Aclose)
        let stored = Handle(try h5(.badData, doing) { H5Aget_type(attribute.id) }, H5Tclose)
        type = Handle(try h5(.badData, doing) { H5Tcopy(stored.id) }, H5Tclose)
        space = Handle(try h5(.badData, doing) { H5Aget_space(attribute.id) }, H5Sclose)
        let (type, space) = (type, space)
        let count = Int(try h5(.badData, doing) { H5Sget_simple_extent_npoints(space.id) })
        let (kind, size) = HDF5Library.withLock { (H5Tget_class(type.id), H5Tget_size(type.id)) }
        guard (1 ... 1 << 20).contains(count), (1 ... 1 << 20).contains(size),
            count * size <= 1 << 26
        else { return nil }
        let isText = kind == H5T_STRING
        guard isText || [H5T_INTEGER, H5T_FLOAT, H5T_ENUM].contains(kind) else { return nil }
        if isText, try h5(.badData, doing, { H5Tis_variable_str(type.id) }) > 0 {
            var texts = [UnsafeMutablePointer<CChar>?](repeating: nil, count: count)
            _ = try h5(.badData, doing) { H5Aread(attribute.id, type.id, &texts) }
            values = .texts(texts.map { $0.map { String(cString: $0) } ?? "" })
            for text in texts { if let text { HDF5Library.withLock { _ = H5free_memory(text) } } }
            return
        }
        var bytes = [UInt8](repeating: 0, count: count * size)
        _ = try h5(.badData, doing) { H5Aread(attribute.id, type.id, &bytes) }
        values =
            isText
            ? .texts(
                stride(from: 0, to: bytes.count, by: size).map { start in
                    String(decoding: bytes[start ..< start + size].prefix { $0 != 0 }, as: UTF8.self)
                }) : .numbers(bytes)
    }

    static func areSame(_ one: AttributeCopy?, _ other: AttributeCopy?) -> Bool {
        guard let one, let other else { return one == nil && other == nil }
        return one.isSame(as: other)
    }

    /// Whether `other` has the same shape and values; texts are compared as texts, whatever their storage.
    private func isSame(as other: AttributeCopy) -> Bool {
        let sameShape = HDF5Library.withLock { H5Sextent_equal(space.id, other.space.id) > 0 }
        switch (values, other.values) {
        case (.texts(let mine), .texts(let theirs)): return sameShape && mine == theirs
        case (.numbers(let mine), .numbers(let theirs)):
            return sameShape && mine == theirs && HDF5Library.withLock { H5Tequal(type.id, other.type.id) > 0 }
        default: return false
        }
    }

    func write(to location: HDF5Location) throws(Failure) {
        let doing = "writing the attribute \(name) of \(location.label)"
        let type: Handle
        switch values {
        case .numbers: type = self.type
        case .texts: type = try HDF5Location.textType()
        }
        let attribute = Handle(
            try h5(.inputOutput, doing) {
                H5Acreate2(location.id, name, type.id, space.id, hid_t(H5P_DEFAULT), hid_t(H5P_DEFAULT))
            }, H5Aclose)
        switch values {
        case .numbers(let bytes): _ = try h5(.inputOutput, doing) { H5Awrite(attribute.id, type.id, bytes) }
        case .texts(let texts): try Self.write(texts, to: attribute, type, doing)
        }
    }

    private static func write(
        _ texts: [String], to attribute: Handle, _ type: Handle, _ doing: String
    ) throws(Failure) {
        // All texts one after another, each with its zero, so that one buffer holds them while HDF5 reads.
        var characters: [CChar] = [], starts: [Int] = []
        for text in texts {
            starts.append(characters.count)
            characters += text.utf8CString
        }
        _ = try h5(.inputOutput, doing) {
            characters.withUnsafeBufferPointer { characters in
                let pointers = starts.map { characters.baseAddress! + $0 }
                return H5Awrite(attribute.id, type.id, pointers)
            }
        }
    }
}

extension HDF5Location {
    /// The names of all attributes, sorted.
    func attributeNames() throws(Failure) -> [String] {
        final class Names { var all: [String] = [] }
        let names = Names()
        var position: hsize_t = 0
        _ = try h5(.badData, "listing the attributes of \(label)") {
            H5Aiterate2(
                id, H5_INDEX_NAME, H5_ITER_INC, &position,
                { _, name, _, data in
                    if let name, let data {
                        Unmanaged<Names>.fromOpaque(data).takeUnretainedValue().all.append(String(cString: name))
                    }
                    return 0
                }, Unmanaged.passUnretained(names).toOpaque())
        }
        return names.all
    }
}
