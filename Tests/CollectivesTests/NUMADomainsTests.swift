import Foundation
import Testing
@testable import Collectives

@Suite struct NUMADomainsTests {
    /// Domains as Linux lists them: two of eight processors with their second hardware threads, memory alone, and one
    /// beyond the first 64 of each.
    @Test func domainsOfProcessors() throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("numa-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: folder) }
        for (name, list) in [
            ("node0", "0-3,8-11"), ("node1", "4-7,12-15"), ("node2", ""), ("node65", "200"), ("power", "0"),
        ] {
            let domain = folder.appendingPathComponent(name)
            try FileManager.default.createDirectory(at: domain, withIntermediateDirectories: true)
            try (list + "\n").write(to: domain.appendingPathComponent("cpulist"), atomically: true, encoding: .utf8)
        }
        func domains(_ processors: Int...) -> [Int] {
            var bits = [UInt64](repeating: 0, count: 128)
            for processor in processors { bits[processor / 64] |= 1 << (processor % 64) }
            let set = NUMADomains(folder: folder.path, processors: bits).set
            return (0 ..< 1024).filter { set[$0 / 64] >> ($0 % 64) & 1 == 1 }
        }
        #expect(domains(2) == [0] && domains(11) == [0] && domains(4, 15) == [1])
        #expect(domains(3, 4) == [0, 1] && domains(200) == [65] && domains(16) == [])
    }

    /// Where the kernel does not tell, all ranks of a node have the same: none.
    @Test func aKernelThatDoesNotTell() {
        #expect(NUMADomains(folder: "/nowhere").set.allSatisfy { $0 == 0 })
    }
}
