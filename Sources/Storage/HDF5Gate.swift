import CCrash
import CHDF5
import Glibc
import Support
import Synchronization

/// The gate to HDF5: every call that can fail goes through `h5`, which turns a negative result into an error that says
/// what was being done and what the library's error stack says.
///
/// Calls are serialised by one recursive lock, so that the prefetch thread and the main thread may both use a library
/// that was built without thread safety. A thread-safe build holds a lock of its own for as long.
func h5<Result: SignedInteger>(
    _ kind: ExitCode, _ doing: @autoclosure () -> String, _ call: () -> Result
) throws(Failure) -> Result {
    let (result, reason) = HDF5Library.withLock {
        let result = call()
        return (result, result < 0 ? HDF5Library.errorStack() : "")
    }
    guard result >= 0 else {
        let remedy =
            kind == .badData
            ? "Check the file with h5dump or h5ls, and make or copy it again."
            : errorNumber(in: reason).map { SystemError.remedy($0, "", writing: true) }
                ?? "Check that the folder can be written and that there is room on the disk."
        throw Failure(kind, "\(doing()): HDF5 failed with code \(result): \(reason)", remedy: remedy)
    }
    return result
}

/// The C library's error number in a text such as "file write failed: …, errno = 28, error message = …".
private func errorNumber(in reason: String) -> Int32? {
    reason.firstRange(of: "errno = ").flatMap { Int32(reason[$0.upperBound...].prefix { $0.isNumber }) }
}

/// The library as a whole: its lock, its settings, its crashes, its error stack.
enum HDF5Library {
    private static let lock: Lock = {
        let lock = Lock(isRecursive: true)
        // At the end of the process the library would flush again what could not be written to a full disk, and crash
        // (1.10.8). What matters was closed before.
        _ = H5dont_atexit()
        H5open()
        // Files are read that others made: no code is loaded for them, and no other file is opened because they name
        // one. (h5py #2891: external links are the way to read any file of the machine.) The results do not matter:
        // an unknown filter or link class is refused either way.
        _ = H5PLset_loading_state(0)
        _ = H5Lunregister(H5L_TYPE_EXTERNAL)
        return lock
    }()

    static func withLock<Result>(_ body: () -> Result) -> Result {
        lock.withLock {
            crash_enter()
            defer { crash_leave() }
            // Printing is a setting of the thread, not of the library.
            _ = H5Eset_auto2(hid_t(H5E_DEFAULT), nil, nil)
            return body()
        }
    }

    /// What to say where the library crashes on a file, given its path; nil where crashes are nobody's business here.
    private static let crashText = Mutex<(@Sendable (String) -> String)?>(nil)

    /// From now on a crash of the library prints `text` of the file at hand and ends the process with `code`.
    static func endCrashes(code: Int32, text: @escaping @Sendable (_ path: String) -> String) {
        crashText.withLock { $0 = text }
        crash_catch(code)
    }

    /// The file to name where the library crashes from now on: no error can be thrown then.
    static func willRead(_ path: String) {
        guard let text = crashText.withLock({ $0 }) else { return }
        withLock { crash_says(text(path)) }
    }

    /// The texts of this thread's error stack from the cause outwards, without repetition.
    fileprivate static func errorStack() -> String {
        final class Texts { var all: [String] = [] }
        let texts = Texts()
        _ = withExtendedLifetime(texts) {
            H5Ewalk2(
                hid_t(H5E_DEFAULT), H5E_WALK_UPWARD,
                { _, entry, data in
                    guard let entry, let data, let text = entry.pointee.desc else { return 0 }
                    Unmanaged<Texts>.fromOpaque(data).takeUnretainedValue().all.append(String(cString: text))
                    return 0
                }, Unmanaged.passUnretained(texts).toOpaque())
        }
        var seen: Set<String> = []
        let distinct = texts.all.map { $0.split(whereSeparator: \.isNewline).joined(separator: " ") }.filter {
            seen.insert($0).inserted
        }
        return distinct.isEmpty ? "no reason given" : distinct.prefix(4).joined(separator: ", ")
    }
}

/// Owns an HDF5 identifier and closes it.
final class Handle: @unchecked Sendable {
    let id: hid_t
    private let close: @Sendable (hid_t) -> herr_t
    private var isOpen = true

    init(_ id: hid_t, _ close: @escaping @Sendable (hid_t) -> herr_t) {
        self.id = id
        self.close = close
    }

    /// Closes now and reports failure: for files that were written.
    func closeChecked(_ doing: String) throws(Failure) {
        isOpen = false
        _ = try h5(.inputOutput, doing) { close(id) }
    }

    // A failure to close what was only read says nothing that matters.
    deinit { if isOpen { _ = HDF5Library.withLock { close(id) } } }
}
