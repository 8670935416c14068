import CHDF5

/// A Swift number that HDF5 stores: its type in memory and the type written to files.
protocol HDF5Element: BitwiseCopyable, Sendable {
    static var memoryType: hid_t { get }
    static var fileType: hid_t { get }
}

extension Float: HDF5Element {
    static var memoryType: hid_t { H5T_NATIVE_FLOAT }
    static var fileType: hid_t { H5T_IEEE_F32LE }
}
extension Double: HDF5Element {
    static var memoryType: hid_t { H5T_NATIVE_DOUBLE }
    static var fileType: hid_t { H5T_IEEE_F64LE }
}
extension UInt8: HDF5Element {
    static var memoryType: hid_t { H5T_NATIVE_UINT8 }
    static var fileType: hid_t { H5T_STD_U8LE }
}
extension UInt64: HDF5Element {
    static var memoryType: hid_t { H5T_NATIVE_UINT64 }
    static var fileType: hid_t { H5T_STD_U64LE }
}
extension Int64: HDF5Element {
    static var memoryType: hid_t { H5T_NATIVE_INT64 }
    static var fileType: hid_t { H5T_STD_I64LE }
}

/// The type of a stored dataset, as far as this program tells types apart.
enum StoredType: Equatable, CustomStringConvertible {
    case integer(bytes: Int, signed: Bool)
    case float(bytes: Int)
    /// h5py's and PyTables' booleans: a byte that is FALSE = 0 or TRUE = 1.
    case boolean
    case text
    case other(String)

    init(type: hid_t) {
        let size = H5Tget_size(type)
        switch H5Tget_class(type) {
        case H5T_INTEGER:
            self =
                Self.isWhole(type, size)
                ? .integer(bytes: size, signed: H5Tget_sign(type) == H5T_SGN_2) : .other("an unusual integer")
        case H5T_FLOAT:
            self = Self.isIEEE(type, size) ? .float(bytes: size) : .other("an unusual floating-point number")
        case H5T_STRING: self = .text
        case H5T_COMPOUND: self = .other("a compound type")
        case H5T_ENUM: self = Self.isBoolean(type) ? .boolean : .other("an enumeration")
        case H5T_VLEN: self = .other("rows of varying length")
        case H5T_ARRAY: self = .other("an array type")
        case H5T_OPAQUE: self = .other("opaque bytes")
        case H5T_BITFIELD: self = .other("a bit field")
        case H5T_REFERENCE: self = .other("references")
        default: self = .other("an unknown type")
        }
    }

    /// Bytes of a stored number; 0 for what is none.
    var byteCount: Int {
        switch self {
        case .integer(let bytes, _), .float(let bytes): bytes
        case .boolean: 1
        case .text, .other: 0
        }
    }

    var isInteger: Bool { if case .integer = self { true } else { false } }

    private static func isBoolean(_ type: hid_t) -> Bool {
        guard H5Tget_size(type) == 1, H5Tget_nmembers(type) == 2 else { return false }
        return (0 ..< 2).allSatisfy { index in
            guard let name = H5Tget_member_name(type, UInt32(index)) else { return false }
            defer { H5free_memory(name) }
            var value: UInt8 = 255
            return H5Tget_member_value(type, UInt32(index), &value) >= 0 && value == UInt8(index)
                && String(cString: name).uppercased() == ["FALSE", "TRUE"][index]
        }
    }

    /// Numbers that leave bits unused, or are laid out as no processor does, are not converted: HDF5 1.10 overruns
    /// its stack on descriptions of them that are damaged.
    private static func isWhole(_ type: hid_t, _ size: Int) -> Bool {
        [1, 2, 4, 8].contains(size) && H5Tget_precision(type) == 8 * size && H5Tget_offset(type) == 0
    }

    /// IEEE 754 binary16, binary32 or binary64, of either byte order.
    private static func isIEEE(_ type: hid_t, _ size: Int) -> Bool {
        let exponents = [2: 5, 4: 8, 8: 11]
        guard isWhole(type, size), let exponent = exponents[size] else { return false }
        var sign = 0, exponentStart = 0, exponentBits = 0, fractionStart = 0, fractionBits = 0
        guard H5Tget_fields(type, &sign, &exponentStart, &exponentBits, &fractionStart, &fractionBits) >= 0 else {
            return false
        }
        let fraction = 8 * size - 1 - exponent
        return (sign, exponentStart, exponentBits, fractionStart, fractionBits) == (
            8 * size - 1, fraction, exponent, 0, fraction
        )
            && H5Tget_ebias(type) == 1 << (exponent - 1) - 1
    }

    var description: String {
        switch self {
        case .integer(let bytes, let signed): "\(signed ? "int" : "uint")\(8 * bytes)"
        case .float(let bytes): "float\(8 * bytes)"
        case .boolean: "bool"
        case .text: "text"
        case .other(let name): name
        }
    }
}

/// A value of an HDF5 attribute.
public enum AttributeValue: Equatable, Sendable, CustomStringConvertible {
    case string(String)
    case integer(Int)
    case double(Double)
    case doubles([Double])

    public var description: String {
        switch self {
        case .string(let text): text
        case .integer(let value): "\(value)"
        case .double(let value): "\(value)"
        case .doubles(let values): "\(values)"
        }
    }
}
