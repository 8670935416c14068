import Foundation
import Glibc

/// What this node still has for windows of shared memory.
public struct SharedMemoryRoom: Sendable {
    public let bytes: Int
    /// What bounds it, for a sentence.
    public let bound: String

    /// A file system without room would be noticed only when a page is touched, by SIGBUS; a control group without, by
    /// the end of a process. So both are asked beforehand.
    public init() {
        // Where Open MPI's osc/sm component keeps its files; of a folder that is not there the first rank alone would
        // be told, while the others wait for it.
        let folder = ProcessInfo.processInfo.environment["OMPI_MCA_osc_sm_backing_directory"]
        let ofFiles = Self.freeBytes(folder ?? "/dev/shm", missing: folder == nil ? .max : 0),
            ofGroup = Self.bytesOfControlGroup()
        if let ofGroup, ofGroup < ofFiles {
            (bytes, bound) = (ofGroup, "the memory limit of the job's control group")
        } else {
            (bytes, bound) = (ofFiles, folder ?? "/dev/shm")
        }
    }

    /// Whether a window of so many bytes fits, with an eighth to spare.
    public func holds(_ bytes: Int) -> Bool { self.bytes > bytes + bytes / 8 }

    /// `missing`: without such a folder. Where /dev/shm is not there the library keeps its files elsewhere and checks
    /// them itself.
    private static func freeBytes(_ path: String, missing: Int) -> Int {
        var information = statvfs()
        guard statvfs(path, &information) == 0 else { return missing }
        return Int(information.f_bavail) * Int(information.f_frsize)
    }

    // MARK: - Control groups

    /// What the limits of this process's control group, and of those that it is in, leave; nil where there is none.
    /// Pages that only cache files, and were not used lately, can be had at any time.
    static func bytesOfControlGroup(root: String = "/sys/fs/cgroup", process: String = "/proc/self/cgroup") -> Int? {
        // A path may have colons itself.
        let lines =
            text(process)?.split(separator: "\n").map {
                $0.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            } ?? []
        // Version 1 has a hierarchy for each kind of resource, version 2 a single one with the number 0.
        let first = lines.first { $0.count == 3 && $0[1].split(separator: ",").contains("memory") }
        let second = lines.first { $0.count == 3 && $0[0] == "0" && $0[1].isEmpty }
        let isFirst = first != nil
        guard let path = (first ?? second)?.last else { return nil }
        let base = isFirst ? root + "/memory" : root
        let names =
            isFirst
            ? ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
            : ("memory.max", "memory.current", "inactive_file")
        // Within a container the root may be the group itself, whatever its path.
        var folders = [base], folder = base
        for part in path.split(separator: "/") {
            folder += "/" + part
            folders.append(folder)
        }
        return folders.compactMap { folder -> Int? in
            guard let limit = number(folder + "/" + names.0), let used = number(folder + "/" + names.1) else {
                return nil
            }
            let cached = text(folder + "/memory.stat")?.split(separator: "\n").lazy
                .map { $0.split(separator: " ") }.first { $0.first.map { $0 == names.2 } ?? false }
                .flatMap { Int($0.last!) }
            return max(0, limit - used + (cached ?? 0))
        }.min()
    }

    private static func number(_ path: String) -> Int? {
        text(path).flatMap { Int($0.trimmingCharacters(in: .whitespacesAndNewlines)) }
    }

    private static func text(_ path: String) -> String? { try? String(contentsOfFile: path, encoding: .utf8) }
}
