/// Smallest, largest and mean value of examples, found while each is checked to be a finite number within the range.
struct ValueScan {
    private(set) var minimum = Double.infinity
    private(set) var maximum = -Double.infinity
    private var sum = 0.0
    private var count = 0

    var mean: Double { count == 0 ? 0 : sum / Double(count) }

    /// Takes in the values of consecutive examples, the first of which is number `first`.
    mutating func add(
        _ values: UnsafeBufferPointer<Float>, first: Int, elements: Int, of dataset: Dataset
    ) throws(StorageError) {
        for start in stride(from: 0, to: values.count, by: elements) {
            var low = Float.infinity, high = -Float.infinity, total = 0.0
            for index in start ..< start + elements {
                let value = values[index]
                low = value < low ? value : low
                high = value > high ? value : high
                total += Double(value)
            }
            // A value that is not a number makes the sum one, too.
            guard total.isFinite else {
                let bad = values[start ..< start + elements].first { !$0.isFinite } ?? .nan
                throw .badData("\(dataset.name) in \(dataset.path) has the value \(bad) in example \(first + start / elements).",
                               remedy: "Remove or repair the examples that are not finite numbers.")
            }
            try check(Double(low), Double(high), example: first + start / elements, of: dataset)
            (minimum, maximum) = (min(minimum, Double(low)), max(maximum, Double(high)))
            sum += total
        }
        count += values.count
    }

    mutating func add(_ values: UnsafeBufferPointer<UInt8>, first: Int, elements: Int, of dataset: Dataset) throws(StorageError) {
        for start in stride(from: 0, to: values.count, by: elements) {
            var low: UInt8 = 255, high: UInt8 = 0, total = 0
            for index in start ..< start + elements {
                let value = values[index]
                low = min(low, value)
                high = max(high, value)
                total &+= Int(value)
            }
            try check(Double(low), Double(high), example: first + start / elements, of: dataset)
            (minimum, maximum) = (min(minimum, Double(low)), max(maximum, Double(high)))
            sum += Double(total)
        }
        count += values.count
    }

    /// Values may leave the declared range by a hundredth of its width, for rounding and interpolation.
    private func check(_ low: Double, _ high: Double, example: Int, of dataset: Dataset) throws(StorageError) {
        guard let range = dataset.declaredRange else { return }
        let slack = 0.01 * (range.upperBound - range.lowerBound)
        guard low < range.lowerBound - slack || high > range.upperBound + slack else { return }
        throw .badData("""
            \(dataset.name) in \(dataset.path) has values from \(low) to \(high) in example \(example), \
            outside its range [\(range.lowerBound), \(range.upperBound)].
            """, remedy: "Correct the attribute range, or the values.")
    }
}

extension Dataset {
    /// Calls `body` with blocks of consecutive examples, all of them in order.
    func forEachBlock<Element: HDF5Element>(
        as type: Element.Type, _ body: (Range<Int>, UnsafeBufferPointer<Element>) throws(StorageError) -> Void
    ) throws(StorageError) {
        let rows = max(1, min(count, (1 << 22) / (elements * MemoryLayout<Element>.stride)))
        let buffer = UnsafeMutableBufferPointer<Element>.allocate(capacity: rows * elements)
        defer { buffer.deallocate() }
        for start in stride(from: 0, to: count, by: rows) {
            let range = start ..< min(start + rows, count)
            let part = UnsafeMutableBufferPointer(rebasing: buffer[..<(range.count * elements)])
            try stored.read(rows: range, into: part)
            try body(range, UnsafeBufferPointer(part))
        }
    }

    /// Reads every value once.
    func scan() throws(StorageError) -> ValueScan {
        var scan = ValueScan()
        if isBytes {
            try forEachBlock(as: UInt8.self) { (rows, values) throws(StorageError) in
                try scan.add(values, first: rows.lowerBound, elements: elements, of: self)
            }
        } else {
            try forEachBlock(as: Float.self) { (rows, values) throws(StorageError) in
                try scan.add(values, first: rows.lowerBound, elements: elements, of: self)
            }
        }
        return scan
    }

    /// The range that values of this extent mean where the file does not say: [0, 1] or [-1, 1] if all are within.
    func range(ofValuesFrom minimum: Double, to maximum: Double) throws(StorageError) -> ClosedRange<Double> {
        if let declaredRange { return declaredRange }
        if minimum >= 0, maximum <= 1 { return 0 ... 1 }
        if minimum >= -1, maximum <= 1 { return -1 ... 1 }
        throw .badData("\(name) in \(path) has values from \(minimum) to \(maximum) and no attribute range.",
                       remedy: "Say what is black and white, in h5py with f[\"\(name)\"].attrs[\"range\"] = [low, high].")
    }
}
