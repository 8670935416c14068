import Support

/// The stored values that mean black and white, how that is known, and what there is to say about it.
public struct ValueRange: Sendable {
    public enum Source: Sendable {
        /// `data.range`, or an import's `--range`.
        case given
        case attribute
        case type
        /// The values themselves: all within [0, 1] or [−1, 1].
        case values
    }

    public let bounds: ClosedRange<Double>
    public let source: Source
    /// Whether values beyond the bounds are set to the nearer one.
    public let clips: Bool
    /// What the user should know, as a sentence without its stop.
    public let warning: String?

    init(_ bounds: ClosedRange<Double>, _ source: Source, clips: Bool = false, warning: String? = nil) {
        (self.bounds, self.source, self.clips, self.warning) = (bounds, source, clips, warning)
    }

    /// Whether two numbers are the ends of a range that values can be scaled from, in float32.
    public static func isUsable(_ low: Double, _ high: Double) -> Bool {
        (1e-30 ... 1e300).contains(high - low) && low.isFinite
    }

    /// Whether values lie in a range, but for a hundredth of it.
    static func holds(_ range: ClosedRange<Double>, _ low: Double, _ high: Double) -> Bool {
        let slack = 0.01 * (range.upperBound - range.lowerBound)
        return low >= range.lowerBound - slack && high <= range.upperBound + slack
    }

    /// `[0, 255]`.
    public static func text(_ range: ClosedRange<Double>) -> String {
        "[\(plain(range.lowerBound)), \(plain(range.upperBound))]"
    }

    /// A number as a person writes it: 255, not 255.0.
    public static func plain(_ value: Double) -> String {
        value == value.rounded() && abs(value) < 1e15 ? "\(Int(value))" : "\(value)"
    }
}

/// How the user of the command at hand says which dataset of a file is meant, and which of its values are black and
/// white.
public enum DatasetOptions: String, Sendable {
    /// `train`: keys of the configuration.
    case configuration
    /// `train`: the vectors beside the examples.
    case conditions
    /// `data import`: options.
    case importing
    /// Other commands: an option for the dataset, the file's attribute for the range.
    case tool
    /// `evaluate --features`: vectors, which it looks for by other names.
    case features

    var dataset: String {
        switch self {
        case .configuration: "--set data.dataset=PATH"
        case .conditions: "--set condition.dataset=PATH"
        case .importing, .tool, .features: "--dataset PATH"
        }
    }

    /// How to give one of `ranges` for the dataset `path` with the values of `scan`. An attribute must hold all of
    /// them; what else is given clips a few.
    func range(_ ranges: [ClosedRange<Double>], of path: String, with scan: ValueScan) -> String {
        let ranges = ranges.indices.filter { !ranges[..<$0].contains(ranges[$0]) }.map { ranges[$0] }
        let storable = ranges.filter { ValueRange.holds($0, scan.minimum, scan.maximum) }.map(ValueRange.text)
        let attribute = "in h5py with f[\"\(path)\"].attrs[\"range\"] = "
        func pairs(_ form: (String, String) -> String) -> String {
            ranges.map { form(ValueRange.plain($0.lowerBound), ValueRange.plain($0.upperBound)) }.joined(
                separator: " or ")
        }
        switch self {
        case .configuration, .conditions:
            return "Say it with " + pairs { "--set 'data.range=[\($0), \($1)]'" }
                + (storable.first.map { "; or store it, \(attribute)\($0)." } ?? ".")
        case .importing: return "Say it with " + pairs { "--range=\($0),\($1)" } + "."
        case .tool where storable.isEmpty, .features where storable.isEmpty:
            return "Say it to gan-dist train with " + pairs { "--set 'data.range=[\($0), \($1)]'" } + "."
        case .tool, .features:
            let others =
                storable.count == ranges.count ? "" : " (" + pairs { "[\($0), \($1)]" } + "), which clips values beyond"
            return "Store it, \(attribute)" + storable.joined(separator: " or ")
                + "; gan-dist train also takes it as data.range\(others)."
        }
    }
}

/// What decides the range of an array: its type and attribute, and what the user gave.
struct RangeRules {
    let label: String
    /// The dataset's path in its file.
    let path: String
    let type: StoredType
    let attribute: ClosedRange<Double>?
    let given: ClosedRange<Double>?
    let options: DatasetOptions

    /// Beyond a guessed range by rounding: of sums in float32, or of float16.
    private var rounding: Double { type == .float(bytes: 2) ? 0.001 : 1e-5 }

    /// The range of values as `scan` found them; `part` tells where it has not seen all. Throws 65 where it cannot be
    /// said.
    func range(of scan: ValueScan, part: String = "") throws(Failure) -> ValueRange {
        if let given { return try clipped(given, scan) }
        if let attribute {
            // Of other numbers their file has said it on purpose, as of samples it does.
            return ValueRange(
                attribute, .attribute,
                warning: isBytes ? narrow(scan, attribute, "its attribute range", part) : nil)
        }
        switch type {
        case .integer(bytes: 1, signed: false):
            guard scan.maximum != 1 else {
                throw unknown(
                    "has no value above 1\(part), and is uint8, whose white is 255: D would see all but black",
                    [0 ... 1, 0 ... 255], scan)
            }
            return ValueRange(0 ... 255, .type, warning: narrow(scan, 0 ... 255, "its type, uint8", part))
        case .boolean: return ValueRange(0 ... 1, .type)
        case .integer(let bytes, let signed):
            throw unknown(
                "is \(type), with values from \(ValueRange.plain(scan.minimum)) to "
                    + "\(ValueRange.plain(scan.maximum))\(part), and nothing says which are black and white",
                Self.candidates(scan, bits: 8 * bytes, signed: signed), scan)
        case .float: return try guess(scan, part)
        case .text, .other: preconditionFailure("\(label) is of no type of number")
        }
    }

    /// What a run has read that began before there were rules for guesses: [0, 1] or [−1, 1] if all values are within.
    func earlierRange(of scan: ValueScan, part: String = "") throws(Failure) -> ValueRange {
        let bounds: ClosedRange<Double>
        switch type {
        case _ where given != nil || attribute != nil: return try range(of: scan, part: part)
        case .integer(bytes: 1, signed: false): bounds = 0 ... 255
        case .float where scan.minimum >= -1 && scan.maximum <= 1: bounds = scan.minimum >= 0 ? 0 ... 1 : -1 ... 1
        default: return try range(of: scan, part: part)
        }
        var reason = "\(label) is read otherwise by a new run"
        do {
            let new = try range(of: scan, part: part)
            if new.bounds == bounds, !new.clips { return new }
        } catch {
            reason = String(error.message.dropLast())
        }
        return ValueRange(
            bounds, isBytes ? .type : .values,
            warning: "\(reason); this run goes on as it began, with \(ValueRange.text(bounds))")
    }

    private var isBytes: Bool { type == .integer(bytes: 1, signed: false) }

    private func clipped(_ range: ClosedRange<Double>, _ scan: ValueScan) throws(Failure) -> ValueRange {
        let outside = scan.below + scan.above
        guard outside > 0 else { return ValueRange(range, .given) }
        let which =
            "\(outside) of \(scan.count) values of \(label), which go from \(scan.minimum) to \(scan.maximum), lie "
            + "outside the range \(ValueRange.text(range))"
        guard Double(outside) <= 0.05 * Double(scan.count) else {
            throw .badData(
                "\(which) that was given.",
                remedy: options.range(
                    [scan.minimum ... max(scan.maximum, scan.minimum.nextUp)], of: path,
                    with: scan))
        }
        return ValueRange(range, .given, clips: true, warning: "\(which) and are clipped to it")
    }

    private func guess(_ scan: ValueScan, _ part: String) throws(Failure) -> ValueRange {
        let low = scan.minimum, high = scan.maximum
        let values = "has values from \(low) to \(high)\(part) and no attribute range"
        let clips = low < 0 || high > 1
        if low >= -rounding, high <= 1 + rounding {
            guard high - low > 0.5 else {
                throw unknown("\(values); they leave most of [0, 1] empty", [0 ... 1, Self.extent(scan)], scan)
            }
            let count = scan.below + (high > 1 ? 1 : 0)
            return ValueRange(
                0 ... 1, .values, clips: clips,
                warning: !clips
                    ? nil
                    : """
                    the values of \(label) leave [0, 1] by no more than rounding does (\(low) … \
                    \(high)\(count > 1 ? "; \(scan.below) are below 0" : "")): they are clipped to it
                    """)
        }
        if low >= -1 - rounding, high <= 1 + rounding {
            let share = Double(scan.below) / Double(max(scan.count, 1))
            guard low < -0.5, high > 0.5, share >= 0.01 else {
                throw unknown(
                    "\(values); \(scan.below) of \(scan.count) are below 0, "
                        + "so neither [0, 1] nor [-1, 1] is a safe guess",
                    share < 0.01 ? [0 ... 1, -1 ... 1] : [-1 ... 1, Self.extent(scan)], scan)
            }
            return ValueRange(
                -1 ... 1, .values, clips: low < -1 || high > 1,
                warning: low >= -1 && high <= 1
                    ? nil
                    : """
                    the values of \(label) leave [-1, 1] by no more than rounding does (\(low) … \(high)): they are \
                    clipped to it
                    """)
        }
        // Interpolation goes a little beyond what it starts from.
        let near: [ClosedRange<Double>] = high > 1.25 || low < -1.25 ? [] : low >= -0.25 ? [0 ... 1] : [-1 ... 1]
        throw unknown(
            "\(values), so nothing says which are black and white",
            near + Self.candidates(scan, bits: 16, signed: false), scan)
    }

    private func unknown(_ what: String, _ ranges: [ClosedRange<Double>], _ scan: ValueScan) -> Failure {
        .badData("\(label) \(what).", remedy: options.range(ranges, of: path, with: scan))
    }

    /// A warning where the values leave half of a range unused or more.
    private func narrow(_ scan: ValueScan, _ range: ClosedRange<Double>, _ by: String, _ part: String) -> String? {
        guard scan.count > 0,
            scan.maximum - scan.minimum <= 0.5 * (range.upperBound - range.lowerBound)
        else { return nil }
        let (low, high) = (ValueRange.plain(scan.minimum), ValueRange.plain(scan.maximum))
        let narrower = min(range.lowerBound, scan.minimum) ... max(range.lowerBound, scan.maximum)
        let isOther = narrower != range && narrower.lowerBound < narrower.upperBound
        let remedy =
            isOther
            ? ". Where \(high) is white: " + options.range([narrower], of: path, with: scan).dropLast() : ""
        return
            "the values of \(label) go from \(low) only to a maximum of \(high)\(part), in the range "
            + "\(ValueRange.text(range)) by \(by)\(remedy)"
    }

    private static func extent(_ scan: ValueScan) -> ClosedRange<Double> {
        scan.minimum < scan.maximum ? scan.minimum ... scan.maximum : min(0, scan.minimum) ... max(1, scan.maximum)
    }

    /// Ranges that values may be of: the whole of a type, the fewest bits that hold the largest, or what there is.
    private static func candidates(_ scan: ValueScan, bits: Int, signed: Bool) -> [ClosedRange<Double>] {
        guard scan.minimum >= 0 else {
            guard signed, bits < 64 else { return [extent(scan)] }
            return [-Double(1 << (bits - 1)) ... Double(1 << (bits - 1)) - 1, extent(scan)]
        }
        var ranges: [ClosedRange<Double>] = []
        for power in [8, 10, 12, 14, 16]
        where ranges.isEmpty && scan.maximum <= Double(1 << power) - 1 && scan.maximum > 0.4 * Double(1 << power) {
            ranges.append(0 ... Double(1 << power) - 1)
        }
        if scan.maximum > 0 { ranges.append(0 ... scan.maximum) }
        if bits == 16, (256 ... 65_535).contains(scan.maximum), !signed,
            ranges.allSatisfy({ $0.upperBound != 65_535 })
        {
            ranges.append(0 ... 65_535)
        }
        return ranges.isEmpty ? [0 ... 1] : ranges
    }
}
