import Glibc
import Support

/// The rows of a .npy array that lies in a file.
final class NPYRows: ForeignRows {
    let label: String
    let header: NPYHeader
    var dimensions: [Int] { header.dimensions }
    var type: StoredType { header.type }

    private let file: InputFile
    /// All values with the last dimension varying fastest, of an array that lies in the file the other way round: its
    /// rows are spread over all of the file.
    private var turned: UnsafeMutableRawPointer?
    private var rowBytes: Int { header.count / max(1, dimensions.first ?? 1) * type.byteCount }

    init(_ file: InputFile, label: String) throws(Failure) {
        (self.file, self.label) = (file, label)
        header = try NPYHeader(label, size: file.size) { (offset, count) throws(Failure) in
            try file.read(at: offset, count: count)
        }
    }

    deinit { free(turned) }

    func bytes(_ rows: Range<Int>) throws(Failure) -> [UInt8] {
        let stored = try stored(rows)
        return type == .boolean ? stored.map { $0 == 0 ? 0 : 1 } : stored
    }

    func integers(_ rows: Range<Int>) throws(Failure) -> [Int128] {
        switch type {
        case .integer(bytes: 1, signed: true): try numbers(rows, Int8.self).map { Int128($0) }
        case .integer(bytes: 2, signed: true): try numbers(rows, Int16.self).map { Int128($0) }
        case .integer(bytes: 4, signed: true): try numbers(rows, Int32.self).map { Int128($0) }
        case .integer(bytes: 8, signed: true): try numbers(rows, Int64.self).map { Int128($0) }
        case .integer(bytes: 2, signed: false): try numbers(rows, UInt16.self).map { Int128($0) }
        case .integer(bytes: 4, signed: false): try numbers(rows, UInt32.self).map { Int128($0) }
        case .integer(bytes: 8, signed: false): try numbers(rows, UInt64.self).map { Int128($0) }
        default: try bytes(rows).map { Int128($0) }
        }
    }

    func doubles(_ rows: Range<Int>) throws(Failure) -> [Double] {
        switch type {
        case .float(bytes: 2): try numbers(rows, UInt16.self).map { Double(Float16(bitPattern: $0)) }
        case .float(bytes: 4): try numbers(rows, UInt32.self).map { Double(Float(bitPattern: $0)) }
        case .float: try numbers(rows, UInt64.self).map { Double(bitPattern: $0) }
        case .integer(bytes: 1, signed: false), .boolean: try bytes(rows).map { Double($0) }
        default: try integers(rows).map { Double($0) }
        }
    }

    /// Rows in this machine's byte order.
    private func numbers<Number: FixedWidthInteger & BitwiseCopyable>(
        _ rows: Range<Int>, _ type: Number.Type
    ) throws(Failure) -> [Number] {
        let stored = try stored(rows), isBigEndian = header.isBigEndian
        return stored.withUnsafeBytes { bytes in
            (0 ..< bytes.count / MemoryLayout<Number>.size).map { index in
                let number = bytes.loadUnaligned(fromByteOffset: index * MemoryLayout<Number>.size, as: Number.self)
                return isBigEndian ? Number(bigEndian: number) : Number(littleEndian: number)
            }
        }
    }

    private func stored(_ rows: Range<Int>) throws(Failure) -> [UInt8] {
        guard header.isFortran, dimensions.count > 1 else {
            return try file.read(at: header.length + rows.lowerBound * rowBytes, count: rows.count * rowBytes)
        }
        if turned == nil { turned = try turn() }
        return Array(UnsafeRawBufferPointer(start: turned! + rows.lowerBound * rowBytes, count: rows.count * rowBytes))
    }

    /// All of the array, its axes reversed in memory.
    private func turn() throws(Failure) -> UnsafeMutableRawPointer {
        let size = type.byteCount, total = header.count * size
        guard let target = malloc(max(1, total)) else {
            throw Failure(
                .inputOutput, "No memory for the \(total) bytes of \(label), which is in Fortran order.",
                remedy: "Save it with numpy.ascontiguousarray, which is read a part at a time.")
        }
        do {
            let count = dimensions[0]
            // Along the file the first axis varies fastest, then the second, ….
            var steps = [Int](repeating: size, count: dimensions.count)
            for axis in stride(from: dimensions.count - 2, through: 0, by: -1) {
                steps[axis] = steps[axis + 1] * dimensions[axis + 1]
            }
            var place = [Int](repeating: 0, count: dimensions.count)
            let others = header.count / max(1, count), block = max(1, (1 << 22) / max(1, count * size))
            for start in stride(from: 0, to: others, by: block) {
                let columns = min(block, others - start)
                let bytes = try file.read(at: header.length + start * count * size, count: columns * count * size)
                bytes.withUnsafeBytes { bytes in
                    for column in 0 ..< columns {
                        let offset = zip(place, steps).dropFirst().reduce(0) { $0 + $1.0 * $1.1 }
                        for row in 0 ..< count {
                            (target + offset + row * steps[0]).copyMemory(
                                from: bytes.baseAddress! + (column * count + row) * size, byteCount: size)
                        }
                        for axis in 1 ..< place.count {
                            place[axis] += 1
                            if place[axis] < dimensions[axis] { break }
                            place[axis] = 0
                        }
                    }
                }
            }
        } catch {
            free(target)
            throw error
        }
        return target
    }
}

/// The rows of several arrays of one shape and type, one after another.
struct JoinedRows: ForeignRows {
    let parts: [any ForeignRows]
    var label: String { parts[0].label }
    var dimensions: [Int] { [parts.reduce(0) { $0 + $1.dimensions[0] }] + parts[0].dimensions.dropFirst() }
    var type: StoredType { parts[0].type }

    /// Throws 65 where they differ in more than their number of rows.
    init(_ parts: [any ForeignRows]) throws(Failure) {
        for part in parts {
            guard !part.dimensions.isEmpty else {
                throw .badData(
                    "\(part.label) has the shape []: it is a single number.",
                    remedy: "Name an array with a row for each example.")
            }
            guard part.dimensions.dropFirst() == parts[0].dimensions.dropFirst(), part.type == parts[0].type else {
                throw .badData(
                    "\(part.label) is \(part.type) \(part.dimensions), "
                        + "\(parts[0].label) is \(parts[0].type) \(parts[0].dimensions).",
                    remedy: "Name arrays of one shape and type.")
            }
        }
        self.parts = parts
    }

    func bytes(_ rows: Range<Int>) throws(Failure) -> [UInt8] {
        try join(rows) { (part, rows) throws(Failure) in try part.bytes(rows) }
    }
    func integers(_ rows: Range<Int>) throws(Failure) -> [Int128] {
        try join(rows) { (part, rows) throws(Failure) in try part.integers(rows) }
    }
    func doubles(_ rows: Range<Int>) throws(Failure) -> [Double] {
        try join(rows) { (part, rows) throws(Failure) in try part.doubles(rows) }
    }

    private func join<Value>(
        _ rows: Range<Int>, _ read: (any ForeignRows, Range<Int>) throws(Failure) -> [Value]
    ) throws(Failure) -> [Value] {
        var values: [Value] = [], first = 0
        for part in parts {
            let end = first + part.dimensions[0]
            let wanted = max(first, rows.lowerBound) ..< max(max(first, rows.lowerBound), min(end, rows.upperBound))
            if !wanted.isEmpty { values += try read(part, wanted.lowerBound - first ..< wanted.upperBound - first) }
            first = end
        }
        return values
    }
}
