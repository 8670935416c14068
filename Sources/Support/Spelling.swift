/// Finding the word that somebody meant.
public enum Spelling {
    /// `Did you mean 'x'? ` where a word of `words` is near to `word`, else nothing.
    public static func suggestion(for word: String, among words: [String]) -> String {
        nearest(to: word, among: words).map { "Did you mean '\($0)'? " } ?? ""
    }

    /// The word of `words` that takes the fewest edits (Levenshtein 1966) to become `word`, if it takes few enough.
    public static func nearest(to word: String, among words: [String]) -> String? {
        let best = words.map { ($0, distance(fold(word), fold($0))) }.min { $0.1 < $1.1 }
        guard let best, best.1 <= max(2, word.count / 3) else { return nil }
        return best.0
    }

    private static func fold(_ word: String) -> [Character] {
        Array(word.lowercased().filter { $0 != "_" && $0 != "-" })
    }

    private static func distance(_ first: [Character], _ second: [Character]) -> Int {
        var row = Array(0 ... second.count)
        for (i, a) in first.enumerated() {
            var diagonal = row[0]
            row[0] = i + 1
            for (j, b) in second.enumerated() {
                let replaced = diagonal + (a == b ? 0 : 1)
                diagonal = row[j + 1]
                row[j + 1] = min(replaced, row[j] + 1, diagonal + 1)
            }
        }
        return row[second.count]
    }
}
