/// Which files and folders an import met, and what became of them.
public struct ImportAccount: Sendable {
    /// Why something was left out, in the order in which it is told.
    public enum Reason: String, Sendable, CaseIterable {
        case broken = "broken or of a format that is not read"
        case unreadable = "not readable by this user"
        case unreadableFolder = "not readable by this user, not entered"
        case otherFormat = "of other formats"
        case hidden = "hidden or a system's"
        case deadLink = "leading nowhere"
        case special = "not regular (pipes, sockets, devices)"
        case hiddenFolder = "hidden or a system's, not entered"
        case emptyFolder = "without a picture"
        case circle = "leading back to a folder above"

        fileprivate var noun: String {
            switch self {
            case .hiddenFolder, .emptyFolder, .unreadableFolder: "folder"
            case .deadLink, .circle: "link"
            default: "file"
            }
        }
    }

    /// How many there are, the first names, and how many of each kind.
    struct Names: Sendable {
        private(set) var count = 0
        private var first: [String] = []
        private var kinds: [String: Int] = [:]

        mutating func add(_ name: String, kind: String? = nil) {
            count += 1
            if first.count < 3 { first.append(name) }
            if let kind { kinds[kind, default: 0] += 1 }
        }

        var text: String { first.joined(separator: ", ") + (count > first.count ? ", …" : "") }

        /// The commonest kinds with their numbers.
        var kindsText: String {
            if kinds.isEmpty { return "" }
            let sorted = kinds.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
            let shown = sorted.prefix(6).map { "\($0.key): \($0.value)" }.joined(separator: ", ")
            return " (\(shown)\(sorted.count > 6 ? ", …" : ""))"
        }
    }

    /// Every file that was met; what is in the folders that were left out is not counted.
    public internal(set) var files = 0
    public internal(set) var imported = 0
    /// The folders within classes.
    var nested = Names()
    private var leftOut: [Reason: Names] = [:]

    mutating func leaveOut(_ reason: Reason, _ name: String, kind: String? = nil) {
        leftOut[reason, default: Names()].add(name, kind: kind)
    }

    /// A line for each reason, then how many of the files were imported.
    public var lines: [String] {
        var lines = reasons.map { "left out: " + $0 }
        if nested.count > 0 {
            lines.append("with the class that they are in: \(counted(nested.count, "folder")) below it: \(nested.text)")
        }
        return lines + ["\(imported) of \(counted(files, "file")) imported"]
    }

    var reasons: [String] {
        Reason.allCases.compactMap { reason in
            leftOut[reason].map { "\(counted($0.count, reason.noun)) \(reason.rawValue)\($0.kindsText): \($0.text)" }
        }
    }

    private func counted(_ count: Int, _ noun: String) -> String { "\(count) \(noun)\(count == 1 ? "" : "s")" }
}
