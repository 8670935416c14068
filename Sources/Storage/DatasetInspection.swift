import CChild
import Foundation
import Support
import Synchronization

/// A first look at an HDF5 file, in a child process with limits of processor time and memory: on damaged files HDF5
/// crashes, reads for ever, or takes all memory there is.
///
/// The child runs this same program. It opens what will be opened and reads values up to a bound; where it does not
/// come to an end of that, this is what is wrong with the file. A child is begun by
/// posix_spawn, which copies none of this process's memory (Open MPI warns of fork).
public enum DatasetInspection {
    private static let state = Mutex<State>(State())

    private struct State {
        /// Nil in the child itself, and in programs that know nothing of it: then no file is looked at.
        var warn: (@Sendable (String) -> Void)?
        var good: Set<[String]> = []
    }

    private static let command = "inspect-dataset"

    /// What a child found: nothing, or why the file is refused.
    private struct Answer: Codable { var refusal: Failure? }

    /// Files are looked at from now on; for a program that calls ``answerIfAsked()`` first. `warn` is told where that
    /// cannot be done. Where HDF5 crashes all the same, `crashText` of the file's path is printed and the process ends
    /// with `crashCode`: nothing can be thrown then.
    public static func enable(
        crashCode: Int32, crashText: @escaping @Sendable (_ path: String) -> String,
        warn: @escaping @Sendable (String) -> Void
    ) {
        HDF5Library.endCrashes(code: crashCode, text: crashText)
        state.withLock { $0.warn = warn }
    }

    /// Has a child look at the file, once a process: at one dataset (nil finds it as ``Dataset`` does). `options`: of
    /// the command at hand, whose words a refusal has.
    public static func require(_ path: String, dataset: String?, options: DatasetOptions) throws(Failure) {
        try require(path, ["dataset", path, dataset ?? ""], options)
    }

    /// The same for all objects of the file; one whose datasets were found good is not looked at again.
    static func require(_ path: String) throws(Failure) {
        if state.withLock({ $0.good.contains { $0[1] == path } }) { return }
        try require(path, ["file", path, ""], .tool)
    }

    /// Another process of the job has had it looked at.
    public static func vouch(_ path: String, dataset: String?) {
        state.withLock { _ = $0.good.insert(["dataset", path, dataset ?? ""]) }
    }

    private static func require(_ path: String, _ question: [String], _ options: DatasetOptions) throws(Failure) {
        guard let warn = state.withLock({ $0.good.contains(question) ? nil : $0.warn }) else { return }
        // What is no HDF5 file needs no child: who opens it says so.
        guard (try? HDF5File.checkSignature(path)) != nil else { return }
        guard let (answer, signal) = ask(question + [options.rawValue]) else {
            warn(
                "\(path) is read without a first look in a child process, which cannot be started: "
                    + SystemError.text(errno))
            return accept(question)
        }
        let found = try? JSONDecoder().decode(Answer.self, from: answer)
        if let found, found.refusal == nil { return accept(question) }
        // What the child was refused this process does not try: HDF5 reads memory that a damaged file left unset, and
        // what is an error there may be a loop here.
        if let refusal = found?.refusal {
            throw Failure(
                refusal.code, refusal.message,
                remedy: refusal.message.contains("memory allocation failed")
                    ? """
                    It asks for more memory than a first look may take: allow the job more (ulimit -v), or rewrite it \
                    with smaller chunks; a damaged file asks for too much, too.
                    """ : refusal.remedy)
        }
        let end = child_is_out_of_time(signal) != 0 ? "HDF5 reads it without end" : "HDF5 crashed while it was read"
        throw .badData("\(path) is damaged: \(end).", remedy: "Copy or make the file again.")
    }

    private static func accept(_ question: [String]) { state.withLock { _ = $0.good.insert(question) } }

    /// All that a child prints, and the signal that ended it, if one did. Nil with errno where none can be started.
    private static func ask(_ question: [String]) -> (answer: Data, signal: Int32)? {
        let strings = (["gan-dist", command] + question).map { strdup($0) }
        defer { for text in strings { free(text) } }
        var output: Int32 = 0
        let child = child_start(strings.map { UnsafePointer($0) } + [nil], &output)
        guard child != 0 else { return nil }
        var text: [UInt8] = [], buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = Glibc.read(output, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            if count <= 0 { break }
            text += buffer.prefix(count)
        }
        close(output)
        return (Data(text), child_wait(child))
    }

    // MARK: In the child

    /// Call it first in the program. If this process was started to look at a file, it does that and ends.
    public static func answerIfAsked() {
        let arguments = CommandLine.arguments
        guard arguments.count == 6, arguments[1] == command else { return }
        child_end_with_parent()
        var answer = Answer()
        do throws(Failure) {
            try look(
                at: arguments[3], dataset: arguments[4].isEmpty ? nil : arguments[4], whole: arguments[2] == "file",
                DatasetOptions(rawValue: arguments[5]) ?? .tool)
        } catch {
            answer.refusal = error
        }
        let bytes = Array((try? JSONEncoder().encode(answer)) ?? Data())
        _ = write(STDOUT_FILENO, bytes, bytes.count)
        _exit(0)
    }

    private static func look(
        at path: String, dataset name: String?, whole: Bool, _ options: DatasetOptions
    ) throws(Failure) {
        // 200 MB are what the program and its libraries map.
        child_limit_memory(1 << 30)
        let size = try InputFile(path).size
        child_limit_time(1 + Double(size) / 5e7)
        if whole {
            let file = try HDF5File.openToRead(path)
            var left = 10_000
            try walk(file, "/", depth: 0, &left)
            return
        }
        let dataset = try Dataset(path, dataset: name, options: options, labelled: true)
        // All of them at once: more are left to who uses them.
        if dataset.count <= 1 << 26 {
            child_limit_memory(1 << 30 + 40 * dataset.count)
            child_limit_time(1 + 3 * Double(dataset.count) / 5e6)
            _ = try? dataset.labels
        }
        try readSome(dataset.stored)
    }

    /// Opens all that is there. Attributes that cannot be read are damage; an object or values that cannot may not be
    /// wanted.
    private static func walk(_ file: HDF5File, _ path: String, depth: Int, _ left: inout Int) throws(Failure) {
        guard depth < 16, left > 0 else { return }
        left -= 1
        switch path == "/" ? nil : try? file.object(path) {
        case .dataset(let dataset):
            _ = try dataset.location.attributes()
            guard (try? dataset.checkStorage(anyFilter: true)) != nil else { return }
            try? readSome(dataset)
        case .group(let group):
            _ = try group.location.attributes()
            for name in (try? group.names()) ?? [] { try walk(file, "\(path)/\(name)", depth: depth + 1, &left) }
        case .absent?: return
        case nil:
            guard path == "/" else { return }
            _ = try file.root.attributes()
            for name in (try? file.root.names()) ?? [] { try walk(file, "/\(name)", depth: depth + 1, &left) }
        }
    }

    private static func readSome(_ dataset: HDF5Dataset) throws(Failure) {
        switch dataset.type {
        case .boolean: try readSome(dataset, as: UInt8.self)
        case .integer, .float: try readSome(dataset, as: Float.self)
        case .text, .other: return
        }
    }

    /// Values of a small dataset, or the first, middle and last row of a large one.
    private static func readSome<Element: HDF5Element>(
        _ dataset: HDF5Dataset, as type: Element.Type
    ) throws(Failure) {
        guard dataset.count > 0, let rows = dataset.dimensions.first else { return }
        let row = dataset.count / rows, chunk = try dataset.elementsOfAChunk()
        let isSmall = dataset.count <= 1 << 24, once = isSmall ? dataset.count : max(row, chunk)
        child_limit_memory(1 << 30 + 40 * max(once, chunk))
        child_limit_time(1 + 3 * Double(once) / 5e6)
        if isSmall {
            _ = try dataset.readAll(type)
            return
        }
        guard row <= 1 << 28 else { return }
        let values = UnsafeMutableBufferPointer<Element>.allocate(capacity: row)
        defer { values.deallocate() }
        for index in Set([0, rows / 2, rows - 1]).sorted() { try dataset.read(rows: index ..< index + 1, into: values) }
    }
}
