import Support

/// The header of a .npy file (NumPy Enhancement Proposal 1, format versions 1 to 3): a Python dictionary of three keys.
struct NPYHeader {
    let type: StoredType
    let isBigEndian: Bool
    /// Whether the first dimension varies fastest.
    let isFortran: Bool
    let dimensions: [Int]
    /// Where the values begin.
    let length: Int

    /// The product of the dimensions.
    var count: Int { dimensions.reduce(1, *) }

    private static let longest = 1 << 20

    /// The header at the beginning of `size` bytes that `read` gives by position and count. `label` is named in errors.
    init(_ label: String, size: Int, read: (Int, Int) throws(Failure) -> [UInt8]) throws(Failure) {
        func refuse(_ what: String, _ remedy: String = "Save it anew with numpy.save.") -> Failure {
            .badData("\(label) \(what).", remedy: remedy)
        }
        guard size >= 10, case let start = try read(0, 10),
            start.prefix(6) == [0x93, 0x4E, 0x55, 0x4D, 0x50, 0x59]
        else {
            throw refuse(
                "is not a NumPy array: it does not begin as .npy files do",
                "Name a file that numpy.save or numpy.savez wrote.")
        }
        guard (1 ... 3).contains(start[6]) else {
            throw refuse("is of version \(start[6]) of the .npy format; versions 1 to 3 are read")
        }
        let wide = start[6] > 1
        guard !wide || size >= 12 else { throw refuse("ends in its header") }
        let sizes = try wide ? read(8, 4) : Array(start[8 ..< 10])
        let text = sizes.reversed().reduce(0) { $0 << 8 | Int($1) }
        length = (wide ? 12 : 10) + text
        guard text <= Self.longest,
            length <= size
        else { throw refuse("ends in its header, or claims \(text) bytes of it") }
        var words = Words(try read(length - text, text))
        var found: (descr: String, isFortran: Bool, shape: [Int])
        do {
            found = try words.dictionary()
        } catch {
            throw refuse("has a header that cannot be understood: \(error.what)")
        }
        (isFortran, dimensions) = (found.isFortran, found.shape)
        if let order = found.descr.first, "<>|=".contains(order) { found.descr.removeFirst() }
        isBigEndian = words.order == ">"
        type = try Self.type(found.descr, label)
        var bytes = type.byteCount
        for dimension in dimensions {
            let (product, overflow) = bytes.multipliedReportingOverflow(by: dimension)
            guard !overflow,
                product < 1 << 60
            else { throw refuse("claims the shape \(dimensions), more than any disk holds") }
            bytes = product
        }
        guard bytes == size - length else {
            throw refuse(
                "claims \(bytes) bytes of values, of the shape \(dimensions), "
                    + "and has \(size - length): it was cut, or more was saved behind it"
            )
        }
    }

    private static func type(_ descr: String, _ label: String) throws(Failure) -> StoredType {
        let bytes = Int(descr.dropFirst())
        switch (descr.first, bytes) {
        case ("b", 1): return .boolean
        case ("i", 1), ("i", 2), ("i", 4), ("i", 8): return .integer(bytes: bytes!, signed: true)
        case ("u", 1), ("u", 2), ("u", 4), ("u", 8): return .integer(bytes: bytes!, signed: false)
        case ("f", 2), ("f", 4), ("f", 8): return .float(bytes: bytes!)
        default: break
        }
        let kinds: [Character: String] = [
            "O": "Python objects (pickled), which could run any code when they are read", "c": "complex numbers",
            "f": "numbers of an unusual size",
            "S": "texts", "U": "texts", "V": "records or numbers that only another library knows", "M": "dates",
            "m": "times", "[": "records",
        ]
        throw .badData(
            "\(label) holds \(kinds[descr.first ?? " "] ?? "an unknown type") (dtype '\(descr)'): arrays of integers, "
                + "floating-point numbers or booleans are read.",
            remedy:
                "Save it as one array of numbers, such as numpy.save(\"FILE.npy\", "
                + "numpy.stack(list(array)).astype(\"float32\"))."
        )
    }

    /// What can stand in such a dictionary, read from left to right.
    private struct Words {
        struct Problem: Error { let what: String }

        private let bytes: [UInt8]
        private var place = 0
        /// The sign of the byte order.
        private(set) var order: Character = "|"

        init(_ bytes: [UInt8]) { self.bytes = bytes }

        mutating func dictionary() throws(Problem) -> (descr: String, isFortran: Bool, shape: [Int]) {
            var descr: String?, isFortran: Bool?, shape: [Int]?
            try expect("{")
            while !accept("}") {
                let key = try quoted()
                try expect(":")
                switch key {
                case "descr":
                    // A list, or a dictionary in later versions: fields of a record.
                    descr = peek == "[" || peek == "{" || peek == "(" ? "[" : try quoted()
                    if descr == "[" { return ("[", false, []) }
                case "fortran_order": isFortran = try flag()
                case "shape": shape = try tuple()
                default: throw Problem(what: "it has the key '\(key.prefix(40))'")
                }
                if !accept(",") {
                    try expect("}")
                    break
                }
            }
            guard peek == nil else { throw Problem(what: "something follows the dictionary") }
            guard let descr, let isFortran,
                let shape
            else { throw Problem(what: "one of its keys descr, fortran_order and shape is missing") }
            if let first = descr.first { order = first }
            return (descr, isFortran, shape)
        }

        /// The next character that is no space.
        private var peek: Character? {
            mutating get {
                while place < bytes.count, [0x20, 0x0A, 0x09, 0x0D].contains(bytes[place]) { place += 1 }
                return place < bytes.count ? Character(UnicodeScalar(bytes[place])) : nil
            }
        }

        private mutating func accept(_ sign: Character) -> Bool {
            guard peek == sign else { return false }
            place += 1
            return true
        }

        private mutating func expect(_ sign: Character) throws(Problem) {
            guard accept(sign) else { throw Problem(what: "'\(sign)' is missing at byte \(place)") }
        }

        private mutating func quoted() throws(Problem) -> String {
            guard let quote = peek,
                quote == "'" || quote == "\""
            else { throw Problem(what: "a text is missing at byte \(place)") }
            place += 1
            let start = place
            while place < bytes.count, bytes[place] != quote.asciiValue { place += 1 }
            guard place < bytes.count else { throw Problem(what: "a text has no end") }
            place += 1
            return String(decoding: bytes[start ..< place - 1], as: UTF8.self)
        }

        private mutating func flag() throws(Problem) -> Bool {
            for (word, value) in [("True", true), ("False", false)] where peek == word.first {
                guard bytes[place...].starts(with: word.utf8) else { break }
                place += word.utf8.count
                return value
            }
            throw Problem(what: "fortran_order is neither True nor False")
        }

        private mutating func tuple() throws(Problem) -> [Int] {
            var numbers: [Int] = []
            try expect("(")
            while !accept(")") {
                _ = peek
                let start = place
                while place < bytes.count, (0x30 ... 0x39).contains(bytes[place]) { place += 1 }
                guard let number = Int(String(decoding: bytes[start ..< place], as: UTF8.self)),
                    numbers.count < 32
                else {
                    throw Problem(what: "its shape is not a tuple of whole numbers")
                }
                numbers.append(number)
                // Python 2 wrote its long integers so.
                _ = accept("L")
                if !accept(",") {
                    try expect(")")
                    break
                }
            }
            return numbers
        }
    }
}
