import Foundation

/// What a person sees of a run: on a terminal a bar that is drawn over and over, elsewhere plain lines. The rank that
/// is not the first prints nothing. Every plain line also goes to the run's `log.txt`.
public final class Console {
    private let speaks: Bool
    private let terminal: Terminal?
    private var log: FileHandle?
    private var barShown = false

    /// `speaks` false: another rank's console, which is silent; quiet: warnings and errors only.
    public init(speaks: Bool, quiet: Bool = false) {
        self.speaks = speaks
        self.quiet = quiet
        terminal = speaks ? Terminal.find() : nil
    }

    private let quiet: Bool

    public func copyLines(to path: String) {
        guard speaks else { return }
        if !FileManager.default.fileExists(atPath: path) {
            _ = FileManager.default.createFile(atPath: path, contents: nil)
        }
        log = FileHandle(forWritingAtPath: path)
        _ = try? log?.seekToEnd()
    }

    /// A line of what is going on.
    public func say(_ line: String) {
        guard speaks else { return }
        clearBar()
        if !quiet { write(line + "\n", to: .standardOutput) }
        record(line)
    }

    /// Something that the user should know but that does not end the run. Standard error, `gan-dist: warning: …`.
    public func warn(_ text: String) {
        guard speaks else { return }
        clearBar()
        write("gan-dist: warning: \(text)\n", to: .standardError)
        record("warning: \(text)")
    }

    /// Whether ``progress(_:of:_:)`` draws a bar, so that it may be called at each step.
    public var drawsBar: Bool { terminal != nil && !quiet }

    /// Draws the bar over itself: `done` of `total`, then `text` as far as the terminal's width allows.
    public func progress(_ done: Int, of total: Int, _ text: String) {
        guard let terminal, drawsBar else { return }
        // The bar takes what the figures leave of the line.
        let width = max(0, min(24, terminal.columns - 4 - "\(done)/\(total)".count - text.count))
        let filled = total == 0 ? width : min(width, done * width / total)
        let bar = String(repeating: "█", count: filled) + String(repeating: "░", count: width - filled)
        let line = "\(bar) \(done)/\(total) \(text)"
        write("\r\u{1B}[K" + String(line.prefix(terminal.columns - 1)), to: .standardOutput)
        barShown = true
    }

    public func clearBar() {
        guard barShown else { return }
        write("\r\u{1B}[K", to: .standardOutput)
        barShown = false
    }

    private func record(_ line: String) {
        // A log that cannot be written must not end a run whose checkpoints can: the same lines stand on the console.
        try? log?.write(contentsOf: Data("\(Date().formatted(.iso8601)) \(line)\n".utf8))
    }

    private func write(_ text: String, to handle: FileHandle) {
        // A closed pipe or a full disk behind the console must not end the run either; metrics and checkpoints are
        // files.
        try? handle.write(contentsOf: Data(text.utf8))
    }
}

/// The terminal behind this process's output, seen through mpirun.
///
/// mpirun gives its ranks a pseudo-terminal whatever its own output is, so that `isatty` says yes even into a file:
/// under mpirun it is mpirun's own standard output that counts.
struct Terminal {
    let columns: Int

    static func find() -> Terminal? {
        var path = "/proc/self/fd/1"
        if ProcessInfo.processInfo.environment["OMPI_COMM_WORLD_RANK"] != nil { path = "/proc/\(getppid())/fd/1" }
        guard let target = try? FileManager.default.destinationOfSymbolicLink(atPath: path),
            target.hasPrefix("/dev/pts/") || target.hasPrefix("/dev/tty") || target == "/dev/console"
        else { return nil }
        let descriptor = open(target, O_RDONLY | O_NOCTTY)
        guard descriptor >= 0 else { return Terminal(columns: 80) }
        defer { close(descriptor) }
        var size = winsize()
        guard ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 20 else { return Terminal(columns: 80) }
        return Terminal(columns: Int(size.ws_col))
    }
}
