import Nets
import Support

extension ConfigurationKeys {
    /// The page as Markdown.
    public static func page() throws(Failure) -> String {
        let groups = try groups()
        let layers = groups.filter { $0.path.hasPrefix(layerPrefix) }
        var text = """
            # Configuration keys

            `gan-dist keys` prints this page, which is made by the code that reads the keys.

            A configuration is a YAML file for `gan-dist train --config`; `gan-dist presets` prints whole ones. A key
            `batch` of the group `training` is `training.batch` elsewhere: `--set training.batch=32`. What is not given
            has its default; null is the same as nothing. `gan-dist train --dry-run` prints every key with its value.

            ## The file

            Beside these keys it has the groups below.


            """
        let keys = groups.filter { !$0.path.hasPrefix(layerPrefix) }
        let order = keys.map { String($0.path.prefix { $0 != "." }) }
        let sorted = keys.enumerated().sorted {
            (order.firstIndex(of: order[$0.offset])!, $0.element.path.filter { $0 == "." }.count, $0.offset)
                < (order.firstIndex(of: order[$1.offset])!, $1.element.path.filter { $0 == "." }.count, $1.offset)
        }
        text += tables(sorted.map(\.element), level: "##")
        text += """
            ## Layers

            `generator` and `discriminator` are lists of layers: `- relu`, or `- dense: {units: 100}`; the layers of a
            list are counted from 0: `--set generator.0.dense.units=200`. A `residual` has lists of its own, at any
            depth: `--set generator.3.residual.body.0.dense.units=200`.
            An initialiser is `he`: N(0, 2 / inputs), `{he: gain}`: N(0, gain² / inputs), `glorot`:
            U(±√(6 / (inputs + outputs))), `zero`, `{normal: σ}`: N(0, σ²), `{uniform: r}`: U(−r, r), `{constant: c}` or
            `{orthogonal: gain}`.

            | layer | what it does |
            | --- | --- |

            """
        for kind in LayerKind.all { text += row(["`\(kind.name)`", kind.summary]) }
        text += "\n" + tables(layers, level: "###")
        return text
    }

    static let layerPrefix = "layer."

    /// A table a group; groups with the same rows have one table.
    private static func tables(_ groups: [Group], level: String) -> String {
        var tables: [(paths: [String], body: String)] = []
        for group in groups {
            let body = group.rows.map(row).joined()
            let path = group.path.hasPrefix(layerPrefix) ? String(group.path.dropFirst(layerPrefix.count)) : group.path
            if let index = tables.firstIndex(where: { $0.body == body }) {
                tables[index].paths.append(path)
            } else {
                tables.append(([path], body))
            }
        }
        return tables.map { paths, body in
            let title = paths == [""] ? "" : "\(level) " + paths.map { "`\($0)`" }.joined(separator: ", ") + "\n\n"
            return title + "| key | value | default | meaning |\n| --- | --- | --- | --- |\n" + body + "\n"
        }.joined()
    }

    private static func row(_ row: Row) -> String {
        let key = row.note.path.split(separator: ".").last ?? ""
        return self.row([
            "`\(key)`", row.note.type, row.defaults.isEmpty ? "required" : row.defaults.joined(separator: " or "),
            row.note.meaning + (row.condition.map { " (only with \($0))" } ?? ""),
        ])
    }

    private static func row(_ cells: [String]) -> String { "| " + cells.joined(separator: " | ") + " |\n" }
}
