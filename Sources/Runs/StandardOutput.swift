import CStart
import Glibc
import Support

/// What commands print with `print`: complete only when the last byte has left the C library's buffer.
public enum StandardOutput {
    /// Sends on what is still held; returns what went wrong with any of it. A reader that has seen enough (`| head
    /// -1`) is no failure: the process ends quietly by SIGPIPE, as others do.
    public static func failure() -> Failure? {
        let code = start_flush_output()
        guard code != 0 else { return nil }
        if code == EPIPE {
            signal(SIGPIPE, SIG_DFL)
            raise(SIGPIPE)
        }
        return Failure(
            .inputOutput, "standard output cannot be written: \(String(cString: strerror(code)))",
            remedy: "Make room where it goes to, or send it elsewhere; then run again.")
    }
}
