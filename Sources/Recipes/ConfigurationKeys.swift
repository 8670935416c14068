import Support
import Yams

/// The page of all keys of a configuration, made by reading configurations: what is asked for stands on it.
///
/// The least configuration is read first. Then each value that may bring keys of its own (a layer, an optimiser's
/// kind, a rate's schedule) is set once, where it was first met, and what is read then is added.
public enum ConfigurationKeys {
    /// The keys of a group, and for which values of which others they are read.
    struct Group {
        let path: String
        var rows: [Row] = []
    }

    struct Row {
        var note: KeyNotes.Note
        /// What it may be where it is not given, in several groups or with several neighbours.
        var defaults: [String] = []
        /// `kind: sgd`: nil where it is read always.
        var condition: String?
    }

    /// One value of one key, and the keys that were read with it.
    private struct Reading {
        let key: String
        let value: String
        let notes: [KeyNotes.Note]
        /// Whether the configuration was accepted: else what is read after the value that was not is unknown.
        let isWhole: Bool
    }

    static func groups() throws(Failure) -> [Group] {
        var rows: [(path: String, row: Row)] = []
        var readings: [Reading] = []
        var explored: Set<String> = []
        var waiting: [(tree: ConfigurationTree, key: String, value: String)] = [
            (try ConfigurationTree(yaml: "{}", source: "the least configuration"), "", "")
        ]
        while !waiting.isEmpty {
            let (start, key, value) = waiting.removeFirst()
            let (tree, notes, isWhole) = try read(start)
            readings.append(Reading(key: canonical(key), value: value, notes: notes, isWhole: isWhole))
            for note in notes {
                let path = canonical(note.path), standard = standard(of: note, among: notes)
                if let index = rows.firstIndex(where: { $0.path == path }) {
                    if let standard, !rows[index].row.defaults.contains(standard) {
                        rows[index].row.defaults.append(standard)
                    }
                } else {
                    rows.append((path, Row(note: note, defaults: standard.map { [$0] } ?? [])))
                }
                guard explored.insert(path).inserted else { continue }
                for alternative in note.alternatives {
                    var changed = tree
                    try changed.set(note.path, toYAML: alternative)
                    waiting.append((changed, note.path, alternative))
                }
            }
        }
        var groups: [Group] = []
        for (path, row) in rows {
            var row = row
            row.condition = condition(of: path, readings)
            let group = parent(path)
            if let index = groups.firstIndex(where: { $0.path == group }) {
                groups[index].rows.append(row)
            } else {
                groups.append(Group(path: group, rows: [row]))
            }
        }
        return groups
    }

    /// What is read of a configuration; a key that has to be given is given its example.
    private static func read(
        _ start: ConfigurationTree
    ) throws(Failure) -> (ConfigurationTree, [KeyNotes.Note], isWhole: Bool) {
        var tree = start
        while true {
            let keys = KeyNotes()
            tree.origins.keys = keys
            do {
                _ = try ModelConfiguration(tree: tree)
                return (tree, keys.notes, true)
            } catch {
                guard let last = keys.notes.last, last.standard == nil, tree.node(at: last.path) == nil,
                    let example = last.example
                else { return (tree, keys.notes, false) }
                try tree.set(last.path, toYAML: example)
            }
        }
    }

    /// What a key is where it is not given; "as `size`" where that is what another key of the group had to be given.
    private static func standard(of note: KeyNotes.Note, among notes: [KeyNotes.Note]) -> String? {
        guard let standard = note.standard.map(KeyNotes.text) else { return nil }
        let same = notes.first {
            parent($0.path) == parent(note.path) && $0.standard == nil && $0.example == standard
        }
        return same.map { "as `\(name($0.path))`" } ?? "`\(standard)`"
    }

    /// The values of a neighbouring key with which alone a key is read.
    private static func condition(of path: String, _ readings: [Reading]) -> String? {
        for key in Set(readings.map(\.key)).sorted() where key != path && parent(key) == parent(path) && !key.isEmpty {
            let ofKey = readings.filter { $0.key == key }
            let with = ofKey.filter { $0.notes.contains { canonical($0.path) == path } }
            if !with.isEmpty, with.count < ofKey.count, ofKey.allSatisfy(\.isWhole) {
                return with.map { "`\(name(key)): \($0.value)`" }.joined(separator: ", ")
            }
        }
        return nil
    }

    /// A layer's settings are those of the layer, wherever it stands.
    private static func canonical(_ path: String) -> String {
        for list in ["generator.0.", "discriminator.0.", "encoder.0.", "decoder.0."] where path.hasPrefix(list) {
            return "layer." + path.dropFirst(list.count)
        }
        return path
    }

    private static func parent(_ path: String) -> String {
        path.split(separator: ".").dropLast().joined(separator: ".")
    }

    private static func name(_ path: String) -> String { String(path.split(separator: ".").last ?? "") }
}
