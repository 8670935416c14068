import Support

/// Labels as files have them, [N], [N, 1] or one-hot [N, K], of any type of number, as one whole number an example.
struct LabelReader {
    /// Where they lie, for messages.
    let label: String
    /// Examples that they are for.
    let examples: Int
    private let width: Int

    init(_ label: String, dimensions: [Int], type: StoredType, examples: Int) throws(Failure) {
        switch type {
        case .integer, .boolean, .float: break
        case .text, .other:
            throw .badData(
                "\(label) is of type \(type); labels are whole numbers.",
                remedy: "Number the classes 0, 1, 2, … and store these.")
        }
        guard dimensions.first == examples, dimensions.count <= 2,
            (1 ... 1 << 20).contains(dimensions.count == 2 ? dimensions[1] : 1)
        else {
            throw .badData(
                "\(label) has the shape \(dimensions), for \(examples) examples.",
                remedy: "Write one label for each example, [N] or [N, 1], or a one-hot row, [N, classes].")
        }
        (self.label, self.examples, width) = (label, examples, dimensions.count == 2 ? dimensions[1] : 1)
    }

    /// Rows that are read at once.
    var blockRows: Int { max(1, (1 << 16) / width) }

    /// The labels of consecutive rows, the first of which is number `first`.
    func labels(_ values: [Int128], first: Int) throws(Failure) -> [Int] {
        var labels: [Int] = []
        labels.reserveCapacity(values.count / width)
        for start in stride(from: 0, to: values.count, by: width) {
            let row = first + start / width
            if width == 1 {
                guard let label = Int(exactly: values[start]) else { throw wrong("\(values[start])", row) }
                labels.append(label)
            } else {
                labels.append(try hot(values[start ..< start + width], row))
            }
        }
        return labels
    }

    /// The same of floating-point numbers, which must be whole.
    func labels(_ values: [Double], first: Int) throws(Failure) -> [Int] {
        var whole: [Int128] = []
        whole.reserveCapacity(values.count)
        for (index, value) in values.enumerated() {
            guard let number = Int128(exactly: value) else { throw wrong("\(value)", first + index / width) }
            whole.append(number)
        }
        return try labels(whole, first: first)
    }

    private func hot(_ row: ArraySlice<Int128>, _ number: Int) throws(Failure) -> Int {
        guard let place = row.firstIndex(of: 1), row.allSatisfy({ $0 == 0 || $0 == 1 }),
            row.count(where: { $0 == 1 }) == 1
        else {
            let shown = row.prefix(12).map { "\($0)" }.joined(separator: ", ")
            throw .badData(
                "Row \(number) of \(label) is [\(shown)\(row.count > 12 ? ", …" : "")], "
                    + "which is not one-hot: a single 1 among zeros.",
                remedy: "Mend that row, or store the numbers of the classes.")
        }
        return place - row.startIndex
    }

    private func wrong(_ value: String, _ row: Int) -> Failure {
        .badData(
            "Row \(row) of \(label) is \(value); a label is a whole number from −2^63 to 2^63 − 1.",
            remedy: "Number the classes 0, 1, 2, … anew.")
    }
}

extension HDF5Dataset {
    /// Everything as labels of `examples` examples; they may be negative, and of any size that an Int holds.
    func readLabels(examples: Int) throws(Failure) -> [Int] {
        let reader = try LabelReader(label, dimensions: dimensions, type: type, examples: examples)
        var labels: [Int] = []
        for start in stride(from: 0, to: examples, by: reader.blockRows) {
            let rows = start ..< min(start + reader.blockRows, examples)
            if case .float = type {
                labels += try reader.labels(try readRows(rows, Double.self), first: start)
            } else {
                labels += try reader.labels(try integers(rows), first: start)
            }
        }
        return labels
    }

    /// Rows of whole numbers, exactly.
    func integers(_ rows: Range<Int>) throws(Failure) -> [Int128] {
        if case .integer(bytes: 8, signed: false) = type { return try readRows(rows, UInt64.self).map { Int128($0) } }
        if case .boolean = type { return try readRows(rows, UInt8.self).map { Int128($0) } }
        return try readRows(rows, Int64.self).map { Int128($0) }
    }

    /// Rows of the first dimension, converted to `Element`.
    func readRows<Element: HDF5Element>(_ rows: Range<Int>, _ type: Element.Type) throws(Failure) -> [Element] {
        let target = UnsafeMutableBufferPointer<Element>.allocate(capacity: rows.count * (count / dimensions[0]))
        defer { target.deallocate() }
        try read(rows: rows, into: target)
        return Array(target)
    }
}
