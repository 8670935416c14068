import Glibc

/// What a program says when it warns or ends: `gan-dist: …`, by one system call each. Where standard error is full or
/// closed nothing more can be said; the exit code says it, too.
public enum StandardError {
    public static func warn(_ text: String) { write("gan-dist: warning: \(text)\n") }

    /// The message, with where it happened (`place`), and what to do.
    public static func report(_ failure: Failure, place: String = "") {
        let remedy = failure.remedy.isEmpty ? "" : "gan-dist: \(failure.remedy)\n"
        write("gan-dist: error: \(place)\(failure.message)\n" + remedy)
    }

    public static func write(_ text: String) {
        _ = text.withCString { Glibc.write(STDERR_FILENO, $0, strlen($0)) }
    }
}
