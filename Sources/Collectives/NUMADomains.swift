import Foundation

/// The NUMA domains (memory controllers) to whose processors this process is bound, or all of the node, as Linux lists
/// them (Documentation/ABI/stable/sysfs-devices-node).
struct NUMADomains {
    /// A bit for each of 1024 domains, the most that Linux knows; none where the kernel does not tell.
    let set: [UInt64]

    /// `processors`: those that the process may run on, one bit each.
    init(folder: String = "/sys/devices/system/node", processors: [UInt64] = availableProcessors()) {
        var set = [UInt64](repeating: 0, count: 16)
        for name in (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? [] {
            guard name.hasPrefix("node"), let number = Int(name.dropFirst(4)), number < 64 * set.count,
                let list = try? String(contentsOfFile: "\(folder)/\(name)/cpulist", encoding: .utf8)
            else { continue }
            let isNear = Self.processors(in: list).contains {
                $0 < 64 * processors.count && processors[$0 / 64] >> ($0 % 64) & 1 == 1
            }
            if isNear { set[number / 64] |= 1 << (number % 64) }
        }
        self.set = set
    }

    /// Of a list such as "0-3,8-11"; of memory without processors, none.
    private static func processors(in list: String) -> [Int] {
        list.split { $0 == "," || $0.isWhitespace }.flatMap { part -> [Int] in
            let bounds = part.split(separator: "-").compactMap { Int($0) }
            guard let first = bounds.first, let last = bounds.last, first <= last else { return [] }
            return Array(first ... last)
        }
    }
}
