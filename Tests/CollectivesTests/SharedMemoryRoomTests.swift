import Foundation
import Testing
@testable import Collectives

@Suite struct SharedMemoryRoomTests {
    /// The least that a group and those it is in leave, of either version; cached files count as room. A group
    /// without a limit, or one that is not there, bounds nothing.
    @Test func roomOfControlGroups() throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("room-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: folder) }
        func write(_ path: String, _ text: String) throws {
            let file = folder.appendingPathComponent(path)
            try FileManager.default.createDirectory(
                at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
            try text.write(to: file, atomically: true, encoding: .utf8)
        }
        func room(_ group: String) throws -> Int? {
            try write("process", group)
            return SharedMemoryRoom.bytesOfControlGroup(
                root: folder.path, process: folder.appendingPathComponent("process").path)
        }
        try write("job/memory.max", "1000\n")
        try write("job/memory.current", "700\n")
        try write("job/memory.stat", "anon 300\ninactive_file 250\nactive_file 9\n")
        #expect(try room("0::/job\n") == 550)
        try write("job/step/memory.max", "max\n")
        try write("job/step/memory.current", "100\n")
        #expect(try room("0::/job/step\n") == 550)
        try write("job/step/memory.max", "400\n")
        #expect(try room("0::/job/step\n") == 300)
        #expect(try room("0::/elsewhere\n") == nil)
        try write("cri:containerd:1/memory.max", "77\n")
        try write("cri:containerd:1/memory.current", "7\n")
        #expect(try room("0::/cri:containerd:1\n") == 70)
        try write("memory/memory.limit_in_bytes", "90\n")
        try write("memory/memory.usage_in_bytes", "100\n")
        try write("memory/memory.stat", "total_inactive_file 5\n")
        #expect(try room("4:cpu:/a\n3:memory:/elsewhere\n0::/job\n") == 0)
        #expect(try room("") == nil)
    }
}
