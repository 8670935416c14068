import CHDF5
import Support

extension HDF5Location {
    /// Writes an attribute as h5py does: UTF-8 text of any length, int64, float64.
    func setAttribute(_ name: String, _ value: AttributeValue) throws(Failure) {
        switch value {
        case .string(let text): try writeText(name, text)
        case .integer(let number): try writeNumbers(name, [Int64(number)], scalar: true)
        case .double(let number): try writeNumbers(name, [number], scalar: true)
        case .doubles(let numbers): try writeNumbers(name, numbers, scalar: false)
        }
    }

    private func writeNumbers<Element: HDF5Element>(
        _ name: String, _ values: [Element], scalar: Bool
    ) throws(Failure) {
        var size = hsize_t(values.count)
        let doing = "writing the attribute \(name) of \(label)"
        let space = Handle(
            try h5(.inputOutput, doing) { scalar ? H5Screate(H5S_SCALAR) : H5Screate_simple(1, &size, nil) }, H5Sclose)
        let attribute = try makeAttribute(name, Element.fileType, space)
        _ = try h5(.inputOutput, doing) { H5Awrite(attribute.id, Element.memoryType, values) }
    }

    private func writeText(_ name: String, _ text: String) throws(Failure) {
        let doing = "writing the attribute \(name) of \(label)"
        let space = Handle(try h5(.inputOutput, doing) { H5Screate(H5S_SCALAR) }, H5Sclose)
        let type = try Self.textType()
        let attribute = try makeAttribute(name, type.id, space)
        _ = try h5(.inputOutput, doing) {
            text.withCString { pointer in
                var pointer: UnsafePointer<CChar>? = pointer
                return H5Awrite(attribute.id, type.id, &pointer)
            }
        }
    }

    private func makeAttribute(_ name: String, _ type: hid_t, _ space: Handle) throws(Failure) -> Handle {
        Handle(
            try h5(.inputOutput, "making the attribute \(name) of \(label)") {
                H5Acreate2(id, name, type, space.id, hid_t(H5P_DEFAULT), hid_t(H5P_DEFAULT))
            }, H5Aclose)
    }

    static func textType() throws(Failure) -> Handle {
        let type = Handle(try h5(.inputOutput, "making a text type") { H5Tcopy(H5T_C_S1) }, H5Tclose)
        _ = try h5(.inputOutput, "making a text type") { H5Tset_size(type.id, H5T_VARIABLE) }
        _ = try h5(.inputOutput, "making a text type") { H5Tset_cset(type.id, H5T_CSET_UTF8) }
        return type
    }

    // MARK: Reading

    /// The attribute, or nil where there is none or it is of a type that no attribute of gan-dist's has.
    func attribute(_ name: String) throws(Failure) -> AttributeValue? {
        let doing = "reading the attribute \(name) of \(label)"
        guard try h5(.badData, doing, { H5Aexists(id, name) }) > 0 else { return nil }
        let attribute = Handle(try h5(.badData, doing) { H5Aopen(id, name, hid_t(H5P_DEFAULT)) }, H5Aclose)
        let type = Handle(try h5(.badData, doing) { H5Aget_type(attribute.id) }, H5Tclose)
        let space = Handle(try h5(.badData, doing) { H5Aget_space(attribute.id) }, H5Sclose)
        let count = try h5(.badData, doing) { H5Sget_simple_extent_npoints(space.id) }
        guard count >= 1, count <= 1 << 16 else { return nil }
        let scalar = try h5(.badData, doing) { H5Sget_simple_extent_ndims(space.id) } == 0
        switch HDF5Library.withLock({ StoredType(type: type.id) }) {
        case .text: return count == 1 ? try readText(attribute, type, doing).map { .string($0) } : nil
        case .integer where count == 1 && scalar:
            var value: Int64 = 0
            _ = try h5(.badData, doing) { H5Aread(attribute.id, Int64.memoryType, &value) }
            return .integer(Int(value))
        case .integer, .float:
            var values = [Double](repeating: 0, count: Int(count))
            _ = try h5(.badData, doing) { H5Aread(attribute.id, Double.memoryType, &values) }
            return scalar ? .double(values[0]) : .doubles(values)
        case .boolean, .other: return nil
        }
    }

    private func readText(_ attribute: Handle, _ type: Handle, _ doing: String) throws(Failure) -> String? {
        if try h5(.badData, doing, { H5Tis_variable_str(type.id) }) > 0 {
            let memory = Handle(try h5(.badData, doing) { H5Tcopy(type.id) }, H5Tclose)
            var text: UnsafeMutablePointer<CChar>?
            _ = try h5(.badData, doing) { H5Aread(attribute.id, memory.id, &text) }
            guard let text else { return "" }
            defer { H5free_memory(text) }
            return String(cString: text)
        }
        let size = HDF5Library.withLock { H5Tget_size(type.id) }
        guard size <= 1 << 24 else { return nil }
        var bytes = [UInt8](repeating: 0, count: size + 1)
        _ = try h5(.badData, doing) { H5Aread(attribute.id, type.id, &bytes) }
        return String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
    }

    /// All attributes that can be read, sorted by name.
    func attributes() throws(Failure) -> [(name: String, value: AttributeValue)] {
        var result: [(name: String, value: AttributeValue)] = []
        for name in try attributeNames() { if let value = try attribute(name) { result.append((name, value)) } }
        return result
    }
}
