import Support

/// Smallest, largest and mean value of examples, found while each is checked to be a finite number.
struct ValueScan {
    /// The array and its file, for messages.
    let label: String
    /// Values beyond it are counted.
    let counted: ClosedRange<Double>
    /// Values may leave it by a hundredth of its width, for rounding and interpolation; more is an error.
    let declared: ClosedRange<Double>?
    private(set) var minimum = Double.infinity
    private(set) var maximum = -Double.infinity
    private(set) var below = 0
    private(set) var above = 0
    private(set) var count = 0
    private var sum = 0.0

    var mean: Double { count == 0 ? 0 : sum / Double(count) }

    /// `range` nil counts what is below 0.
    init(_ label: String, within range: ClosedRange<Double>? = nil, declared: ClosedRange<Double>? = nil) {
        (self.label, self.declared, counted) = (label, declared, range ?? 0 ... .infinity)
    }

    /// Takes in the values of consecutive examples, the first of which is number `first`.
    mutating func add<Value: BinaryFloatingPoint>(
        _ values: UnsafeBufferPointer<Value>, first: Int, elements: Int
    ) throws(Failure) {
        let lowest = Value(counted.lowerBound), highest = Value(counted.upperBound)
        for start in stride(from: 0, to: values.count, by: elements) {
            var low = Value.infinity, high = -Value.infinity, total = 0.0, under = 0, over = 0
            for index in start ..< start + elements {
                let value = values[index]
                low = value < low ? value : low
                high = value > high ? value : high
                under += value < lowest ? 1 : 0
                over += value > highest ? 1 : 0
                total += Double(value)
            }
            // A value that is not a number makes the sum one, too.
            guard total.isFinite else {
                let bad = values[start ..< start + elements].first { !$0.isFinite } ?? .nan
                throw .badData(
                    "\(label) has the value \(bad) in example \(first + start / elements).",
                    remedy: "Remove or repair the examples that are not finite numbers.")
            }
            try take(Double(low), Double(high), total, under, over, example: first + start / elements)
        }
        count += values.count
    }

    mutating func add(_ values: UnsafeBufferPointer<UInt8>, first: Int, elements: Int) throws(Failure) {
        let lowest = UInt8(clamping: Int(min(max(counted.lowerBound.rounded(.up), 0), 255)))
        let highest = UInt8(min(max(counted.upperBound.rounded(.down), 0), 255))
        for start in stride(from: 0, to: values.count, by: elements) {
            var low: UInt8 = 255, high: UInt8 = 0, total = 0, under = 0, over = 0
            for index in start ..< start + elements {
                let value = values[index]
                low = min(low, value)
                high = max(high, value)
                under &+= value < lowest ? 1 : 0
                over &+= value > highest ? 1 : 0
                total &+= Int(value)
            }
            try take(Double(low), Double(high), Double(total), under, over, example: first + start / elements)
        }
        count += values.count
    }

    private mutating func take(
        _ low: Double, _ high: Double, _ total: Double, _ under: Int, _ over: Int, example: Int
    ) throws(Failure) {
        if let declared {
            guard ValueRange.holds(declared, low, high) else {
                throw .badData(
                    """
                    \(label) has values from \(low) to \(high) in example \(example), \
                    outside its range [\(declared.lowerBound), \(declared.upperBound)].
                    """, remedy: "Correct the attribute range, or the values.")
            }
        }
        (minimum, maximum) = (min(minimum, low), max(maximum, high))
        (sum, below, above) = (sum + total, below + under, above + over)
    }
}

extension Dataset {
    /// Calls `body` with blocks of consecutive examples, all or the first of them, in order.
    func forEachBlock<Element: HDF5Element>(
        as type: Element.Type, first: Int = .max,
        _ body: (Range<Int>, UnsafeBufferPointer<Element>) throws(Failure) -> Void
    ) throws(Failure) {
        let rows = max(1, min(count, (1 << 22) / (elements * MemoryLayout<Element>.stride)))
        let buffer = UnsafeMutableBufferPointer<Element>.allocate(capacity: rows * elements)
        defer { buffer.deallocate() }
        let end = min(first, count)
        for start in stride(from: 0, to: end, by: rows) {
            let range = start ..< min(start + rows, end)
            let part = UnsafeMutableBufferPointer(rebasing: buffer[..<(range.count * elements)])
            try stored.read(rows: range, into: part)
            try body(range, UnsafeBufferPointer(part))
        }
    }

    /// Reads the values of all examples once, or of the first ones.
    func scan(given: ClosedRange<Double>? = nil, first: Int = .max) throws(Failure) -> ValueScan {
        var scan = newScan(given: given)
        if isBytes {
            try forEachBlock(as: UInt8.self, first: first) { (rows, values) throws(Failure) in
                try scan.add(values, first: rows.lowerBound, elements: elements)
            }
        } else {
            try forEachBlock(as: Float.self, first: first) { (rows, values) throws(Failure) in
                try scan.add(values, first: rows.lowerBound, elements: elements)
            }
        }
        return scan
    }

    /// What decides which values are black and white.
    func rules(given: ClosedRange<Double>?) -> RangeRules {
        RangeRules(
            label: stored.label, path: name, type: stored.type, attribute: attributeRange, given: given,
            options: options)
    }

    /// A scan of values that are checked against the file's range, or counted where they leave the `given` one.
    func newScan(given: ClosedRange<Double>?) -> ValueScan {
        ValueScan(stored.label, within: given, declared: given == nil ? declaredRange : nil)
    }
}
