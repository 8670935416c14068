import Collectives
import Foundation
import Kernels
import Storage
import Support

/// What the bits of a result depend on beside the program and its input: the matrix library and the kernels it chose,
/// the processor (by which the C library chooses its functions), and the vector instructions that the program's own
/// kernels use.
public struct NumericEnvironment {
    /// By the names of the checkpoint's attributes.
    let parts: [(name: String, value: String)]

    /// This process's.
    public init() {
        parts = [
            ("blas", BLAS.description), ("processor", Self.processor),
            ("instructions", InstructionSet.current.name),
            ("c_library", Self.library),
        ]
    }

    public var description: String { parts.map { "\($0.name) \($0.value)" }.joined(separator: "; ") }

    /// What differs from that of the checkpoint, with both values; nothing for what it does not store. A version of the
    /// program is raised where its bits change.
    func differences(from contents: CheckpointContents) -> [String] {
        ([(name: "program_version", value: Program.version)] + parts).compactMap { part in
            guard let stored = contents.string(part.name), stored != part.value else { return nil }
            return "\(part.name) is \(part.value), was \(stored)"
        }
    }

    /// The processor's name with its family and model, which tell apart what vendors sell under one name.
    private static var processor: String {
        guard let text = try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8) else { return "unknown" }
        var fields: [Substring: String] = [:]
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            if line.isEmpty { break }
            let pair = line.split(separator: ":", maxSplits: 1)
            if pair.count == 2 { fields[pair[0].prefix { $0 != "\t" }] = pair[1].trimmingCharacters(in: .whitespaces) }
        }
        if let name = fields["model name"] {
            return "\(name), family \(fields["cpu family"] ?? "?") model \(fields["model"] ?? "?")"
        }
        return "implementer \(fields["CPU implementer"] ?? "?") part \(fields["CPU part"] ?? "?")"
    }

    private static var library: String {
        var text = [CChar](repeating: 0, count: 64)
        confstr(Int32(_CS_GNU_LIBC_VERSION), &text, text.count)
        return String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
}

extension NumericEnvironment {
    /// Warns where ranks, or this job and the one that wrote the checkpoint, may give different bits for the same sums.
    /// Returns whether all ranks give the same. Collective.
    @discardableResult
    static func compare(
        _ communicator: any Communicator, _ checkpoint: Checkpoint?, _ console: Console
    ) throws -> Bool {
        let mine = Self()
        let all = try communicator.gather(mine.description)
        let hosts = try communicator.gather(communicator.host)
        let other = all.firstIndex { $0 != all[0] }
        if let other {
            let count = all.count { $0 != all[0] }
            console.warn(
                "rank \(other) on \(hosts[other])\(count > 1 ? " (and \(count - 1) more ranks)" : "") computes with "
                    + "\(all[other]) where rank 0 on \(hosts[0]) has \(all[0]): "
                    + "on other ranks the run will not have the same bits")
        }
        let differences = checkpoint.map { mine.differences(from: $0.contents) } ?? []
        if let checkpoint, !differences.isEmpty {
            console.warn(
                "\(checkpoint.path) was written on another machine or build, so the run will not have the bits of one "
                    + "never stopped: \(differences.joined(separator: "; "))"
            )
        }
        return other == nil
    }
}
