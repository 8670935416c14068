import Glibc
import Kernels
import Support

/// New dataset files out of old ones: part of one, two parts of one, several as one.
///
/// Numbers are copied as they are stored, whatever their type and layout, a few megabytes at a time; so are all arrays
/// with a row for each example, and the attributes. What stays behind is told to `note`.
public enum DatasetTools {
    /// How many of some examples.
    public enum Amount: Sendable {
        case count(Int)
        case share(Double)
    }

    /// Writes some of the examples of `input`, drawn by `seed`, in the order of the file. `amount` nil: all of those
    /// classes.
    public static func subset(
        _ input: String, dataset: String?, amount: Amount?, classes: Set<Int>?, seed: UInt64, to output: String,
        note: (String) -> Void
    ) throws(Failure) {
        try AtomicFile.refuseExisting(output, replacing: false)
        let file = try ExampleFile(input, dataset: dataset)
        let rows = try rows(of: file, classes)
        let count =
            try amount.map { (amount) throws(Failure) in try number(amount, of: rows.count, input) } ?? rows.count
        try write([(file, drawn(count, of: rows, seed).chosen)], to: output, note)
    }

    /// Writes a part of the examples of `input`, drawn by `seed`, to `heldOut` and all others to `output`, each in the
    /// order of the file.
    public static func split(
        _ input: String, dataset: String?, amount: Amount, seed: UInt64, to output: String, heldOut: String,
        note: (String) -> Void
    ) throws(Failure) {
        try AtomicFile.refuseExisting(output, replacing: false)
        try AtomicFile.refuseExisting(heldOut, replacing: false)
        guard place(output) != place(heldOut) else {
            throw Failure(.cannotCreate, "\(output) and \(heldOut) are one file.", remedy: "Name two.")
        }
        let file = try ExampleFile(input, dataset: dataset)
        let count = try number(amount, of: file.dataset.count, input)
        guard count < file.dataset.count else {
            throw .badData(
                "\(input) has \(file.dataset.count) examples: holding out \(count) leaves none.",
                remedy: "Hold out fewer.")
        }
        let (held, others) = drawn(count, of: Array(0 ..< file.dataset.count), seed)
        try write([(file, held)], to: heldOut, note)
        do {
            try write([(file, others)], to: output) { _ in }
        } catch {
            // Nobody shall take half of a split for the whole of it.
            unlink(heldOut)
            throw error
        }
    }

    /// Writes all examples of `inputs` one after another.
    public static func concat(
        _ inputs: [String], dataset: String?, to output: String, note: (String) -> Void
    ) throws(Failure) {
        try AtomicFile.refuseExisting(output, replacing: false)
        var files: [ExampleFile] = []
        for input in inputs {
            files.append(try ExampleFile(input, dataset: dataset))
            try requireAlike(files[0], files[files.count - 1])
        }
        try write(files.map { ($0, nil) }, to: output, note)
    }

    /// The same for all paths of one file that may not exist yet.
    private static func place(_ path: String) -> String {
        let (folder, name) = AtomicFile.split(path)
        guard let real = realpath(folder, nil) else { return path }
        defer { free(real) }
        return String(cString: real) + "/" + name
    }

    // MARK: Choosing

    private static func rows(of file: ExampleFile, _ classes: Set<Int>?) throws(Failure) -> [Int] {
        guard let classes else { return Array(0 ..< file.dataset.count) }
        guard let labels = try file.dataset.labels else {
            throw .badData("\(file.dataset.path) has no labels to choose classes by.", remedy: "Leave --classes out.")
        }
        if let absent = classes.subtracting(labels).min() {
            throw .badData(
                "\(file.dataset.path) has no example of class \(absent); it has \(Set(labels).sorted().prefix(20)).",
                remedy: "Name classes that it has.")
        }
        return labels.indices.filter { classes.contains(labels[$0]) }
    }

    private static func number(_ amount: Amount, of total: Int, _ input: String) throws(Failure) -> Int {
        switch amount {
        case .count(let count):
            guard count <= total else {
                throw .badData(
                    "\(input) has \(total) such examples, not \(count).",
                    remedy: "Ask for at most \(total).")
            }
            return count
        case .share(let share): return max(1, min(total, Int((share * Double(total)).rounded())))
        }
    }

    /// `count` of `rows` and the others, both in order.
    private static func drawn(_ count: Int, of rows: [Int], _ seed: UInt64) -> (chosen: [Int], others: [Int]) {
        let order = Draws(seed: seed, purpose: .selection, step: 0).permutation(count: rows.count)
        var isChosen = [Bool](repeating: false, count: rows.count)
        for place in order.prefix(count) { isChosen[Int(place)] = true }
        return (
            rows.indices.filter { isChosen[$0] }.map { rows[$0] },
            rows.indices.filter { !isChosen[$0] }.map { rows[$0] }
        )
    }

    // MARK: Comparing

    /// Files become one only where an example means the same in all: the first difference is refused by name.
    private static func requireAlike(_ first: ExampleFile, _ other: ExampleFile) throws(Failure) {
        let (one, two) = (first.dataset, other.dataset)
        func refuse(_ what: String, _ mine: String, _ theirs: String) -> Failure {
            .badData(
                "\(two.path) has \(what) \(theirs), \(one.path) has \(mine).",
                remedy: "Make them alike, or leave one out.")
        }
        let range = { (file: ExampleFile) in
            (file.dataset.declaredRange ?? file.foundRange).map { "\($0.lowerBound) … \($0.upperBound)" } ?? "none"
        }
        let arrays = { (file: ExampleFile) in "[" + file.arrays.map(\.name).joined(separator: ", ") + "]" }
        let facts = [
            ("the layout", one.layout.rawValue, two.layout.rawValue),
            ("examples of shape", "\(one.shape)", "\(two.shape)"),
            ("the type", one.storedType, two.storedType), ("the range", range(first), range(other)),
            ("the arrays", arrays(first), arrays(other)),
        ]
        if let (what, mine, theirs) = facts.first(where: { $1 != $2 }) { throw refuse(what, mine, theirs) }
        for (mine, theirs) in zip(first.arrays, other.arrays) {
            let describe = { (array: ExampleFile.Rows) in "\(array.stored.type) \(array.stored.dimensions.dropFirst())"
            }
            guard describe(mine) == describe(theirs) else {
                throw refuse("in \(mine.name) numbers of", describe(mine), describe(theirs))
            }
        }
    }

    // MARK: Writing

    private static func write(
        _ parts: [(file: ExampleFile, rows: [Int]?)], to output: String, _ note: (String) -> Void
    ) throws(Failure) {
        let total = parts.reduce(0) { $0 + ($1.rows?.count ?? $1.file.dataset.count) }
        var notes = parts.flatMap { part in part.file.leftOut.map { "\($0) of \(part.file.dataset.path)" } }
        try AtomicFile(output).write { (temporary) throws(Failure) in
            let file = try HDF5File.openToWrite(temporary, create: true)
            for (number, array) in parts[0].file.arrays.enumerated() {
                let chunk = max(1, min(total, (1 << 16) / array.stored.rowBytes))
                let type = try array.stored.storedType()
                defer { withExtendedLifetime(type) {} }
                let target = try file.makeDataset(
                    array.name, [total] + array.stored.dimensions.dropFirst(),
                    fileType: type.id, chunkRows: chunk)
                notes += try copyAttributes(parts.map { $0.file.arrays[number].stored.location }, to: target.location)
                if number == 0, let range = parts[0].file.foundRange {
                    try target.location.setAttribute("range", .doubles([range.lowerBound, range.upperBound]))
                }
                var row = 0
                for part in parts {
                    row = try part.file.arrays[number].stored.copy(part.rows, to: target, firstRow: row)
                }
            }
            notes += try copyAttributes(parts.map { $0.file.dataset.stored.location.file.root }, to: file.root)
            try file.close()
        }
        notes.forEach(note)
    }

    /// Writes the attributes that are equal in all of `sources`. Texts that describe a file are joined where they
    /// differ; names of labels that differ are refused. Returns what stays behind.
    private static func copyAttributes(
        _ sources: [HDF5Location], to target: HDF5Location
    ) throws(Failure) -> [String] {
        var leftOut: [String] = [], seen: Set<String> = []
        for source in sources {
            for name in try source.attributeNames() where seen.insert(name).inserted {
                var copies: [AttributeCopy?] = []
                for other in sources {
                    copies.append(try other.attributeNames().contains(name) ? AttributeCopy(name, of: other) : nil)
                }
                let different = copies.firstIndex { !AttributeCopy.areSame($0, copies[0]) }
                if let first = copies[0], different == nil {
                    try first.write(to: target)
                } else if ["name", "source", "license"].contains(name) {
                    try target.setAttribute(name, .string(joined(copies)))
                } else if name == "label_names", let different {
                    throw .badData(
                        "The names of the labels (label_names) of \(sources[different].file.name) and "
                            + "\(sources[0].file.name) differ.",
                        remedy: "Give the classes the same numbers and names in all files.")
                } else if !["range", "layout"].contains(name) {
                    leftOut.append("the attribute \(name) of \(source.label)")
                } else if let copy = copies.compactMap({ $0 }).first {
                    // What it says was compared: one file gives it, another leaves it to be understood.
                    try copy.write(to: target)
                }
            }
        }
        return leftOut
    }

    /// The different texts, in the order of the files.
    private static func joined(_ copies: [AttributeCopy?]) -> String {
        var texts: [String] = []
        for case .texts(let values)? in copies.map({ $0?.values }) {
            for text in values where !texts.contains(text) { texts.append(text) }
        }
        return texts.joined(separator: "; ")
    }
}
