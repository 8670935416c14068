import Foundation
import Storage

/// A page of HTML that needs nothing but itself: its style, its charts and its pictures are within it.
struct Page {
    let title: String
    private var body: [Markup] = []

    init(title: String) { self.title = title }

    mutating func add(_ element: Markup) { body.append(element) }

    mutating func heading(_ text: String) { add(Markup("h2", text: text)) }

    mutating func table(_ header: [String], _ rows: [[String]]) {
        func row(_ cells: [String], of kind: String) -> Markup {
            Markup("tr", [:], cells.map { Markup(kind, text: $0) })
        }
        let head = Markup("thead", [:], [row(header, of: "th")])
        let body = Markup("tbody", [:], rows.map { row($0, of: "td") })
        add(Markup("div", ["class": "wide"], [Markup("table", [:], [head, body])]))
    }

    /// Charts side by side.
    mutating func charts(_ charts: [Markup]) { add(Markup("div", ["class": "charts"], charts)) }

    /// Pictures side by side, each a PNG or GIF file within the page; one that cannot be read is left out.
    mutating func pictures(_ pictures: [(path: String, caption: String)]) {
        add(
            pictures: pictures.compactMap { picture in
                Self.source(picture.path).map { (Markup("img", ["src": $0, "alt": picture.caption]), picture.caption) }
            })
    }

    /// A picture that is no file: the bytes of a PNG.
    mutating func picture(_ png: [UInt8], caption: String) {
        add(pictures: [(Markup("img", ["src": Self.source(Data(png), type: "png"), "alt": caption]), caption)])
    }

    /// An animation, and the picture that stands in its place for readers who asked for no motion.
    mutating func animation(_ path: String, still: String, caption: String) {
        guard let moving = Self.source(path), let still = Self.source(still) else { return }
        let source = Markup("source", ["media": "(prefers-reduced-motion: reduce)", "srcset": still])
        add(pictures: [(Markup("picture", [:], [source, Markup("img", ["src": moving, "alt": caption])]), caption)])
    }

    private mutating func add(pictures: [(picture: Markup, caption: String)]) {
        let figures = pictures.map {
            Markup("figure", ["class": "picture"], [$0.picture, Markup("figcaption", text: $0.caption)])
        }
        add(Markup("div", ["class": "pictures"], figures))
    }

    private static func source(_ path: String) -> String? {
        FileManager.default.contents(atPath: path).map { source($0, type: path.hasSuffix(".gif") ? "gif" : "png") }
    }

    private static func source(_ data: Data, type: String) -> String {
        "data:image/\(type);base64,\(data.base64EncodedString())"
    }

    var html: String {
        """
        <!doctype html>
        <html lang="en">
        <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <meta name="color-scheme" content="light dark">
        \(Markup("title", text: title))
        <style>\(Self.style)</style>
        </head>
        <body>
        \(Markup("h1", text: title))
        \(body.map(\.description).joined(separator: "\n"))
        </body>
        </html>

        """
    }

    private static let style = "\n" + String(decoding: PackageResources.page_css, as: UTF8.self)
}
