import Foundation

/// An element of SVG or HTML with all that it holds, or a text; what is given as text shows as it is.
public struct Markup: CustomStringConvertible, Sendable {
    /// As it is written to a file.
    public let description: String

    /// `<name key="value">content</name>`, or `<name key="value"/>` without content.
    public init(_ name: String, _ attributes: KeyValuePairs<String, String> = [:], _ content: [Markup]? = nil) {
        let start = "<" + name + attributes.map { " \($0)=\"\(Self.escaped($1))\"" }.joined()
        description = content.map { start + ">" + $0.map(\.description).joined() + "</\(name)>" } ?? start + "/>"
    }

    public init(_ name: String, _ attributes: KeyValuePairs<String, String> = [:], text: String) {
        self.init(name, attributes, [Markup(text: text)])
    }

    public init(text: String) { description = Self.escaped(text) }

    /// A place in a picture: to a tenth of its unit.
    public static func place(_ value: Double) -> String { String(format: "%.1f", value) }

    private static func escaped(_ text: String) -> String {
        text.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;")
            .replacing("\"", with: "&quot;")
    }
}
