import Support

/// Rows of numbers that another program wrote, read in order: what a ``ForeignArray`` is made from.
protocol ForeignRows {
    /// For messages: the array and its file.
    var label: String { get }
    /// As stored, the number of examples first.
    var dimensions: [Int] { get }
    var type: StoredType { get }
    /// Some rows as bytes: asked for where the type is uint8 or boolean.
    func bytes(_ rows: Range<Int>) throws(Failure) -> [UInt8]
    /// Some rows as whole numbers, exactly: asked for where the type is an integer or boolean.
    func integers(_ rows: Range<Int>) throws(Failure) -> [Int128]
    /// Some rows converted to double: asked for where the type is any number.
    func doubles(_ rows: Range<Int>) throws(Failure) -> [Double]
}

/// An array of numbers of any type on its way into a dataset file: `/images` uint8 or float32 [N, H, W, C], or
/// `/samples` [N, D].
///
/// uint8 stays as it is, booleans become bytes of the range [0, 1], all other numbers float32. Nothing is held but some
/// rows.
struct ForeignArray {
    let rows: any ForeignRows
    /// One label for each row; nil for none.
    var labels: (any ForeignRows)?
    /// What the axes are, in their order, such as "NHWC", "NCHW", "NCWH", "NHW"; nil: NHWC, NHW or ND, by their number.
    var layout: String?
    /// The values that mean black and white; nil where the type or the values say so.
    var range: ClosedRange<Double>?
    /// Images are put into the middle of a square of this many pixels.
    var size: Int?

    /// Writes all of it to `output`. Returns what the user should know: sentences.
    func write(
        to output: String, name: String, source: String, license: String = "unknown", replacing: Bool = false
    ) throws(Failure) -> [String] {
        try AtomicFile.refuseExisting(output, replacing: replacing)
        let axes = try ForeignAxes(rows, layout: layout, size: size)
        let classes = try labels.map { (labels) throws(Failure) in try readLabels(labels) }
        let values = try ForeignValues(rows, range: range, isImages: axes.isImages)
        let description = DatasetDescription(
            name: name, source: source, license: license, dimensions: [axes.count] + axes.target,
            element: values.isBytes ? .uint8 : .float32,
            range: values.range.map { [$0.lowerBound, $0.upperBound] })
        try DatasetWriter.write(output, description, replacing: replacing) { (writer) throws(Failure) in
            for start in stride(from: 0, to: axes.count, by: axes.blockRows) {
                let block = start ..< min(start + axes.blockRows, axes.count)
                if values.isBytes {
                    try writer.append(
                        axes.place(
                            try values.bytes(block),
                            background: UInt8(min(max(values.range?.lowerBound ?? 0, 0), 255))))
                } else {
                    try writer.append(
                        axes.place(
                            try values.floats(block),
                            background: Float(values.range?.lowerBound ?? 0)))
                }
            }
            writer.labels = classes
        }
        return values.notes
    }

    private func readLabels(_ labels: any ForeignRows) throws(Failure) -> [Int] {
        let reader = try LabelReader(
            labels.label, dimensions: labels.dimensions, type: labels.type,
            examples: rows.dimensions[0])
        var all: [Int] = []
        for start in stride(from: 0, to: reader.examples, by: reader.blockRows) {
            let block = start ..< min(start + reader.blockRows, reader.examples)
            if case .float = labels.type {
                all += try reader.labels(try labels.doubles(block), first: start)
            } else {
                all += try reader.labels(try labels.integers(block), first: start)
            }
        }
        return all
    }
}

/// How the axes of a foreign array become [N, H, W, C] or [N, D].
struct ForeignAxes {
    let count: Int
    /// [H, W, C] or [D] of an example as it is written.
    let target: [Int]
    var isImages: Bool { target.count == 3 }
    private let shape: [Int]
    /// Numbers between two neighbours along H, W and C of a stored example.
    private let steps: [Int]

    private static let layouts = ["N", "ND", "NHW", "NWH", "NHWC", "NCHW", "NCWH", "NWHC"]

    init(_ rows: any ForeignRows, layout: String?, size: Int?) throws(Failure) {
        let sizes = rows.dimensions, label = rows.label
        guard !sizes.contains(0) else {
            throw .badData("\(label) is empty: its shape is \(sizes).", remedy: "Name an array with examples in it.")
        }
        guard (1 ... 4).contains(sizes.count), sizes[0] <= Int(UInt32.max) else {
            throw .badData(
                "\(label) has the shape \(sizes); images are [N, H, W, C] or [N, H, W], vectors [N, D].",
                remedy: "Name another array, or give it one of these shapes first.")
        }
        let standard = ["N", "ND", "NHW", "NHWC"][sizes.count - 1]
        let axes = layout?.uppercased() ?? standard
        guard Self.layouts.contains(axes), axes.count == sizes.count else {
            let fitting = Self.layouts.filter { $0.count == sizes.count }.joined(separator: ", ")
            throw .badData(
                "The layout \(axes) does not fit \(label) of the shape \(sizes).",
                remedy: "It may be \(fitting); N, the number of examples, comes first.")
        }
        count = sizes[0]
        guard axes.count > 2 else {
            guard size == nil else {
                throw .badData(
                    "\(label) holds vectors, of the shape \(sizes): only images are put into squares.",
                    remedy: "Leave --size out.")
            }
            shape = [sizes.count == 2 ? sizes[1] : 1]
            (target, steps) = (shape, [1])
            return
        }
        func axis(_ letter: Character) -> (size: Int, step: Int) {
            guard let place = axes.firstIndex(of: letter) else { return (1, 1) }
            let number = axes.distance(from: axes.startIndex, to: place)
            return (sizes[number], sizes[(number + 1)...].reduce(1, *))
        }
        let (height, width, channels) = (axis("H"), axis("W"), axis("C"))
        shape = [height.size, width.size, channels.size]
        steps = [height.step, width.step, channels.step]
        if let size {
            guard size >= shape[0], size >= shape[1], size <= 1 << 13 else {
                throw .badData(
                    "The images of \(label) are \(shape[0]) × \(shape[1]): "
                        + "they are put into a larger square, not into \(size) pixels.",
                    remedy: "Leave --size out, and set data.fit to resize when training.")
            }
            target = [size, size, shape[2]]
        } else {
            target = shape
        }
        guard target.reduce(1.0, { $0 * Double($1) }) <= Double(1 << 28) else {
            throw .badData(
                "\(label) has the shape \(sizes): at most 2^28 numbers of an example are read.",
                remedy: "Check the shape.")
        }
    }

    /// Rows that are read at once: a few megabytes.
    var blockRows: Int { max(1, (1 << 20) / max(shape.reduce(1, *), target.reduce(1, *))) }

    /// Stored examples as they are written: axes in their places, in the middle of `background`; an odd row or column
    /// is at the bottom or right.
    func place<Value>(_ stored: [Value], background: Value) -> [Value] {
        let length = shape.reduce(1, *)
        guard isImages, shape != target || steps != [shape[1] * shape[2], shape[2], 1] else { return stored }
        let large = target.reduce(1, *), rows = stored.count / length
        let top = (target[0] - shape[0]) / 2, left = (target[1] - shape[1]) / 2
        var result = [Value](repeating: background, count: rows * large)
        for row in 0 ..< rows {
            for y in 0 ..< shape[0] {
                for x in 0 ..< shape[1] {
                    let from = row * length + y * steps[0] + x * steps[1]
                    let to = row * large + ((top + y) * target[1] + left + x) * shape[2]
                    for channel in 0 ..< shape[2] { result[to + channel] = stored[from + channel * steps[2]] }
                }
            }
        }
        return result
    }
}

/// How the numbers of a foreign array become those of a dataset, decided when all of them have been looked at once.
struct ForeignValues {
    /// Whether they are written as bytes, else as float32.
    let isBytes: Bool
    /// The range as it is written; nil for vectors that are left as they are.
    let range: ClosedRange<Double>?
    /// Sentences for the user.
    private(set) var notes: [String] = []
    private let rows: any ForeignRows
    private let clipsTo: ClosedRange<Double>?
    /// What becomes 0 … 1, in double precision, where float32 cannot hold the values themselves.
    private var unit: ClosedRange<Double>?

    init(_ rows: any ForeignRows, range given: ClosedRange<Double>?, isImages: Bool) throws(Failure) {
        self.rows = rows
        switch rows.type {
        case .integer(bytes: 1, signed: false), .boolean: isBytes = true
        case .integer, .float: isBytes = false
        case .text, .other:
            throw .badData(
                "\(rows.label) is of type \(rows.type), which is no number.",
                remedy: "Name an array of numbers.")
        }
        let scan = try Self.scan(rows, within: given)
        guard isImages || isBytes || given != nil else {
            (range, clipsTo) = (nil, nil)
            guard
                max(-scan.minimum, scan.maximum)
                    <= (rows.type.isInteger ? 0x1p24 : Double(Float.greatestFiniteMagnitude))
            else {
                throw .badData(
                    "\(rows.label) has values from \(scan.minimum) to \(scan.maximum), which float32 does not hold.",
                    remedy: "Scale them first, or say with --range=A,B which become 0 and 1.")
            }
            return
        }
        let rules = RangeRules(
            label: rows.label, path: "", type: rows.type, attribute: nil, given: given,
            options: .importing)
        let found = try rules.range(of: scan)
        notes = found.warning.map { [$0] } ?? []
        clipsTo = found.clips ? found.bounds : nil
        unit = isBytes ? nil : try Self.unit(found.bounds, rows)
        range = unit == nil ? found.bounds : 0 ... 1
        if let unit {
            notes.append(
                "the values of \(rows.label) are scaled from \(ValueRange.text(unit)) to [0, "
                    + "1], since float32 does not hold them exactly"
            )
        }
    }

    /// The range itself where float32 would lose what a picture of it shows.
    private static func unit(
        _ range: ClosedRange<Double>, _ rows: any ForeignRows
    ) throws(Failure) -> ClosedRange<Double>? {
        let largest = max(abs(range.lowerBound), abs(range.upperBound)), width = range.upperBound - range.lowerBound
        let isExact = rows.type.isInteger && largest <= 0x1p53
        guard width.isFinite, isExact || largest.ulp <= width * 0x1p-24 else {
            throw .badData(
                "The range \(ValueRange.text(range)) of \(rows.label) is too narrow, "
                    + "or too wide, for numbers of its size.",
                remedy: "Subtract the lower end first, in integers.")
        }
        let fits = largest <= Double(Float.greatestFiniteMagnitude) && Double(Float(largest).ulp) <= width * 0x1p-23
        return fits && !(rows.type.isInteger && largest > 0x1p24) ? nil : range
    }

    private static func scan(
        _ rows: any ForeignRows, within range: ClosedRange<Double>?
    ) throws(Failure) -> ValueScan {
        var scan = ValueScan(rows.label, within: range)
        let elements = rows.dimensions.dropFirst().reduce(1, *), count = rows.dimensions[0]
        let block = max(1, (1 << 20) / elements)
        for start in stride(from: 0, to: count, by: block) {
            let part = start ..< min(start + block, count)
            let values = try rows.doubles(part)
            let result: Result<Void, Failure> = values.withUnsafeBufferPointer { values in
                Result { () throws(Failure) in try scan.add(values, first: start, elements: elements) }
            }
            try result.get()
        }
        return scan
    }

    func bytes(_ block: Range<Int>) throws(Failure) -> [UInt8] {
        let values = try rows.bytes(block)
        guard let clipsTo else { return values }
        let lowest = UInt8(min(max(clipsTo.lowerBound.rounded(.up), 0), 255))
        let highest = max(lowest, UInt8(min(max(clipsTo.upperBound.rounded(.down), 0), 255)))
        return values.map { min(max($0, lowest), highest) }
    }

    func floats(_ block: Range<Int>) throws(Failure) -> [Float] {
        var values = try rows.doubles(block)
        if let clipsTo {
            for index in values.indices {
                values[index] = min(max(values[index], clipsTo.lowerBound), clipsTo.upperBound)
            }
        }
        guard let unit else { return values.map { Float($0) } }
        let width = unit.upperBound - unit.lowerBound
        return values.map { Float(($0 - unit.lowerBound) / width) }
    }
}
