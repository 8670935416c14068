import Foundation
import Kernels
import Support
import Testing
@testable import Storage

@Suite struct CheckpointWriterTests {
    private func contents(step: Int, _ values: Floats) -> CheckpointContents {
        CheckpointContents(
            attributes: [("step", .integer(step))],
            arrays: [CheckpointArray(path: "generator/weight", dimensions: [values.count], layout: "C", values: values)]
        )
    }

    private func inFolder(_ body: (String) throws -> Void) throws {
        let path = NSTemporaryDirectory() + "writer-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: path) }
        try body(path)
    }

    /// The state changes while its checkpoint is held up on its way to the disk: the file has what it was.
    @Test func writesWhatTheStateWas() throws {
        try inFolder { path throws in
            let gate = DispatchSemaphore(value: 0)
            var calls = SystemCalls()
            calls.fsync = { descriptor in
                gate.wait()
                gate.signal()
                return fsync(descriptor)
            }
            let writer = CheckpointWriter(CheckpointFolder(path, keep: 2, calls: calls))
            let state = FloatBuffer([1, 2, 3])
            #expect(try writer.finish() == nil)
            writer.begin(contents(step: 1, state.values))
            state.values.fill(7)
            #expect(!writer.isFinished)
            gate.signal()
            let file = try #require(try writer.finish())
            #expect(try CheckpointFile.read(file).array("generator/weight")?.array == [1, 2, 3])
            writer.begin(contents(step: 2, state.values))
            let second = try #require(try writer.finish())
            #expect(try CheckpointFile.read(second).array("generator/weight")?.array == [7, 7, 7])
            #expect(writer.slowest > 0)
            #expect(try writer.finish() == nil)
        }
    }

    @Test func tellsAFailureOnceAndGoesOn() throws {
        try inFolder { path throws in
            let full = Flag()
            var calls = SystemCalls()
            calls.fsync = { descriptor in
                guard full.value else { return fsync(descriptor) }
                errno = ENOSPC
                return -1
            }
            let writer = CheckpointWriter(CheckpointFolder(path, keep: 2, calls: calls))
            let state = FloatBuffer([1])
            full.value = true
            writer.begin(contents(step: 1, state.values))
            #expect { try writer.finish() } throws: { ($0 as? Failure)?.code == .inputOutput }
            #expect(try FileManager.default.contentsOfDirectory(atPath: path) == [])
            full.value = false
            writer.begin(contents(step: 2, state.values))
            #expect(try writer.finish()?.hasSuffix("step-00000002.h5") == true)
        }
    }

    private final class Flag: @unchecked Sendable { var value = false }
}
