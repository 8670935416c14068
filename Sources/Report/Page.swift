import Foundation

/// A page of HTML that needs nothing but itself: its style, its charts and its pictures are within it.
struct Page {
    let title: String
    private var body: [String] = []

    init(title: String) { self.title = title }

    mutating func add(_ html: String) { body.append(html) }

    mutating func heading(_ text: String) { body.append("<h2>\(escaped(text))</h2>") }

    mutating func table(_ header: [String], _ rows: [[String]]) {
        let head = header.map { "<th>\(escaped($0))</th>" }.joined()
        let lines = rows.map { "<tr>" + $0.map { "<td>\(escaped($0))</td>" }.joined() + "</tr>" }.joined()
        body.append("<div class=\"wide\"><table><thead><tr>\(head)</tr></thead><tbody>\(lines)</tbody></table></div>")
    }

    /// Pictures side by side, each a PNG or GIF file within the page; one that cannot be read is left out.
    mutating func pictures(_ pictures: [(path: String, caption: String)]) {
        let figures = pictures.compactMap { picture in
            Self.source(picture.path).map {
                "<figure class=\"picture\"><img src=\"\($0)\" alt=\"\(escaped(picture.caption))\">"
                    + "<figcaption>\(escaped(picture.caption))</figcaption></figure>"
            }
        }
        body.append("<div class=\"pictures\">\(figures.joined())</div>")
    }

    /// An animation, and the picture that stands in its place for readers who asked for no motion.
    mutating func animation(_ path: String, still: String, caption: String) {
        guard let moving = Self.source(path), let still = Self.source(still) else { return }
        body.append(
            "<div class=\"pictures\"><figure class=\"picture\"><picture><source media=\"(prefers-reduced-motion: "
                + "reduce)\" srcset=\"\(still)\"><img src=\"\(moving)\" "
                + "alt=\"\(escaped(caption))\"></picture><figcaption>\(escaped(caption))</figcaption></figure></div>"
        )
    }

    static func source(_ path: String) -> String? {
        FileManager.default.contents(atPath: path).map { source($0, type: path.hasSuffix(".gif") ? "gif" : "png") }
    }

    static func source(_ data: Data, type: String) -> String {
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
        <title>\(escaped(title))</title>
        <style>\(Self.style)</style>
        </head>
        <body>
        <h1>\(escaped(title))</h1>
        \(body.joined(separator: "\n"))
        </body>
        </html>

        """
    }

    private static let style = "\n" + String(decoding: PackageResources.page_css, as: UTF8.self)
}
