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
            Self.source(picture.path).map { "<figure class=\"picture\"><img src=\"\($0)\" alt=\"\(escaped(picture.caption))\"><figcaption>\(escaped(picture.caption))</figcaption></figure>" }
        }
        body.append("<div class=\"pictures\">\(figures.joined())</div>")
    }

    /// An animation, and the picture that stands in its place for readers who asked for no motion.
    mutating func animation(_ path: String, still: String, caption: String) {
        guard let moving = Self.source(path), let still = Self.source(still) else { return }
        body.append("<div class=\"pictures\"><figure class=\"picture\"><picture><source media=\"(prefers-reduced-motion: reduce)\" srcset=\"\(still)\">"
            + "<img src=\"\(moving)\" alt=\"\(escaped(caption))\"></picture><figcaption>\(escaped(caption))</figcaption></figure></div>")
    }

    static func source(_ path: String) -> String? {
        FileManager.default.contents(atPath: path).map { source($0, type: path.hasSuffix(".gif") ? "gif" : "png") }
    }

    static func source(_ data: Data, type: String) -> String { "data:image/\(type);base64,\(data.base64EncodedString())" }

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

    /// The colours of the curves are those of Okabe and Ito, which the colour-blind tell apart; brighter on dark.
    private static let style = """

        :root { --paper: #fdfdfc; --ink: #1d2127; --soft: #5d6470; --grid: #e4e6ea; --panel: #f4f5f7;
                --c0: #0072b2; --c1: #d55e00; --c2: #009e73; --c3: #b3508f; --c4: #b98300; --c5: #3b8fc4; --c6: #555b66; --c7: #7a4fb5 }
        @media (prefers-color-scheme: dark) {
            :root { --paper: #15181d; --ink: #e6e8ec; --soft: #a0a7b3; --grid: #2c323b; --panel: #1d2128;
                    --c0: #56b4e9; --c1: #ff9446; --c2: #3fd0a4; --c3: #e79ac6; --c4: #f0c14f; --c5: #9ad3f5; --c6: #b9bfc9; --c7: #b79cf0 }
        }
        body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 1340px; margin: 0 auto; padding: 1.5rem }
        h1 { font-size: 1.6rem; margin: 0 0 .3rem } h2 { font-size: 1.15rem; margin: 2rem 0 .6rem }
        p.lead { color: var(--soft); margin: 0 0 1rem }
        .charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 430px), 1fr)); gap: 1rem }
        figure { margin: 0 } .charts figure { background: var(--panel); border-radius: 8px; padding: .7rem .8rem }
        figcaption small { display: block; color: var(--soft); font-size: .8rem }
        svg { width: 100%; height: auto; display: block } svg text { font: 12px system-ui, sans-serif; fill: var(--soft) }
        .grid { stroke: var(--grid) } .axis { stroke: var(--soft) } text.reference { paint-order: stroke; stroke: var(--panel); stroke-width: 4px } line.reference { stroke: var(--soft); stroke-dasharray: 5 4 }
        .line { fill: none; stroke-width: 1.8; stroke-linejoin: round } .band { opacity: .18; stroke: none }
        .key { font-size: .85rem; margin-left: .5rem; white-space: nowrap }
        .key::before { content: ""; display: inline-block; width: 1.1em; height: 3px; margin-right: .35em; vertical-align: middle; background: currentColor }
        .pictures { display: flex; flex-wrap: wrap; gap: 1rem } .picture { flex: 0 1 410px }
        .picture img { width: 100%; image-rendering: pixelated; border-radius: 4px; display: block } .picture figcaption { color: var(--soft); font-size: .85rem }
        .wide { overflow-x: auto } table { border-collapse: collapse; font-size: .92rem } th, td { text-align: left; padding: .25rem .9rem .25rem 0; border-bottom: 1px solid var(--grid); vertical-align: top }
        th { color: var(--soft); font-weight: 600 } td { font-variant-numeric: tabular-nums } td:not(:last-child) { white-space: nowrap }
        pre { background: var(--panel); border-radius: 8px; padding: .8rem; overflow-x: auto; font-size: .85rem } summary { cursor: pointer; color: var(--soft) }
        """ + (0 ..< 8).map { "\npath.line.s\($0) { stroke: var(--c\($0)) } path.band.s\($0) { fill: var(--c\($0)) } .key.s\($0) { color: var(--c\($0)) }" }.joined() + "\n"
}
