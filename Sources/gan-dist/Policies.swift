import Glibc
import Kernels
import Storage
import Support

/// What the rooms below leave to the program: how it ends where memory is short or a library crashes, what it does
/// with signals, and what it says then.
enum Policies {
    /// Call it first, before anything is opened.
    static func install() {
        FloatBuffer.whenOutOfMemory = { bytes in
            StandardError.report(
                Failure(
                    .internalError, "out of memory: there is no room for \(bytes) bytes more",
                    remedy: """
                        Allow the job more memory (ulimit -v, or the batch system's limit), or make the batch or the \
                        networks smaller.
                        """))
            _exit(ExitCode.internalError.rawValue)
        }
        DatasetInspection.answerIfAsked()
        DatasetInspection.enable(
            crashCode: ExitCode.badData.rawValue,
            crashText: {
                "gan-dist: error: \($0) is damaged: HDF5 crashed while it was read.\n"
                    + "gan-dist: Copy or make the file again.\n"
            }, warn: StandardError.warn)
        // A file that meets a limit of size (ulimit -f) is an error of its writer's, not a signal.
        signal(SIGXFSZ, SIG_IGN)
    }
}
