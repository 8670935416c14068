import Kernels
import Support

/// Examples by index, as the network sees them: scaled, channels last, of its size.
///
/// In memory where the stored values fit the limit (bytes stay bytes), else read from the file by hyperslabs. Safe to
/// use from several threads, one at a time inside.
public final class SampleSource: @unchecked Sendable {
    public let count: Int
    /// [H, W, C] or [D] of what `read` gives.
    public let shape: [Int]
    public var elements: Int { decoder.targetElements }
    /// The stored values that became the ends of the target range; nil where values are not scaled.
    public let valueRange: ValueRange?
    /// What the network sees: of all examples, or of the first ones where not all were read; nil of what is not a
    /// file's.
    public let seen: SeenValues?
    /// Whether all values are in memory.
    public let isResident: Bool
    /// How a new run best mixes the examples: by whole chunks where reading one example alone means to uncompress many.
    public let shuffle: Shuffle

    /// The shape of an example in the file, height, width and channels of an image.
    public var storedShape: [Int] { decoder.source }

    private enum Values {
        case bytes(UnsafeMutableBufferPointer<UInt8>)
        case floats(UnsafeMutableBufferPointer<Float>)
        case byteFile(Dataset, block: UnsafeMutableBufferPointer<UInt8>)
        case floatFile(Dataset, block: UnsafeMutableBufferPointer<Float>)
    }

    private let values: Values
    private let given: ClosedRange<Double>?
    private let decoder: ExampleDecoder
    /// Room for one example between scaling and fitting; used under `lock`, as the blocks are.
    private let stage: UnsafeMutablePointer<Float>
    private let lock = Lock()
    /// Whose values these are, where they are another's: a source's, or those of whoever has read them.
    private let owner: AnyObject?

    /// Examples of a file. `shape` nil keeps the stored one; `range` nil leaves the values as they are (for vectors).
    /// `given`: the stored values that become its ends, where the user says so. `asBefore`: for what began before there
    /// were rules for guesses.
    ///
    /// Float values are checked to be finite and within the range when they are read: here, if they fit `memoryLimit`
    /// bytes. `resident`: these, where somebody has read them already (``Dataset/read(into:)``).
    public init(
        _ dataset: Dataset, shape: [Int]? = nil, fit: ImageFit = .refuse, range: ClosedRange<Float>?,
        given: ClosedRange<Double>? = nil,
        asBefore: Bool = false, memoryLimit: Int = 1 << 30, resident: FloatBuffer? = nil
    ) throws(Failure) {
        let target = shape ?? dataset.shape
        try Self.checkFit(dataset, target, fit)
        isResident = dataset.storedBytes <= memoryLimit
        shuffle = isResident ? .samples : dataset.shuffle(memoryLimit: memoryLimit)
        let given = range == nil ? nil : given
        let (values, scan) =
            try isResident
            ? Self.load(dataset, given, resident?.values)
            : Self.openBlocks(dataset, needsRange: range != nil, given)
        self.values = values
        owner = isResident ? resident : nil
        let part =
            scan.count < dataset.count * dataset.elements
            ? " (in its first \(scan.count / dataset.elements) of \(dataset.count) examples)" : ""
        do throws(Failure) {
            let rules = dataset.rules(given: given)
            valueRange =
                range == nil
                ? nil : try asBefore ? rules.earlierRange(of: scan, part: part) : rules.range(of: scan, part: part)
        } catch {
            if owner == nil { Self.free(values) }
            throw error
        }
        decoder = ExampleDecoder(
            source: dataset.shape, target: target, channelsFirst: dataset.layout == .channelsFirst,
            fit: fit, from: valueRange?.bounds, to: range, clips: valueRange?.clips ?? false)
        seen = SeenValues(scan, decoder, fit, part: part)
        stage = .allocate(capacity: decoder.sourceElements)
        self.given = given
        (count, self.shape) = (dataset.count, target)
    }

    /// The same examples, in the same memory, scaled to another range; as they are where they are not scaled.
    public func scaled(to range: ClosedRange<Float>) -> SampleSource { SampleSource(of: self, range) }

    private init(of owner: SampleSource, _ range: ClosedRange<Float>) {
        self.owner = owner
        let decoder = owner.decoder
        self.decoder =
            owner.valueRange.map {
                ExampleDecoder(
                    source: decoder.source, target: decoder.target, channelsFirst: decoder.channelsFirst,
                    fit: decoder.fit, from: $0.bounds, to: range, clips: $0.clips)
            } ?? decoder
        values =
            switch owner.values {
            case .bytes, .floats: owner.values
            // Each reads into a block of its own.
            case .byteFile(let dataset, let block): .byteFile(dataset, block: .allocate(capacity: block.count))
            case .floatFile(let dataset, let block): .floatFile(dataset, block: .allocate(capacity: block.count))
            }
        stage = .allocate(capacity: decoder.sourceElements)
        (count, shape, isResident) = (owner.count, owner.shape, owner.isResident)
        (valueRange, seen, given, shuffle) = (owner.valueRange, nil, owner.given, owner.shuffle)
    }

    /// Vectors of `dimension` numbers each, one after another in `values`: the built-in mixtures.
    public init(vectors values: [Float], dimension: Int) {
        precondition(
            dimension > 0 && !values.isEmpty && values.count % dimension == 0,
            "\(values.count) numbers in vectors of \(dimension)")
        let copy = UnsafeMutableBufferPointer<Float>.allocate(capacity: values.count)
        _ = copy.initialize(from: values)
        self.values = .floats(copy)
        decoder = ExampleDecoder(
            source: [dimension], target: [dimension], channelsFirst: false, fit: .refuse, from: nil, to: nil)
        stage = .allocate(capacity: dimension)
        (count, shape, isResident) = (values.count / dimension, [dimension], true)
        (valueRange, seen, given, owner) = (nil, nil, nil, nil)
        shuffle = .samples
    }

    deinit {
        if owner == nil || !isResident { Self.free(values) }
        stage.deallocate()
    }

    private static func free(_ values: Values) {
        switch values {
        case .bytes(let buffer), .byteFile(_, let buffer): buffer.deallocate()
        case .floats(let buffer), .floatFile(_, let buffer): buffer.deallocate()
        }
    }

    private static func checkFit(_ dataset: Dataset, _ target: [Int], _ fit: ImageFit) throws(Failure) {
        let source = dataset.shape
        guard source != target else { return }
        let what =
            "The examples of \(dataset.name) in \(dataset.path) have the shape \(source), the network wants \(target)"
        guard source.count == 3, target.count == 3 else {
            throw .badData(
                "\(what).",
                remedy: "Change the last layer of the generator and the input of the discriminator, or the data.")
        }
        guard source[2] == target[2] else {
            let transposed =
                source[0] == target[2] || source[0] <= 4 && source[0] < source[2]
                ? """
                 If its axes are N, C, H, W, set its attribute layout to "NCHW"; if they are N, C, W, H, as programs \
                 that count axes from the \
                other end write them, use gan-dist data import hdf5 --layout NCWH.
                """ : ""
            throw .badData(
                "\(what): \(source[2]) channels instead of \(target[2]).",
                remedy: "Change the channels of the generator's last layer, or the data.\(transposed)")
        }
        guard fit != .refuse else {
            throw .badData("\(what).", remedy: "Set data.fit to pad or resize, or import the data with --size.")
        }
        guard fit == .resize || (source[0] <= target[0] && source[1] <= target[1]) else {
            throw .badData(
                "\(what), which is smaller: padding cannot make them smaller.", remedy: "Set data.fit to resize.")
        }
    }

    // MARK: Loading

    private static func load(
        _ dataset: Dataset, _ given: ClosedRange<Double>?, _ resident: Floats?
    ) throws(Failure) -> (Values, ValueScan) {
        var scan = dataset.newScan(given: given)
        if dataset.isBytes {
            let all = try loadAll(dataset, UInt8.self, resident) { (values) throws(Failure) in
                try scan.add(values, first: 0, elements: dataset.elements)
            }
            return (.bytes(all), scan)
        }
        let all = try loadAll(dataset, Float.self, resident) { (values) throws(Failure) in
            try scan.add(values, first: 0, elements: dataset.elements)
        }
        return (.floats(all), scan)
    }

    private static func loadAll<Element: HDF5Element>(
        _ dataset: Dataset, _ type: Element.Type, _ resident: Floats?,
        check: (UnsafeBufferPointer<Element>) throws(Failure) -> Void
    ) throws(Failure) -> UnsafeMutableBufferPointer<Element> {
        let count = dataset.count * dataset.elements
        if let resident {
            let all = resident.asStored(count, of: type)
            try check(UnsafeBufferPointer(all))
            return all
        }
        let all = UnsafeMutableBufferPointer<Element>.allocate(capacity: count)
        do {
            try dataset.stored.read(into: all)
            try check(UnsafeBufferPointer(all))
        } catch {
            all.deallocate()
            throw error
        }
        return all
    }

    private static func openBlocks(
        _ dataset: Dataset, needsRange: Bool, _ given: ClosedRange<Double>?
    ) throws(Failure) -> (Values, ValueScan) {
        // Only a range that nothing but the values can tell makes it worth to read everything first.
        let isGuess = needsRange && dataset.declaredRange == nil && given == nil
        let first = max(1, (1 << 24) / dataset.elements)
        var scan = try dataset.scan(given: given, first: isGuess ? .max : first)
        if dataset.isBytes, dataset.attributeRange == nil, given == nil, scan.maximum <= 1 { scan = try dataset.scan() }
        let rows = max(1, min(64, (1 << 22) / dataset.elements))
        return dataset.isBytes
            ? (.byteFile(dataset, block: .allocate(capacity: rows * dataset.elements)), scan)
            : (.floatFile(dataset, block: .allocate(capacity: rows * dataset.elements)), scan)
    }

    // MARK: Reading

    /// Writes the examples `indices` into `target`, in their order. Throws what is wrong with the file.
    public func read(_ indices: [Int], into target: Floats) throws(Failure) {
        precondition(
            target.count == indices.count * elements,
            "room for \(target.count) values of \(indices.count) examples of \(elements)")
        let result: Result<Void, Failure> = lock.withLock {
            Result { () throws(Failure) in try readLocked(indices, target.base) }
        }
        try result.get()
    }

    private func readLocked(_ indices: [Int], _ target: UnsafeMutablePointer<Float>) throws(Failure) {
        let stored = decoder.sourceElements, wanted = decoder.targetElements
        switch values {
        case .bytes(let all):
            for (row, index) in indices.enumerated() {
                precondition(index >= 0 && index < count, "example \(index) of \(count)")
                decoder.decode(all.baseAddress! + index * stored, stage: stage, into: target + row * wanted)
            }
        case .floats(let all):
            for (row, index) in indices.enumerated() {
                precondition(index >= 0 && index < count, "example \(index) of \(count)")
                decoder.decode(all.baseAddress! + index * stored, stage: stage, into: target + row * wanted)
            }
        case .byteFile(let dataset, let block):
            try readRuns(indices, dataset, block) { (run, values) throws(Failure) in
                try check(values, run, of: dataset)
            } place: {
                decoder.decode($1, stage: stage, into: target + $0 * wanted)
            }
        case .floatFile(let dataset, let block):
            try readRuns(indices, dataset, block) { (run, values) throws(Failure) in
                try check(values, run, of: dataset)
            } place: {
                decoder.decode($1, stage: stage, into: target + $0 * wanted)
            }
        }
    }

    /// Reads examples in the order of the file, neighbours together, and gives each to `place` with its row of the
    /// minibatch.
    private func readRuns<Element: HDF5Element>(
        _ indices: [Int], _ dataset: Dataset, _ block: UnsafeMutableBufferPointer<Element>,
        check: (Range<Int>, UnsafeBufferPointer<Element>) throws(Failure) -> Void,
        place: (Int, UnsafePointer<Element>) -> Void
    ) throws(Failure) {
        let stored = decoder.sourceElements, capacity = block.count / stored
        let order = indices.indices.sorted { indices[$0] < indices[$1] }
        var first = 0
        while first < order.count {
            let start = indices[order[first]]
            var last = first
            while last + 1 < order.count, indices[order[last + 1]] - indices[order[last]] <= 1,
                indices[order[last + 1]] - start < capacity
            { last += 1 }
            let run = start ..< indices[order[last]] + 1
            let values = UnsafeMutableBufferPointer(rebasing: block[..<(run.count * stored)])
            try dataset.stored.read(rows: run, into: values)
            try check(run, UnsafeBufferPointer(values))
            for position in order[first ... last] {
                place(position, values.baseAddress! + (indices[position] - start) * stored)
            }
            first = last + 1
        }
    }

    // MARK: Whole blocks

    var storedElements: Int { decoder.sourceElements }
    /// Bytes of an example as `load` leaves it.
    public var storedBytes: Int { storedElements * (isStoredAsBytes ? 1 : 4) }

    private var isStoredAsBytes: Bool {
        switch values {
        case .bytes, .byteFile: true
        case .floats, .floatFile: false
        }
    }

    /// Reads consecutive examples, unscaled, and checks them. For `decode`, on any thread.
    func load(_ rows: Range<Int>, into target: UnsafeMutableRawPointer) throws(Failure) {
        let stored = decoder.sourceElements
        switch values {
        case .byteFile(let dataset, _):
            let bytes = UnsafeMutableBufferPointer(
                start: target.assumingMemoryBound(to: UInt8.self),
                count: rows.count * stored)
            try dataset.stored.read(rows: rows, into: bytes)
            try check(UnsafeBufferPointer(bytes), rows, of: dataset)
        case .floatFile(let dataset, _):
            let floats = UnsafeMutableBufferPointer(
                start: target.assumingMemoryBound(to: Float.self),
                count: rows.count * stored)
            try dataset.stored.read(rows: rows, into: floats)
            try check(UnsafeBufferPointer(floats), rows, of: dataset)
        case .bytes, .floats: preconditionFailure("examples in memory are read one by one")
        }
    }

    private func check(
        _ values: UnsafeBufferPointer<UInt8>, _ rows: Range<Int>, of dataset: Dataset
    ) throws(Failure) {
        guard dataset.declaredRange != 0 ... 255, given == nil else { return }
        var scan = dataset.newScan(given: nil)
        try scan.add(values, first: rows.lowerBound, elements: decoder.sourceElements)
    }

    private func check(
        _ values: UnsafeBufferPointer<Float>, _ rows: Range<Int>, of dataset: Dataset
    ) throws(Failure) {
        var scan = dataset.newScan(given: given)
        try scan.add(values, first: rows.lowerBound, elements: decoder.sourceElements)
    }

    /// What `read` makes of an example that `load` has read; `stage` has room for it.
    func decode(
        _ example: UnsafeRawPointer, stage: UnsafeMutablePointer<Float>, into target: UnsafeMutablePointer<Float>
    ) {
        if isStoredAsBytes {
            decoder.decode(example.assumingMemoryBound(to: UInt8.self), stage: stage, into: target)
        } else {
            decoder.decode(example.assumingMemoryBound(to: Float.self), stage: stage, into: target)
        }
    }

    /// The mean over all examples of each of their values, as `read` gives them: the marginals of an output bias.
    public func means() throws(Failure) -> [Float] {
        var sums = [Double](repeating: 0, count: elements)
        try forEachExample { example in
            for element in 0 ..< elements { sums[element] += Double(example[element]) }
        }
        return sums.map { Float($0 / Double(count)) }
    }

    /// The standard deviation of all values of all examples.
    public func deviation() throws(Failure) -> Double {
        var sum = 0.0, squares = 0.0
        try forEachExample { example in
            for element in 0 ..< elements {
                let value = Double(example[element])
                sum += value
                squares += value * value
            }
        }
        let values = Double(count) * Double(elements), mean = sum / values
        return max(0, squares / values - mean * mean).squareRoot()
    }

    /// In their order.
    private func forEachExample(_ body: (Floats) -> Void) throws(Failure) {
        let rows = max(1, min(count, (1 << 20) / elements))
        let buffer = FloatBuffer(count: rows * elements)
        for start in stride(from: 0, to: count, by: rows) {
            let indices = Array(start ..< min(start + rows, count))
            try read(indices, into: buffer.values[0 ..< indices.count * elements])
            for row in indices.indices { body(buffer.values[row * elements ..< (row + 1) * elements]) }
        }
    }
}

extension Floats {
    /// This memory as that of the stored values of a dataset.
    func asStored<Element>(_ count: Int, of type: Element.Type) -> UnsafeMutableBufferPointer<Element> {
        UnsafeMutableBufferPointer(rebasing: bytes.bindMemory(to: type)[..<count])
    }
}
